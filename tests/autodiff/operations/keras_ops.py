"""The functions of `keras.ops` that have a derivative."""

import keras
import numpy as np
import tensorflow as tf

from tests.autodiff.operations.points import NORMAL, POSITIVE, REGULAR

ops = keras.ops
IMAGE = np.random.default_rng(1).normal(size=(1, 5, 5, 2))
SERIES = np.random.default_rng(2).normal(size=(1, 8))
_KERNEL = np.random.default_rng(3).normal(size=(2, 2, 2, 2))
_ONE_CHANNEL = _KERNEL[..., :1]

# Of one tensor, by name alone. At NORMAL no entry is zero or tied.
_ANYWHERE = (
    "average cbrt celu deg2rad diag diagflat diagonal diff erfc hard_shrink "
    "hard_sigmoid hard_silu hard_swish hard_tanh i0 log_sigmoid logsumexp "
    "median nan_to_num nancumsum nanmax nanmean nanmedian nanmin nanstd "
    "nansum nanvar normalize pinv ptp rad2deg rms_normalization rot90 sinc "
    "soft_shrink sort sparse_plus sparse_sigmoid sparsemax squareplus std "
    "tanh_shrink trace trapezoid tril triu var nanprod nancumprod"
)
_POSITIVE = "log2"


def _named(name):
    return lambda w: getattr(ops, name)(w)


def _of_tensor(function):
    """Of the value of a variable, whose `ndim` some functions ask for."""
    return lambda w: function(tf.convert_to_tensor(w))


def _available(rows):
    """Only those that this version of Keras has."""
    return {
        f"keras.ops.{name}": (_of_tensor(row[0]), *row[1:])
        for name, row in rows.items()
        if hasattr(ops, name.partition(",")[0].partition("(")[0])
    }


def rows():
    found = {name: (_named(name), NORMAL) for name in _ANYWHERE.split()}
    found |= {name: (_named(name), POSITIVE) for name in _POSITIVE.split()}
    return _available(found | _OTHERS)


def _beside(w, value):
    return ops.concatenate([w, ops.full((1,), value, "float64")])


def _symmetric(w):
    return w + tf.transpose(w)


_OTHERS = {
    "adaptive_average_pool": (lambda w: ops.adaptive_average_pool(w, 2), IMAGE),
    "adaptive_max_pool": (lambda w: ops.adaptive_max_pool(w, 2), IMAGE),
    "append": (lambda w: ops.append(w, w * w), NORMAL),
    "associative_scan": (
        lambda w: ops.associative_scan(lambda a, b: a * b, w),
        NORMAL,
    ),
    "batch_normalization": (
        lambda w: ops.batch_normalization(w, w[0], w[1] ** 2 + 1, -1),
        NORMAL,
    ),
    "binary_crossentropy": (
        lambda w: ops.binary_crossentropy(w[:1], w[1:2]),
        POSITIVE,
    ),
    "categorical_crossentropy": (
        lambda w: ops.categorical_crossentropy(np.eye(3), w),
        POSITIVE,
    ),
    "cdist": (lambda w: ops.cdist(w, w[::-1] + 3), NORMAL),
    "correlate": (lambda w: ops.correlate(w[0], w[1]), NORMAL),
    "cross": (lambda w: ops.cross(w[0], w[1]), NORMAL),
    "ctc_loss": (
        lambda w: ops.ctc_loss(
            np.array([[1, 2]]), w[None], np.array([2]), np.array([3])
        ),
        NORMAL,
        1e-3,
        3e-2,
    ),
    "dot": (lambda w: ops.dot(w, w), NORMAL),
    "dot_product_attention": (
        lambda w: ops.dot_product_attention(
            w[None, :, None], w[None, :, None] ** 2, w[None, :, None]
        ),
        NORMAL,
    ),
    "dstack": (lambda w: ops.dstack([w, w**2]), NORMAL),
    "extract_sequences": (lambda w: ops.extract_sequences(w, 4, 2), SERIES),
    "fft": (lambda w: ops.fft((w, w**2))[0], NORMAL),
    "fmax": (lambda w: ops.fmax(w, w[::-1] ** 2), NORMAL),
    "fmin": (lambda w: ops.fmin(w, w[::-1] ** 2), NORMAL),
    "fmod": (lambda w: ops.fmod(w, 1.7), NORMAL),
    "fold": (
        lambda w: ops.fold(w, (3, 3), 2),
        np.random.default_rng(4).normal(size=(1, 4, 4)),
    ),
    "geomspace": (
        lambda w: ops.geomspace(w[0, 0], w[0, 1], 4, dtype="float64"),
        POSITIVE,
    ),
    "glu": (lambda w: ops.glu(w), IMAGE),
    "gelu, exact": (lambda w: ops.gelu(w, approximate=False), NORMAL),
    "hstack": (lambda w: ops.hstack([w, w**2]), NORMAL),
    "hypot": (lambda w: ops.hypot(w, w[::-1] ** 2), NORMAL),
    "inner": (lambda w: ops.inner(w, w), NORMAL),
    "irfft": (lambda w: ops.irfft((w, w**2)), NORMAL),
    "istft": (lambda w: ops.istft(ops.stft(w, 4, 2, 4), 4, 2, 4), SERIES),
    "jvp": (lambda w: ops.jvp(lambda x: x**3, (w,), (w,))[1], NORMAL),
    "layer_normalization": (lambda w: ops.layer_normalization(w), NORMAL),
    "ldexp": (lambda w: ops.ldexp(w, 2), NORMAL),
    "linspace": (
        lambda w: ops.linspace(w[0, 0], w[0, 1], 4, dtype="float64"),
        NORMAL,
    ),
    "logaddexp": (lambda w: ops.logaddexp(w, w[::-1] ** 2), NORMAL),
    "logaddexp2": (lambda w: ops.logaddexp2(w, w[::-1] ** 2), NORMAL),
    "logspace": (
        lambda w: ops.logspace(w[0, 0], w[0, 1], 4, dtype="float64"),
        POSITIVE,
    ),
    "lstsq": (lambda w: ops.lstsq(w, w[:, 0] + 1), REGULAR),
    "nanpercentile": (lambda w: ops.nanpercentile(w, 30), NORMAL),
    "nanquantile": (lambda w: ops.nanquantile(w, 0.3), NORMAL),
    "norm": (lambda w: ops.norm(w, axis=1), NORMAL),
    "norm, 3": (lambda w: ops.norm(w, ord=3, axis=1), NORMAL),
    "norm, nuclear": (lambda w: ops.norm(w, ord="nuc"), REGULAR),
    "nextafter": (lambda w: ops.nextafter(w, w + 1) ** 2, NORMAL),
    "outer": (lambda w: ops.outer(w, w), NORMAL),
    "pad, reflect": (
        lambda w: ops.pad(w, ((1, 1), (0, 2)), mode="reflect"),
        NORMAL,
    ),
    "percentile": (lambda w: ops.percentile(w, 30), NORMAL),
    "polar": (lambda w: ops.real(ops.polar(w, w**2)), POSITIVE),
    "power": (lambda w: ops.power(w, w[::-1] + 1), POSITIVE),
    "psnr": (lambda w: ops.psnr(w, w[::-1] ** 2, 1.0), POSITIVE),
    "quantile": (lambda w: ops.quantile(w, 0.3), NORMAL),
    "cholesky_inverse": (lambda w: ops.cholesky_inverse(w), REGULAR),
    "logdet": (lambda w: ops.logdet(_symmetric(w)), REGULAR),
    "slogdet": (lambda w: ops.slogdet(w)[1], REGULAR),
    "eig": (lambda w: tf.math.real(ops.eig(w)[0]), REGULAR),
    "svd, vectors": (lambda w: ops.svd(w)[0] ** 2, REGULAR),
    "pinv": (lambda w: ops.pinv(w), REGULAR),
    "rearrange": (lambda w: ops.rearrange(w, "a b -> b a"), NORMAL),
    "rfft": (lambda w: ops.rfft(w)[1], SERIES),
    "scan": (
        lambda w: ops.scan(lambda a, x: (ops.tanh(a * x), a), w[0], w)[0],
        NORMAL,
    ),
    "scatter": (lambda w: ops.scatter([[0], [0]], w[:2, 0], (2,)), NORMAL),
    "scatter_update": (
        lambda w: ops.scatter_update(w, [[0, 1], [2, 2]], w[1, :2] ** 2),
        NORMAL,
    ),
    "select": (lambda w: ops.select([w > 0, w > -1], [w**2, w**3]), NORMAL),
    "separable_conv": (
        lambda w: ops.separable_conv(
            w, w[0, :2, :2, :, None], w[:1, :1, :2, :]
        ),
        IMAGE,
    ),
    "stft": (lambda w: ops.stft(w, 4, 2, 4)[0], SERIES),
    "take_along_axis": (
        lambda w: ops.take_along_axis(w, np.array([[0, 0, 1]]), 1),
        NORMAL,
    ),
    "tensordot": (lambda w: ops.tensordot(w, w), NORMAL),
    "threshold": (lambda w: ops.threshold(w, 0.1, 0.0), NORMAL),
    "unfold": (lambda w: ops.unfold(w, 2), IMAGE),
    "vander": (lambda w: ops.vander(w[0]), NORMAL),
    "vdot": (lambda w: ops.vdot(w, w), NORMAL),
    "view_as_complex": (
        lambda w: ops.real(ops.view_as_complex(w[:, :2]) ** 2),
        NORMAL,
        1e-3,
        3e-2,
    ),
    "view_as_real": (lambda w: ops.view_as_real(tf.complex(w, w**2)), NORMAL),
    "vstack": (lambda w: ops.vstack([w, w**2]), NORMAL),
    "prod, zeros": (lambda w: ops.prod(w), [0.0, 2.0, 3.0]),
    "cumprod, zeros": (lambda w: ops.cumprod(w), [0.0, 2.0, 0.0]),
    "nanprod, zeros": (lambda w: ops.nanprod(w), [0.0, 2.0, 3.0]),
    "nancumprod, zeros": (lambda w: ops.nancumprod(w), [0.0, 2.0, 0.0]),
    "segment_prod, zeros": (
        lambda w: ops.segment_prod(w, np.array([0, 0, 0, 1])),
        [0.0, 0.0, 2.0, 3.0],
    ),
    "var, ties": (lambda w: ops.var(w), [1.0, 1.0, 1.0]),
    "sinc, 0": (lambda w: ops.sinc(w), [0.0, 0.5]),
    "logaddexp, ties": (
        lambda w: ops.logaddexp(w[0], w[1]),
        [[1.0, -2.0], [1.0, -2.0]],
    ),
    "logaddexp, one of ties": (
        lambda w: ops.logaddexp(w, [1.0, 0.5]),
        [1.0, -2.0],
    ),
    "logaddexp, ties, broadcast": (
        lambda w: ops.logaddexp(w[:, None], w),
        [1.0, -2.0, 1.0],
    ),
    "logaddexp2, ties": (
        lambda w: ops.logaddexp2(w[0], w[1]),
        [[1.0, -2.0], [1.0, -2.0]],
    ),
    "hypot, ties": (
        lambda w: ops.hypot(w[0], w[1]),
        [[0.7, -0.7, 0.7, -0.4], [0.7, -0.7, -0.7, 0.4]],
    ),
    "hypot, one zero": (
        lambda w: ops.hypot(w[0], w[1]),
        [[0.0, -0.7], [0.5, 0.0]],
    ),
    "fmod, 0": (lambda w: ops.fmod(w**3 + w, 1.7), [0.0, 0.4]),
    "logaddexp, far": (lambda w: ops.logaddexp(w, 0.0), [800.0, -800.0]),
    "arctan2, y = 0": (lambda w: ops.arctan2(w, ops.exp(w)), [0.0, 0.5]),
    "power(x, 0, 1, 2, 3), 0 and negative": (
        lambda w: ops.power(w[:, None], [0.0, 1.0, 2.0, 3.0]),
        [0.0, -0.5],
    ),
    "power(x, y), y = 0": (
        lambda w: ops.power(w[0], w[1]),
        [[0.5, 1.5], [0.0, 1.0]],
    ),
    "vander, 0": (lambda w: ops.vander(w), [0.0, -0.5]),
    "power(x, 2), 0 and negative": (lambda w: ops.power(w, 2.0), [0.0, -0.5]),
    "divide_no_nan, x = 0": (
        lambda w: ops.divide_no_nan(w, ops.exp(w)),
        [0.0, 0.5],
    ),
    "divide_no_nan, divisor 0": (
        lambda w: ops.divide_no_nan(w, w[::-1] * 0.0),
        [0.3, 0.5],
    ),
    "squareplus, 0": (lambda w: ops.squareplus(w), [0.0, 0.5]),
    "logsumexp, ties": (lambda w: ops.logsumexp(w), [1.0, 1.0, 1.0]),
    "take, repeated": (lambda w: ops.take(w, np.array([0, 0, 1])), [1.0, 2.0]),
    "scatter, repeated": (
        lambda w: ops.scatter([[0], [0]], w, (2,)),
        [1.0, 2.0],
    ),
    "nan_to_num, NaN": (
        lambda w: ops.nan_to_num(_beside(w**3, np.nan)),
        [1.0, 2.0],
    ),
    "nansum, NaN": (lambda w: ops.nansum(_beside(w**3, np.nan)), [1.0, 2.0]),
    "nanmean, NaN": (lambda w: ops.nanmean(_beside(w**3, np.nan)), [1.0, 2.0]),
    "nanvar, NaN": (lambda w: ops.nanvar(_beside(w**3, np.nan)), [1.0, 2.0]),
    "cdist, far": (lambda w: ops.cdist(w, w + 100.0), NORMAL),
    "i0, 0": (lambda w: ops.i0(w), [0.0, 0.5]),
    "cbrt, negative": (lambda w: ops.cbrt(w), [-0.4, 0.5]),
    "softmax, far": (lambda w: ops.softmax(w), [800.0, -800.0]),
    "erf, 0": (lambda w: ops.erf(w), [0.0, 0.5]),
    "sum, empty": (lambda w: ops.sum(w[:0]) + ops.sum(w**3), [1.0, 2.0]),
    "prod, empty": (lambda w: ops.prod(w[:0]) * ops.sum(w**3), [1.0, 2.0]),
    "max, ties": (lambda w: ops.max(w**2), [1.0, 0.3]),
}
