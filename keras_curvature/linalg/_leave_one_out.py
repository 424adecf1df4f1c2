"""A sketch of an operator that each of its test vectors can be left out of."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature.linalg._thin_qr import thin_qr


class LeaveOneOut(NamedTuple):
    """A·Ω = Q·R, and A·Q.

    The range of A·Ω without its column i is that of Q without the direction
    Q·sᵢ. So each column can test what the others leave of A, and no product
    is lost.

    Attributes:
        q, images: Q and A·Q, tensors of shape (n, r).
        r: R, NumPy array of shape (r, k).
        left_out: The columns sᵢ, NumPy array of shape (r, k). Zero where A·Ω
            has dependent columns: its range then lacks nothing without one.

    References:
        Epperly, Tropp, Webber, 2024, "XTrace: making the most of every sample
        in stochastic trace estimation", SIAM J. Matrix Anal. Appl. 45(1).
    """

    q: tf.Tensor
    images: tf.Tensor
    r: np.ndarray
    left_out: np.ndarray

    @classmethod
    def from_columns(cls, products, columns):
        """From A·Ω, with as many products again."""
        q, r = thin_qr(columns)
        r = r.numpy()
        left, values, _ = np.linalg.svd(r)
        smallest = 10 * len(r) * products.epsilon * values[0]
        rank = int(np.sum(values > smallest))
        if rank == len(r):
            inverse = np.linalg.inv(r).T
            left_out = inverse / np.linalg.norm(inverse, axis=0)
        else:
            left = left[:, : max(rank, 1)]
            q, r = q @ tf.constant(left, q.dtype), left.T @ r
            left_out = np.zeros_like(r)
        return cls(q, products(q), r, left_out)
