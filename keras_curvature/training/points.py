"""Points of a box, to be drawn anew while a solver runs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_curvature._checks import checked_integer, checked_number


def uniform_points(
    count: int,
    low: Sequence[float],
    high: Sequence[float],
    seed: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Independent points, uniform in a box.

    Args:
        count: Int ≥ 1, how many.
        low: The least coordinates, sequence of d numbers.
        high: The largest, the same.
        seed: Int or `np.random.Generator`. Defaults to None, other points in
            each run of the program.

    Returns:
        Array of shape `(count, d)` in float64.

    Raises:
        ValueError: if `low` and `high` are no corners of a box.

    Example:

    ```python
    from keras_curvature.training import uniform_points

    uniform_points(900, low=(0, 0), high=(1, 1)).shape  # (900, 2)
    ```
    """
    return _in_box(count, low, high, seed, lambda rng, shape: rng.random(shape))


def latin_hypercube_points(
    count: int,
    low: Sequence[float],
    high: Sequence[float],
    seed: int | np.random.Generator | None = None,
) -> np.ndarray:
    """A Latin hypercube: each coordinate has one point in each of its parts.

    Each side of the box is cut into `count` equal parts, and their order is
    shuffled for each coordinate, so that means over the points vary less than
    those over independent ones.

    Args:
        count: Int ≥ 1, how many.
        low: The least coordinates, sequence of d numbers.
        high: The largest, the same.
        seed: Int or `np.random.Generator`. Defaults to None, other points in
            each run of the program.

    Returns:
        Array of shape `(count, d)` in float64.

    Raises:
        ValueError: if `low` and `high` are no corners of a box.

    Example:

    ```python
    from keras_curvature.training import latin_hypercube_points

    latin_hypercube_points(900, low=(0, 0), high=(1, 1)).shape  # (900, 2)
    ```

    References:
        McKay, Beckman, Conover, 1979, "A comparison of three methods for
        selecting values of input variables in the analysis of output from a
        computer code".
    """

    def one_in_each_part(rng, shape):
        parts = [rng.permutation(shape[0]) for _ in range(shape[1])]
        return (np.stack(parts, axis=1) + rng.random(shape)) / shape[0]

    return _in_box(count, low, high, seed, one_in_each_part)


def residual_based_points(
    candidates: ArrayLike,
    residuals: ArrayLike,
    count: int,
    exponent: float = 1.0,
    offset: float = 1.0,
    seed: int | np.random.Generator | None = None,
) -> np.ndarray:
    """Some of the candidates, more of them where residuals are large.

    A candidate x with the residual ε(x) is drawn, without replacement, with
    a probability proportional to

        |ε(x)|^exponent / mean(|ε|^exponent) + offset

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
        neural networks" (RAD), arXiv:2207.10289.
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
    rng = np.random.default_rng(seed)
    chosen = rng.choice(
        len(candidates), count, replace=False, p=density / density.sum()
    )
    return candidates[chosen]


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


def _in_box(count, low, high, seed, draw):
    """Points that `draw(rng, shape)` gives in the unit cube, in a box."""
    count = checked_integer("count", count, minimum=1)
    low, high = _box(low, high)
    places = draw(np.random.default_rng(seed), (count, len(low)))
    return low + (high - low) * places


def _box(low, high):
    low, high = np.atleast_1d(low, high)
    is_box = low.ndim == 1 and low.shape == high.shape
    if not is_box or not np.all(low < high) or np.isinf([low, high]).any():
        raise ValueError(
            "`low` and `high` must be the corners of a box, low < high in each "
            f"coordinate. Received: low={low.tolist()}, high={high.tolist()}."
        )
    return low, high
