"""Matrices whose singular values are equal or zero, and further functions."""

import numpy as np
import tensorflow as tf

from tests.autodiff.operations.points import NORMAL, REGULAR

linalg = tf.linalg
_IDENTITY, _ZERO = np.eye(3), np.zeros((3, 3))
_TWO_EQUAL = np.diag([1.0, 1.0, 2.0])


def _pinv(w):
    return linalg.pinv(w)


def _symmetric(w):
    return w + tf.transpose(w)


def rows():
    found = {
        "pinv, identity": (_pinv, _IDENTITY),
        "pinv, two equal values": (_pinv, _TWO_EQUAL),
        "pinv, tall, equal values": (_pinv, _IDENTITY[:, :2]),
        "pinv, wide": (_pinv, NORMAL[:2]),
        "inv, adjoint": (lambda w: linalg.inv(w, adjoint=True), REGULAR),
        "slogdet, negative": (lambda w: linalg.slogdet(-w)[1], REGULAR),
        "logdet, equal values": (
            lambda w: linalg.logdet(_symmetric(w)),
            _TWO_EQUAL,
        ),
        "cholesky, identity": (
            lambda w: linalg.cholesky(_symmetric(w)),
            _IDENTITY,
        ),
        "solve, adjoint": (
            lambda w: linalg.solve(w, w**2, adjoint=True),
            REGULAR,
        ),
        "triangular_solve, upper adjoint": (
            lambda w: linalg.triangular_solve(w, w, lower=False, adjoint=True),
            REGULAR,
        ),
        "normalize": (lambda w: linalg.normalize(w, axis=1)[0], REGULAR),
        "global_norm": (lambda w: linalg.global_norm([w, w**2]), REGULAR),
        "l2_normalize": (lambda w: linalg.l2_normalize(w, 1), REGULAR),
    }
    return {f"linalg.{name}": row for name, row in found.items()}
