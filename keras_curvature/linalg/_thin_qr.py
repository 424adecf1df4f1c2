"""Orthonormal bases of a few long columns."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class ThinQR(NamedTuple):
    """Y = Q·R with orthonormal columns Q.

    Attributes:
        q: Tensor of shape (n, k).
        r: Tensor of shape (k, k) in float64.
    """

    q: tf.Tensor
    r: tf.Tensor


def thin_qr(columns):
    """`ThinQR` of columns of shape (n, k), k ≤ n.

    In float32 by Cholesky factors of YᵀY, which float64 holds although its
    condition is the square of that of Y. Measured on 670,000 × 32: 0.3 s
    where Householder's reflections take 8.6 s.
    """
    if columns.dtype == tf.float64:
        # TensorFlow's reflections take longer still.
        return ThinQR(*map(tf.constant, np.linalg.qr(columns.numpy())))
    q, first = _cholesky_qr(tf.cast(columns, tf.float64))
    q, second = _cholesky_qr(q)
    return ThinQR(tf.cast(q, columns.dtype), second @ first)


@tf.function(reduce_retracing=True, autograph=False)
def _cholesky_qr(columns):
    gram = tf.matmul(columns, columns, transpose_a=True)
    identity = tf.eye(tf.shape(gram)[0], dtype=gram.dtype)
    # Dependent columns, also such that are zero, would leave no factor.
    shift = 1e-14 * tf.linalg.trace(gram) + 1e-290
    lower = tf.linalg.cholesky(gram + shift * identity)
    inverse = tf.linalg.triangular_solve(lower, identity)
    q = tf.matmul(columns, inverse, transpose_b=True)
    return q, tf.transpose(lower)
