"""Points where residuals are large, to be drawn anew while a solver runs."""

import numpy as np
from numpy.typing import ArrayLike

from keras_curvature._checks import checked_integer, checked_number


def residual_based_points(
    candidates: ArrayLike,
    residuals: ArrayLike,
    count: int,
    exponent: float = 1.0,
    offset: float = 1.0,
    seed: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Some of the candidates, more of them where residuals are large.

    A candidate x with the residual ε(x) is drawn with a probability
    proportional to

        |ε(x)|^exponent / mean(|ε|^exponent) + offset

    but at most 1, and once. They are drawn systematically, along a curve that
    fills the space: each neighborhood gets as many as its density asks for,
    where independent draws would leave gaps and clusters. Of `lattice_points`
    the sample is evener still.

    Args:
        candidates: Array of shape `(n, d)`, points that cover the region, as
            `uniform_points` gives them.
        residuals: Array of n numbers, the residuals of the equation there;
            those of several equations as `(n, m)`, whose norms count.
        count: Int ≥ 1, how many are drawn, at most n.
        exponent: Float ≥ 0. Defaults to 1.
        offset: Float ≥ 0, the share of points drawn uniformly: 1 as many as
            by residuals, 0 none. Defaults to 1.
        seed: Int or `np.random.Generator`. Defaults to None, other points in
            each run of the program.

    Returns:
        Array of shape `(count, d)`.

    Raises:
        ValueError: if there are fewer candidates than `count`, another number
            of residuals, or residuals that are not finite.

    Example:

    ```python
    import numpy as np
    from keras_curvature.training import residual_based_points, uniform_points

    candidates = uniform_points(10_000, low=(0, 0), high=(1, 1))
    residuals = np.exp(-100 * candidates[:, 0])  # of your model, say
    residual_based_points(candidates, residuals, 900).shape  # (900, 2)
    ```

    References:
        Wu, Zhu, Tan, Kartha, Lu, 2023, "A comprehensive study of
        non-adaptive and residual-based adaptive sampling for physics-informed
        neural networks" (RAD), arXiv:2207.10289. Madow, 1949, "On the theory
        of systematic sampling, II". Morton, 1966, "A computer oriented
        geodetic data base" (the curve).
    """
    count = checked_integer("count", count, minimum=1)
    exponent = checked_number("exponent", exponent, minimum=0)
    offset = checked_number("offset", offset, minimum=0)
    candidates = np.asarray(candidates)
    sizes = _sizes_of(residuals, len(candidates))
    if count > len(candidates):
        raise ValueError(
            "`count` must not exceed the number of candidates. Received: "
            f"count={count} and {len(candidates)} candidates."
        )
    # Relative to the largest, so that no power leaves the range of floats.
    largest = sizes.max()
    powers = (sizes / largest if largest > 0 else np.ones_like(sizes)) ** (
        exponent
    )
    density = powers / powers.mean() + offset
    if np.count_nonzero(density) < count:
        raise ValueError(
            "`offset` must be above 0 where fewer candidates than `count` "
            f"have a residual. Received: offset={offset}, count={count} and "
            f"{np.count_nonzero(density)} residuals other than 0."
        )
    return candidates[_systematic_sample(candidates, density, count, seed)]


def _systematic_sample(candidates, density, count, seed):
    """Indices of `count` candidates, along a curve that fills the space.

    A stretch of the curve has the number of points that its density asks for,
    up to one, and so has a neighborhood, which is a few stretches.
    """
    order = _along_a_curve(candidates)
    order = order[density[order] > 0]
    reached = np.cumsum(_probabilities(density[order], count))
    ticks = np.random.default_rng(seed).random() + np.arange(count)
    places = np.searchsorted(reached, ticks, side="right")
    # By rounding the last tick may lie beyond the end.
    return order[np.minimum(places, len(order) - 1)]


def _probabilities(density, count):
    """In proportion to the density, but at most 1; their sum is `count`."""
    probabilities = np.ones_like(density)
    is_open = np.ones(len(density), bool)
    while is_open.any():
        left = count - np.count_nonzero(~is_open)
        share = density * (left / density[is_open].sum())
        is_full = is_open & (share >= 1)
        if not is_full.any():
            probabilities[is_open] = share[is_open]
            break
        is_open &= ~is_full
    return probabilities


def _along_a_curve(points):
    """The order of points along Morton's curve, on which neighbors are near."""
    points = points.reshape(len(points), -1).astype("float64")
    dimensions = points.shape[1]
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    bits = 62 // dimensions
    cells = (points - low) / np.where(size > 0, size, 1) * (2**bits - 1)
    cells = cells.astype("int64")
    code = np.zeros(len(points), "int64")
    for bit in range(bits):
        for axis in range(dimensions):
            code |= (cells[:, axis] >> bit & 1) << (bit * dimensions + axis)
    return np.argsort(code, kind="stable")


def _sizes_of(residuals, samples):
    """|ε| of each candidate."""
    residuals = np.asarray(residuals, dtype="float64")
    if not residuals.ndim or len(residuals) != samples:
        raise ValueError(
            "`residuals` must have an entry for each candidate. Received: "
            f"residuals of shape {residuals.shape} and {samples} candidates."
        )
    if not np.isfinite(residuals).all():
        raise ValueError(
            "`residuals` must be finite. Received: NaN or infinite entries."
        )
    return np.linalg.norm(residuals.reshape(samples, -1), axis=1)
