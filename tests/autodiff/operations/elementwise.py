"""Elementwise operations at ordinary points."""

import tensorflow as tf

from tests.autodiff.operations.points import NORMAL, POSITIVE

_EVERYWHERE = (
    "sin cos tan sinh cosh tanh asinh atan exp expm1 erf erfc sigmoid softplus "
    "square abs"
)
_POSITIVE = (
    "asin acos atanh log log1p sqrt rsqrt lgamma digamma erfinv ndtri erfcinv "
    "reciprocal bessel_i0 bessel_i1 bessel_i0e bessel_i1e"
)
_SPECIAL = (
    "bessel_j0 bessel_j1 bessel_y0 bessel_y1 bessel_k0 bessel_k1 bessel_k0e "
    "bessel_k1e dawsn expint fresnel_cos fresnel_sin spence"
)
_ACTIVATIONS = "relu relu6 elu selu leaky_relu softsign gelu silu crelu"
math = tf.math


def _constant(x):
    return tf.constant(x, tf.float64)


def rows():
    found = {
        f"math.{n}": (getattr(math, n), NORMAL) for n in _EVERYWHERE.split()
    }
    for name in _POSITIVE.split():
        found[f"math.{name}"] = getattr(math, name), POSITIVE
    for name in _SPECIAL.split():
        found[f"math.special.{name}"] = getattr(math.special, name), POSITIVE
    for name in _ACTIVATIONS.split():
        found[f"nn.{name}"] = getattr(tf.nn, name), NORMAL
    return found | _OF_TWO


_OF_TWO = {
    "math.acosh": (math.acosh, POSITIVE + 1.5),
    "math.atan2": (lambda w: math.atan2(w, w[::-1] + 2), POSITIVE),
    "math.xlogy": (lambda w: math.xlogy(w, w * w + 1), POSITIVE),
    "math.xlog1py": (lambda w: math.xlog1py(w, w * w), POSITIVE),
    "math.xdivy": (lambda w: math.xdivy(w, w * w + 1), POSITIVE),
    "math.divide_no_nan": (
        lambda w: math.divide_no_nan(w, w * w + 1),
        POSITIVE,
    ),
    "math.multiply_no_nan": (lambda w: math.multiply_no_nan(w, w), NORMAL),
    "math.pow": (lambda w: w ** (w + 1), POSITIVE),
    "math.truediv": (lambda w: w / (w * w + 1), NORMAL),
    "math.floormod": (lambda w: w % 1.7, NORMAL),
    "math.floordiv": (lambda w: w * (w // 0.3), NORMAL),
    "math.nextafter": (lambda w: math.nextafter(w, w + 1) ** 2, NORMAL),
    "math.squared_difference": (
        lambda w: math.squared_difference(w, w[::-1]),
        NORMAL,
    ),
    "math.maximum": (lambda w: math.maximum(w, w[::-1] ** 2), NORMAL),
    "math.minimum": (lambda w: math.minimum(w**2, 0.2), NORMAL),
    "clip_by_value": (lambda w: tf.clip_by_value(w**2, -0.5, 0.5), NORMAL),
    "clip_by_norm": (lambda w: tf.clip_by_norm(w, 0.5), NORMAL),
    "clip_by_global_norm": (
        lambda w: tf.clip_by_global_norm([w], 0.5)[0],
        NORMAL,
    ),
    "where": (lambda w: tf.where(w > 0, w**2, -(w**3)), NORMAL),
    "math.igamma by x": (
        lambda w: math.igamma(_constant(1.3), w + 0.2),
        POSITIVE,
    ),
    "math.igamma by a": (
        lambda w: math.igamma(w + 1, _constant(1.2)),
        POSITIVE,
    ),
    "math.igammac by x": (
        lambda w: math.igammac(_constant(1.3), w + 0.2),
        POSITIVE,
    ),
    "math.igammac by a": (
        lambda w: math.igammac(w + 1, _constant(1.2)),
        POSITIVE,
    ),
    "math.betainc by x": (
        lambda w: math.betainc(_constant(1.3), _constant(0.7), w),
        POSITIVE,
    ),
    "math.lbeta": (math.lbeta, POSITIVE),
    "math.polygamma by x": (
        lambda w: math.polygamma(_constant(1.0), w),
        POSITIVE,
    ),
    "math.zeta by q": (lambda w: math.zeta(_constant(2.5), w), POSITIVE),
    "math.abs, complex": (lambda w: math.abs(tf.complex(w, w**2)), NORMAL),
    "math.angle": (lambda w: math.angle(tf.complex(w, w**2 + 1)), NORMAL),
    "nn.softmax": (tf.nn.softmax, NORMAL),
    "nn.log_softmax": (tf.nn.log_softmax, NORMAL),
    "nn.softmax_cross_entropy_with_logits": (
        lambda w: tf.nn.softmax_cross_entropy_with_logits(
            tf.nn.softmax(w**2), w
        ),
        NORMAL,
    ),
    "nn.sparse_softmax_cross_entropy_with_logits": (
        lambda w: tf.nn.sparse_softmax_cross_entropy_with_logits([0, 1, 2], w),
        NORMAL,
    ),
    "nn.sigmoid_cross_entropy_with_logits": (
        lambda w: tf.nn.sigmoid_cross_entropy_with_logits(tf.sigmoid(w), w**2),
        NORMAL,
    ),
    "nn.log_poisson_loss": (
        lambda w: tf.nn.log_poisson_loss(w**2, w),
        NORMAL,
    ),
    "nn.l2_loss": (tf.nn.l2_loss, NORMAL),
    "nn.bias_add": (lambda w: tf.nn.bias_add(w, w[0] ** 2), NORMAL),
}
