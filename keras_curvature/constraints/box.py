"""Bounds of each weight."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import ArrayLike


@keras.saving.register_keras_serializable(package="keras_curvature")
class Box(keras.constraints.Constraint):
    """Keeps each weight within bounds: lower ≤ w ≤ upper.

    `LevenbergMarquardt` finds the minimum within the bounds. Keras's own
    optimizers, and those of this package for mini-batches, take a step and
    then move what is outside to the nearest bound; the other solvers refuse
    constraints.

    Args:
        lower: Number, or array that can be broadcast to the shape of the
            weight, −inf where there is no bound. Defaults to None, no bounds.
        upper: The same, inf where there is no bound.

    Raises:
        ValueError: if a bound is not a number, or not lower < upper.

    Example:

    ```python
    import keras
    from keras_curvature.constraints import Box

    rates = Box(lower=0.0)
    fractions = Box(lower=[0.0, 0.0], upper=[1.0, 0.5])
    fractions(keras.ops.array([-1.0, 2.0]))  # [0, 0.5]
    ```
    """

    def __init__(
        self,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
    ) -> None:
        self.lower = _checked("lower", lower, -np.inf)
        self.upper = _checked("upper", upper, np.inf)
        if not np.all(self.lower < self.upper):
            raise ValueError(
                "`lower` must be below `upper` for each weight. Received: "
                f"lower={lower!r}, upper={upper!r}. To hold a weight fixed, "
                "make it non-trainable."
            )

    def __call__(self, w: keras.Variable) -> tf.Tensor:
        w = ops.convert_to_tensor(w)
        lower, upper = (
            ops.cast(bound, w.dtype) for bound in (self.lower, self.upper)
        )
        return ops.minimum(ops.maximum(w, lower), upper)

    def get_config(self) -> dict[str, Any]:
        return {"lower": self.lower.tolist(), "upper": self.upper.tolist()}


def box_of(constraint):
    """The `Box` that a constraint is, or None for one that is none.

    Keras's `NonNeg` is one; a subclass may do anything.
    """
    if type(constraint) is keras.constraints.NonNeg:
        return Box(lower=0.0)
    return constraint if type(constraint) is Box else None


def _checked(name, bound, default):
    """The bound as an array in float64."""
    try:
        array = np.asarray(default if bound is None else bound, "float64")
    except (TypeError, ValueError):
        array = np.asarray(np.nan)
    if np.isnan(array).any():
        raise ValueError(
            f"`{name}` must be None, a number or an array of numbers. "
            f"Received: {name}={bound!r}."
        )
    return array
