"""Points of a box, to be drawn anew while a solver runs."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from keras_curvature._checks import checked_integer

# Of so many lattices the best is taken: it is near the best of all.
_TRIED_GENERATORS = 300


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


def lattice_points(
    count: int,
    low: Sequence[float],
    high: Sequence[float],
    seed: int | np.random.Generator | None = None,
) -> np.ndarray:
    """A lattice of rank 1, shifted at random as a whole.

    In the unit cube the points are

        x_i = (i·(1, a, a², ...)/count + shift) mod 1,  i = 0, ..., count − 1

    with the integer a, of some hundreds tried, of which the lattice integrates
    smooth periodic functions best. Means over the points have errors of the
    order 1/count, and far smaller ones for functions of the period of the box,
    where those of independent points have 1/√count: residuals that vanish on
    average at the points do so in the whole box.

    Args:
        count: Int ≥ 1, how many.
        low: The least coordinates, sequence of d numbers.
        high: The largest, the same.
        seed: Int or `np.random.Generator`, of the shift. Defaults to None,
            another one in each run of the program.

    Returns:
        Array of shape `(count, d)` in float64.

    Raises:
        ValueError: if `low` and `high` are no corners of a box.

    Example:

    ```python
    from keras_curvature.training import lattice_points

    lattice_points(900, low=(0, 0), high=(1, 1)).shape  # (900, 2)
    ```

    References:
        Sloan and Joe, 1994, "Lattice methods for multiple integration",
        chapter 4 (Korobov's form, and the criterion P₂). Cranley and
        Patterson, 1976, "Randomization of number theoretic methods for
        multiple integration" (the shift).
    """

    def shifted(rng, shape):
        steps = np.arange(shape[0])[:, np.newaxis] * _generator(*shape)
        return (steps % shape[0] / shape[0] + rng.random(shape[1])) % 1

    return _in_box(count, low, high, seed, shifted)


@functools.lru_cache(maxsize=64)
def _generator(count, dimensions):
    """(1, a, a², ...) mod `count` with the least P₂, of some a."""
    tried = np.linspace(1, max(1, count // 2), _TRIED_GENERATORS)
    generators = [
        _powers(int(a), count, dimensions)
        for a in np.unique(tried.astype(int))
        if math.gcd(int(a), count) == 1
    ]
    return min(generators, key=lambda generator: _p2(generator, count))


def _powers(base, modulus, number):
    return np.array([pow(base, i, modulus) for i in range(number)])


def _p2(generator, count):
    """P₂ + 1: the largest error of a mean, of functions with Σ 1/h² waves."""
    x = np.arange(count)[:, np.newaxis] * generator % count / count
    return np.prod(1 + 2 * np.pi**2 * (x**2 - x + 1 / 6), axis=1).mean()


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
