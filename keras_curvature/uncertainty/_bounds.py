"""Weights that a fit holds at a bound."""

import numpy as np

from keras_curvature.constraints.box import box_of


def at_bounds(variables):
    """Which of the n weights lie at a bound of theirs, an array of bools.

    Args:
        variables: List of variables.

    Raises:
        ValueError: for a constraint that is no box, under which weights can
            move together only.
    """
    return np.concatenate([_at_bound(v).ravel() for v in variables])


def _at_bound(variable):
    constraint, weight = variable.constraint, np.asarray(variable.value)
    if constraint is None:
        return np.zeros(weight.shape, bool)
    box = box_of(constraint)
    if box is None:
        raise ValueError(
            "The errors of weights need weights that are free or have bounds "
            f"of their own. Received: {type(constraint).__name__} on "
            f"{variable.path}. Use keras_curvature.constraints.Box, or leave "
            "the constraint out."
        )
    lower, upper = (b.astype(weight.dtype) for b in (box.lower, box.upper))
    return (weight <= lower) | (weight >= upper)
