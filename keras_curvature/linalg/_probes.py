"""Random vectors that a seed determines."""

import tensorflow as tf


class Probes:
    """Blocks of independent random columns, one after the other.

    Args:
        seed: Int ≥ 0. The same seed gives the same blocks.
        size: Int, n.
        dtype: `tf.DType`.
    """

    def __init__(self, seed, size, dtype):
        self._seed, self._size, self._dtype = seed, size, dtype
        self._blocks = 0

    def normal(self, count):
        """Standard normal columns, shape (n, count)."""
        return tf.random.stateless_normal(
            [self._size, count], self._next_seed(), dtype=self._dtype
        )

    def rademacher(self, count):
        """Columns of ±1 with equal probability, shape (n, count)."""
        bits = tf.random.stateless_uniform(
            [self._size, count],
            self._next_seed(),
            minval=0,
            maxval=2,
            dtype=tf.int32,
        )
        return tf.cast(2 * bits - 1, self._dtype)

    def spherical(self, count):
        """Columns of length √n with uniform directions, shape (n, count)."""
        columns = self.normal(count)
        lengths = tf.norm(columns, axis=0)
        return columns * (self._size**0.5 / lengths)

    def _next_seed(self):
        self._blocks += 1
        return [self._seed, self._blocks]
