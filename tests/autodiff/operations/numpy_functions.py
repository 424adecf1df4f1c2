"""`tf.experimental.numpy` where it is more than an operation above."""

import tensorflow as tf

from tests.autodiff.operations.points import NORMAL

tnp = tf.experimental.numpy
_TIES = [[1.0, -2.0, 0.3], [1.0, -2.0, 0.5]]


def _of_two(name):
    return lambda w: getattr(tnp, name)(w[0], w[1])


def rows():
    found = {
        "logaddexp": (_of_two("logaddexp"), NORMAL),
        "logaddexp, ties": (_of_two("logaddexp"), _TIES),
        "logaddexp2": (_of_two("logaddexp2"), NORMAL),
        "logaddexp2, ties": (_of_two("logaddexp2"), _TIES),
        "hypot": (_of_two("hypot"), NORMAL),
        "hypot, one zero": (_of_two("hypot"), [[0.0, -0.7], [0.5, 0.0]]),
        "sinc, 0": (lambda w: tnp.sinc(w), [0.0, 0.5]),
        "power, 0": (
            lambda w: tnp.power(
                w[:, None], tf.constant([1.0, 2.0, 3.0], w.dtype)
            ),
            [0.0, -0.5],
        ),
        "prod, zeros": (tnp.prod, [0.0, 2.0, 3.0]),
        "cumprod, zeros": (tnp.cumprod, [0.0, 2.0, 0.0]),
        "nanprod, zeros": (tnp.nanprod, [0.0, 2.0, 3.0]),
        "var, ties": (tnp.var, [1.0, 1.0, 1.0]),
    }
    return {f"experimental.numpy.{name}": row for name, row in found.items()}
