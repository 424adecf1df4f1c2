"""Least-squares systems and their dense counterparts in NumPy."""

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
