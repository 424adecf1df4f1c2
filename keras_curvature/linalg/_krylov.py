"""An orthonormal basis of a Krylov space, and the operator within it."""

import numpy as np


class Krylov:
    """Block Lanczos with full reorthogonalization and thick restarts.

        A·V[:p]ᵀ = Vᵀ·H,  V·Vᵀ = I

    The first p rows of V have been multiplied by A; the others wait for that.
    A Ritz pair (θ, V[:p]ᵀ·y) with (θ, y) of H[:p] has the residual ‖H[p:]·y‖.

    The basis lies in NumPy: slices of it are no copies, and its algebra is a
    few calls of BLAS beside a product with A.

    Args:
        products: `Products`.
        probes: `Probes`, for the first block and wherever the space closes.
        block_size: Int ≥ 1, vectors that are multiplied together.
        capacity: Int, most vectors of the basis, without those that wait.
    """

    def __init__(self, products, probes, block_size, capacity):
        self._products, self._probes = products, probes
        self._capacity, self._block_size = capacity, block_size
        total = capacity + block_size
        self._rows = np.empty(
            (total, products.size), products.dtype.as_numpy_dtype
        )
        # Of the entries among multiplied rows the upper ones count.
        self._projected = np.zeros((total, total))
        self._count = self.processed = 0
        self._append_random_block()

    @property
    def waiting(self):
        """How many vectors have not been multiplied by A."""
        return self._count - self.processed

    @property
    def is_full(self):
        """Whether what waits has no place beside what has been multiplied."""
        return self._count > self._capacity

    def ritz_pairs(self):
        """θ, ascending, the columns y, and the residual norms."""
        p = self.processed
        values, vectors = np.linalg.eigh(self._projected[:p, :p], UPLO="U")
        coupling = self._projected[p : self._count, :p]
        return values, vectors, np.linalg.norm(coupling @ vectors, axis=0)

    def combine(self, vectors):
        """V[:p]ᵀ·y for columns y, array of shape (n, k)."""
        rows = self._rows[: self.processed]
        return rows.T @ vectors.astype(rows.dtype)

    def expand(self):
        """Multiplies the waiting vectors by A; what is new waits then."""
        first, last = self.processed, self._count
        images = self._products(self._rows[first:last].T).numpy()
        coupled = np.flatnonzero(self._projected[first:last, :first].any(0))
        start = coupled[0] if len(coupled) else first
        for column in range(first, last):
            image = np.ascontiguousarray(images[:, column - first])
            coefficients, rest, norm = self._orthogonalized(image, start)
            self._projected[: self._count, column] = coefficients
            # Below this is only rounding: the space is closed.
            if norm > 10 * self._products.epsilon * self._products.scale:
                self._projected[self._count, column] = norm
                self._append(rest / norm)
            elif self._count < self._products.size:
                self._append_random()
        self.processed = last

    def restart(self, values, vectors):
        """Keeps of the space the Ritz pairs given, and what waits."""
        p, count = self.processed, self._count
        coupling = self._projected[p:count, :p] @ vectors
        waiting = self._rows[p:count].copy()
        self._keep(values, vectors)
        self._projected[self.processed : self._count + len(waiting)][
            :, : self.processed
        ] = coupling
        for row in waiting:
            self._append(row)

    def restart_at_random(self, values, vectors):
        """Keeps the Ritz pairs given as if exact; random vectors wait."""
        self._keep(values, vectors)
        self._append_random_block()

    def _keep(self, values, vectors):
        kept = len(values)
        vectors = vectors.T.astype(self._rows.dtype)
        # In pieces, so that there is never a second basis.
        for start in range(0, self._products.size, 2**16):
            piece = self._rows[: self.processed, start : start + 2**16]
            self._rows[:kept, start : start + 2**16] = vectors @ piece
        self._projected[:] = 0
        self._projected[range(kept), range(kept)] = values
        self._count = self.processed = kept

    def _append(self, row):
        self._rows[self._count] = row
        self._count += 1

    def _append_random_block(self):
        free = self._products.size - self._count
        for _ in range(min(self._block_size, free)):
            self._append_random()

    def _append_random(self):
        vector = self._probes.normal(1).numpy()[:, 0]
        _, vector, norm = self._orthogonalized(vector)
        _, vector, norm = self._orthogonalized(vector / norm)
        self._append(vector / norm)

    def _orthogonalized(self, vector, first=0):
        """Its coefficients, what is left of it, and the norm of that.

        Classical Gram-Schmidt, twice. The first time takes away the large
        parts, on the rows from `first` on, so that the second does not
        multiply the error by which the basis is not orthogonal.
        """
        norm = _norm(vector)
        coefficients = np.zeros(self._count)
        for turn, start in enumerate((first, 0, 0)):
            rows = self._rows[start : self._count]
            parts = rows @ vector
            vector = vector - parts @ rows
            coefficients[start:] += parts
            previous, norm = norm, _norm(vector)
            # What the second time takes is rounding, except of a vector
            # that consists of little else.
            if turn and norm > 0.5 * previous:
                break
        return coefficients, vector, norm


def _norm(vector):
    return float(np.linalg.norm(vector))
