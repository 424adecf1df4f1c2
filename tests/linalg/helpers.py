"""Least-squares systems and symmetric operators, dense ones in NumPy."""

import numpy as np
import tensorflow as tf

from keras_curvature.linalg import DualEquations, NormalEquations, StackedQR

KINDS = {
    "cholesky": NormalEquations,
    "qr": StackedQR,
    "dual": DualEquations,
}


def scalar(value):
    return tf.constant(value, tf.float64)


def from_rows(kind, rows, residuals):
    return KINDS[kind].from_rows(tf.constant(rows), tf.constant(residuals))


def dense_step(rows, residuals, damping):
    """The shortest argmin ½‖A·z + r‖² + ½λ‖z‖²."""
    size = rows.shape[1]
    stacked = np.concatenate([rows, np.sqrt(damping) * np.eye(size)])
    right = np.concatenate([-residuals, np.zeros(size)])
    return np.linalg.lstsq(stacked, right, rcond=None)[0]


def damped_matrix(rows, damping):
    """AᵀA + λI."""
    return rows.T @ rows + damping * np.eye(rows.shape[1])


def symmetric(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues and random eigenvectors."""
    size = len(eigenvalues)
    random = np.random.default_rng(seed).standard_normal((size, size))
    vectors = np.linalg.qr(random)[0]
    matrix = (vectors * np.asarray(eigenvalues, "float64")) @ vectors.T
    return (matrix + matrix.T) / 2


class CountingOperator:
    """A matrix that only shows products, and keeps how wide each was."""

    def __init__(self, matrix):
        self._matrix = tf.constant(matrix)
        self.shape, self.dtype = matrix.shape, matrix.dtype
        self.widths = []

    def __matmul__(self, vectors):
        self.widths.append(vectors.shape[1])
        return self._matrix @ vectors
