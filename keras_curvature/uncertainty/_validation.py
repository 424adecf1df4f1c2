"""The prior precision that predicts other data best."""

import numpy as np


def best_precision(score, grid, groups):
    """The best of a grid for all variables, then group by group.

    Args:
        score: Callable that maps an array of one precision for each variable
            to a number, the less the better.
        grid: List of floats.
        groups: Array, for each variable the number of its group.

    Returns:
        Tuple of the best array and its score.

    Raises:
        ValueError: if no score is finite.
    """
    best, reached = None, np.inf
    for value in grid:
        tried = np.full(len(groups), value)
        found = score(tried)
        if found < reached:
            best, reached = tried, found
    if best is None:
        raise ValueError(
            "The predictions must have a finite likelihood for one of "
            f"`precisions`. Received: {list(grid)}, with none."
        )
    names = np.unique(groups)
    for group in names if len(names) > 1 else ():
        for value in grid:
            tried = np.where(groups == group, value, best)
            found = score(tried)
            if found < reached:
                best, reached = tried, found
    return best, reached
