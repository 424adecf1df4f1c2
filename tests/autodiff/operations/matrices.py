"""Matrix products, factorizations and Fourier transforms."""

import tensorflow as tf

from tests.autodiff.operations.points import NORMAL, REGULAR

linalg = tf.linalg


def _definite(w):
    return tf.matmul(w, w, transpose_b=True) + tf.eye(3, dtype=w.dtype)


def _symmetric(w):
    return w + tf.transpose(w)


def _complex(w):
    return tf.cast(w, tf.complex128)


def _power(x):
    return tf.math.abs(x) ** 2


def rows():
    regular = {
        "linalg.det": linalg.det,
        "linalg.slogdet": lambda w: linalg.slogdet(w)[1],
        "linalg.logdet": lambda w: linalg.logdet(_definite(w)),
        "linalg.inv": linalg.inv,
        "linalg.pinv": linalg.pinv,
        "linalg.expm": linalg.expm,
        "linalg.sqrtm": linalg.sqrtm,
        "linalg.cholesky": lambda w: linalg.cholesky(_definite(w)),
        "linalg.qr, square": lambda w: linalg.qr(w)[0],
        "linalg.qr, tall": lambda w: linalg.qr(w[:, :2])[1],
        "linalg.qr, wide": lambda w: linalg.qr(w[:2])[1] ** 2,
        "linalg.eigvalsh": lambda w: linalg.eigvalsh(_symmetric(w)),
        "linalg.eigh, vectors": lambda w: linalg.eigh(_symmetric(w))[1] ** 2,
        "linalg.svd, values": lambda w: linalg.svd(w, compute_uv=False),
        "linalg.svd, wide": lambda w: linalg.svd(w[:2], compute_uv=False),
        "linalg.svd, vectors": lambda w: linalg.svd(w)[1] ** 2,
        "linalg.solve": lambda w: linalg.solve(w, w**2),
        "linalg.triangular_solve": lambda w: linalg.triangular_solve(w, w**2),
        "linalg.banded_triangular_solve": lambda w: (
            linalg.banded_triangular_solve(w[:2], w[:, :1])
        ),
        "linalg.cholesky_solve": lambda w: linalg.cholesky_solve(
            linalg.cholesky(_definite(w)), w
        ),
        "linalg.lstsq": lambda w: linalg.lstsq(w, w[:, :1] ** 2, fast=True),
        "linalg.tridiagonal_solve": lambda w: linalg.tridiagonal_solve(
            w + 1, w[0] ** 2
        ),
        "linalg.tridiagonal_matmul": lambda w: linalg.tridiagonal_matmul(
            w, w**2
        ),
    }
    ordinary = {
        "matmul": lambda w: w @ w,
        "einsum": lambda w: tf.einsum("ij,kj->ik", w, w),
        "tensordot": lambda w: tf.tensordot(w, w, [[1], [0]]),
        "linalg.cross": lambda w: linalg.cross(w, w[::-1]),
        "linalg.trace": lambda w: linalg.trace(w @ w),
        "signal.fft": lambda w: _power(tf.signal.fft(_complex(w))),
        "signal.ifft": lambda w: _power(tf.signal.ifft(_complex(w))),
        "signal.fft2d": lambda w: _power(tf.signal.fft2d(_complex(w))),
        "signal.rfft": lambda w: _power(tf.signal.rfft(w)),
        "signal.irfft": lambda w: tf.signal.irfft(tf.complex(w, w**2)),
        "signal.rfft2d": lambda w: _power(tf.signal.rfft2d(w)),
        "signal.dct": tf.signal.dct,
        "signal.stft": lambda w: _power(
            tf.signal.stft(tf.reshape(w, [-1]), 4, 2)
        ),
    }
    return {name: (f, REGULAR) for name, f in regular.items()} | {
        name: (f, NORMAL) for name, f in ordinary.items()
    }
