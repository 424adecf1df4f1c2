"""Which Ritz pairs are wanted, and when they are the right ones."""

import math
from typing import NamedTuple

import numpy as np

from keras_curvature.linalg._krylov import Krylov

# Wanted are the eigenvalues where one of these is large, alternately where
# there are two.
KEYS = {
    "largest": (np.positive,),
    "smallest": (np.negative,),
    "magnitude": (np.abs,),
    "both": (np.positive, np.negative),
}


class RitzPairs(NamedTuple):
    """The wanted pairs, the most wanted first.

    Attributes:
        values, residuals: NumPy arrays of shape (k,).
        vectors: NumPy array of shape (n, k).
        converged: NumPy array of bools, which residuals met the tolerance.
        is_complete: Bool, whether it is known that none is missing.
        scale: Float, the largest |θ|, about ‖A‖.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    is_complete: bool
    scale: float


class Wanted(NamedTuple):
    """How many eigenpairs are wanted, which, and how well.

    Attributes:
        k: Int.
        which: Key of `KEYS`.
        tolerance: Float, of the residuals, relative to ‖A‖.
    """

    k: int
    which: str
    tolerance: float

    def ranking(self, values):
        """The indices of ascending values, the most wanted first."""
        if self.which == "magnitude":
            return np.argsort(-np.abs(values))
        ascending = np.arange(len(values))
        ends = {
            "largest": [ascending[::-1]],
            "smallest": [ascending],
            "both": [ascending[::-1], ascending],
        }[self.which]
        ranking = ascending.copy()
        for start, end in enumerate(ends):
            part = ranking[start :: len(ends)]
            part[:] = end[: len(part)]
        return ranking

    def counts(self, values, found):
        """How many values are wanted more than the last found, at each end."""
        keys = KEYS[self.which]
        ends = [key(found.values[i :: len(keys)]) for i, key in enumerate(keys)]
        margin = self.tolerance * found.scale
        return np.array(
            [
                np.sum(key(values) > end.min() + margin)
                for key, end in zip(keys, ends, strict=True)
                if len(end)
            ]
        )

    def copies(self, found):
        """The most copies found of a value before the last at its end."""
        keys = KEYS[self.which]
        margin = self.tolerance * found.scale
        most = 0
        for i, key in enumerate(keys):
            values = found.values[i :: len(keys)]
            for value in values:
                if key(value) > key(values).min() + margin:
                    # Each may err by its residual.
                    near = np.abs(values - value) <= 2 * margin
                    most = max(most, int(near.sum()))
        return most


def lanczos_search(products, probes, wanted, max_passes, block, capacity):
    """`RitzPairs` with as many copies of an eigenvalue as A has.

    A Krylov space of `block` random vectors holds as many copies, or all if
    there are less. So where each value has been found less often, none is
    missing. Otherwise new random vectors beside the k pairs show whether more
    are wanted; then the space was too small, and a larger one is built.
    """
    while True:
        krylov = Krylov(products, probes, block, capacity)
        found, vectors, history = _converge(
            krylov, wanted, max_passes - products.passes
        )
        expected = wanted.counts(found.values, found)
        # The copies of the last do not matter, nor more of them than k.
        is_settled = (
            not krylov.waiting
            or block >= wanted.k
            or not any(expected)
            or wanted.copies(found) < block
        )
        if is_settled or not found.converged.all():
            return found
        steps = _steps_to_show(history, wanted, found, expected)
        spare = max_passes - products.passes - steps
        if spare < 0:
            return found._replace(is_complete=False)
        krylov.restart_at_random(found.values, vectors)
        for _ in range(steps):
            values, _, _ = _expanded(krylov, wanted)
            if not krylov.waiting:
                # The whole space of a small operator is seen.
                break
        if not any(wanted.counts(values, found) > expected):
            return found
        if spare < wanted.k:
            return found._replace(is_complete=False)
        block = min(2 * block, wanted.k)
        least = wanted.k + 2 * block
        capacity = min(products.size, max(capacity, least))


def _converge(krylov, wanted, budget):
    """`RitzPairs`, their y, and the Ritz values of each iteration."""
    history = []
    for _ in range(budget):
        values, vectors, residuals = _expanded(krylov, wanted)
        history.append(values)
        best = wanted.ranking(values)[: wanted.k]
        scale = np.abs(values).max()
        converged = residuals[best] <= wanted.tolerance * scale
        if (len(best) == wanted.k and converged.all()) or not krylov.waiting:
            break
    if len(best) < wanted.k:
        raise ValueError(
            f"`max_iterations` must allow at least `k`={wanted.k} products. "
            f"Received: max_iterations={budget}."
        )
    found = RitzPairs(
        values=values[best],
        vectors=krylov.combine(vectors[:, best]),
        residuals=residuals[best],
        converged=converged,
        is_complete=True,
        scale=scale,
    )
    return found, vectors[:, best], history


def _expanded(krylov, wanted):
    """The Ritz pairs after one more step, of a basis that is kept short."""
    if krylov.is_full:
        values, vectors, _ = krylov.ritz_pairs()
        # Half of what is not wanted stays, for it speeds up what follows.
        kept = wanted.k + (len(values) - wanted.k) // 2
        kept = wanted.ranking(values)[:kept]
        krylov.restart(values[kept], vectors[:, kept])
    krylov.expand()
    return krylov.ritz_pairs()


def _steps_to_show(history, wanted, found, expected):
    """About how many steps a new vector takes to show a copy that matters.

    That is as many as the first vector took to show all of them.
    """
    shown = next(
        step
        for step, values in enumerate(history, 1)
        if all(wanted.counts(values, found) >= expected)
    )
    # Another random vector may take a little longer.
    return math.ceil(1.25 * shown) + 1
