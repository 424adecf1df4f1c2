"""An orthonormal basis of a Krylov space, and the operator within it."""

import numpy as np
import tensorflow as tf


class Krylov:
    """Block Lanczos with full reorthogonalization and thick restarts.

        A·V[:p] = V·H,  Vᵀ·V = I

    The first p vectors of V have been multiplied by A; the others wait for
    that. A Ritz pair (θ, V[:p]ᵀ·y) with (θ, y) of H[:p, :p] has the residual
    ‖H[p:, :p]·y‖.

    Args:
        products: `Products`.
        probes: `Probes`, for the first block and wherever the space closes.
        block_size: Int ≥ 1, vectors that are multiplied together.
        capacity: Int, most vectors of the basis, without those that wait.
    """

    def __init__(self, products, probes, block_size, capacity):
        self._products, self._probes = products, probes
        self._capacity = capacity
        self._rows = _Rows()
        total = capacity + block_size
        self._projected = np.zeros((total, total))
        # The largest ‖A·v‖ so far, of the size of ‖A‖.
        self._scale = 0.0
        self.processed = 0
        for _ in range(block_size):
            self._append_random()

    @property
    def waiting(self):
        """Vectors that have not been multiplied by A."""
        return self._rows.count - self.processed

    @property
    def is_full(self):
        """Whether what waits has no place beside what has been multiplied."""
        return self._rows.count > self._capacity

    @property
    def is_invariant(self):
        """Whether A leaves the space alone, about as rounding tells."""
        coupling = self._projected[self.processed : self._rows.count]
        # Errors have grown on the way to the last vectors of the space.
        small = self._products.epsilon**0.75 * self._scale
        return bool(np.all(np.abs(coupling) <= small))

    def ritz_pairs(self):
        """θ, ascending, the columns y, and the residual norms."""
        p = self.processed
        projected = self._projected[:p, :p]
        values, vectors = np.linalg.eigh((projected + projected.T) / 2)
        coupling = self._projected[p : self._rows.count, :p]
        residuals = np.linalg.norm(coupling @ vectors, axis=0)
        return values, vectors, residuals

    def combine(self, vectors):
        """V[:p]ᵀ·y for columns y, tensor of shape (k, n)."""
        return self._rows.combine(vectors)

    def expand(self):
        """Multiplies the waiting vectors by A; what is new waits then."""
        first, last = self.processed, self._rows.count
        block = tf.transpose(self._rows.stack(first))
        images = tf.unstack(self._products(block), axis=1)
        coupled = np.flatnonzero(self._projected[first:last, :first].any(0))
        start = coupled[0] if len(coupled) else first
        for column, image in enumerate(images, first):
            coefficients, rest, norm, length = self._rows.orthogonalized(
                image, start
            )
            self._scale = max(self._scale, length)
            self._projected[: len(coefficients), column] = coefficients
            if norm > self._negligible:
                self._projected[self._rows.count, column] = norm
                self._rows.append(rest / norm)
            elif self._rows.count < self._products.size:
                self._append_random()
        self.processed = last
        self._refuse_asymmetric(first, last)

    def restart(self, values, vectors):
        """Keeps of the space the Ritz pairs given, and what waits."""
        kept, p, count = len(values), self.processed, self._rows.count
        coupling = self._projected[p:count, :p] @ vectors
        rows = self._rows.combine(vectors)
        waiting = self._rows.stack(p)
        self._rows = _Rows([rows, waiting])
        self._projected[:] = 0
        self._projected[range(kept), range(kept)] = values
        self._projected[kept : kept + count - p, :kept] = coupling
        self.processed = kept

    @property
    def _negligible(self):
        # What is left of A·v after subtracting its parts is rounding below.
        return 10 * self._products.epsilon * self._scale

    def _append_random(self):
        vector = self._probes.normal(1)[:, 0]
        _, vector, norm, _ = self._rows.orthogonalized(vector)
        _, vector, norm, _ = self._rows.orthogonalized(vector / norm)
        self._rows.append(vector / norm)

    def _refuse_asymmetric(self, first, last):
        """Raises where the new part of H shows that A is not symmetric."""
        new = self._projected[first:last, :last]
        difference = np.abs(new - self._projected[:last, first:last].T).max()
        # Rounding and lost orthogonality stay below.
        if difference > np.cbrt(self._products.epsilon) * self._scale:
            raise ValueError(
                "`operator` must be symmetric and the same in each product. "
                f"Received: products that differ by {difference:.3g} of "
                f"{self._scale:.3g} from those of a symmetric matrix. A model "
                "with random layers (dropout) must be in inference mode."
            )


class _Rows:
    """Orthonormal vectors in a few tensors of shape (rows, n).

    Each is at most as long as the one before, as the digits of a binary
    counter: appending copies little, and a product takes few operations.
    """

    def __init__(self, tiles=()):
        self._tiles = [tile for tile in tiles if tile.shape[0]]

    @property
    def count(self):
        return sum(tile.shape[0] for tile in self._tiles)

    def append(self, vector):
        tile = vector[tf.newaxis]
        while self._tiles and self._tiles[-1].shape[0] <= tile.shape[0]:
            tile = tf.concat([self._tiles.pop(), tile], axis=0)
        self._tiles.append(tile)

    def stack(self, first):
        """The vectors from the given one on, shape (count − first, n)."""
        return tf.concat(self._from(first), axis=0)

    def combine(self, vectors):
        """Σᵢ yᵢ·vᵢ for each column y, shape (k, n); y may be shorter."""
        total, start = 0, 0
        for tile in self._tiles:
            part = vectors[start : start + tile.shape[0]]
            weights = tf.constant(part, tile.dtype)
            total += tf.matmul(weights, tile[: len(part)], transpose_a=True)
            start += tile.shape[0]
            if start >= len(vectors):
                break
        return total

    def orthogonalized(self, vector, first=0):
        """Its coefficients, what is left of it, and the norms after, before.

        Classical Gram-Schmidt, twice. The first time takes away the large
        parts, on the vectors from `first` on, so that the second does not
        multiply the error by which the basis is not orthogonal.
        """
        before = norm = _norm(vector)
        coefficients = np.zeros(self.count)
        for turn, start in enumerate((first, 0, 0)):
            parts, vector = self._without(vector, start)
            coefficients[start:] += parts
            previous, norm = norm, _norm(vector)
            # What the second time takes is rounding, except of a vector
            # that consists of little else.
            if turn and norm > 0.5 * previous:
                break
        return coefficients, vector, norm, before

    def _without(self, vector, first):
        """Its coefficients on the vectors from `first` on, and the rest."""
        tiles = self._from(first)
        parts = [tf.linalg.matvec(tile, vector) for tile in tiles]
        for tile, part in zip(tiles, parts, strict=True):
            vector -= tf.matmul(part[tf.newaxis], tile)[0]
        if not parts:
            return np.zeros(0), vector
        return tf.concat(parts, axis=0).numpy().astype("float64"), vector

    def _from(self, first):
        """The vectors from the given one on, as tensors."""
        tiles, end = [], self.count
        for tile in reversed(self._tiles):
            if end <= first:
                break
            start = end - tile.shape[0]
            tiles.append(tile[first - start :] if start < first else tile)
            end = start
        return tiles[::-1]


def _norm(vector):
    """‖v‖, by one operation."""
    return float(2 * tf.nn.l2_loss(vector)) ** 0.5
