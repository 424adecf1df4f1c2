"""Smooth functions that are written in pieces, where the pieces meet.

In max(x₁, x₂) + log(1 + exp(−|x₁ − x₂|)) the kinks of the maximum and of the
absolute value cancel. For a derivative at x₁ = x₂, TensorFlow takes the
maximum for x₁ but the slope of |·| for zero: of `keras.ops.logaddexp` the
gradient there is (1, 0) for (½, ½), and the second derivative 0 for ±¼. Here
one comparison chooses all pieces, so that each derivative is that of one
smooth function; elsewhere value and gradient are the same to the last bit.
"""

import functools
import inspect
import math

import keras
import tensorflow as tf

from keras_curvature.autodiff.repairs.operations import (
    captured_tensor,
    created_in,
)
from keras_curvature.autodiff.repairs.pseudo_inverse import pseudo_inverse

_BACKEND = inspect.unwrap(keras.ops.add).__globals__["backend"]
_TNP = tf.experimental.numpy
_EXTREMA = {"GreaterEqual": "Maximum", "LessEqual": "Minimum"}


def _logaddexp(original, x1, x2):
    del original
    x1, x2 = _cast(x1, x2, float)
    return _larger_plus(x1, x2, lambda d: tf.math.log1p(tf.math.exp(-d)))


def _logaddexp2(original, x1, x2):
    del original
    x1, x2 = _cast(x1, x2, float)
    # In single precision, as in the original.
    log2 = tf.cast(tf.math.log(2.0), x1.dtype)
    return _larger_plus(
        x1, x2, lambda d: tf.math.log1p(tf.math.exp(-d * log2)) / log2
    )


def _hypot(original, x1, x2):
    x1, x2 = _cast(x1, x2)
    if not x1.dtype.is_floating:
        return original(x1, x2)
    # There is no derivative at the origin; as elsewhere, zero is taken.
    is_origin = tf.equal(x1, 0) & tf.equal(x2, 0)
    x1, x2 = _absolute(x1), _absolute(x2)
    # A NaN is the larger one.
    is_first = (x1 >= x2) | tf.math.is_nan(x1)
    larger = tf.where(is_first, x1, x2)
    larger = tf.where(is_origin, tf.zeros_like(larger), larger)
    smaller = tf.where(is_first, x2, x1)
    ratio = tf.math.divide_no_nan(smaller, larger)
    return larger * tf.sqrt(1.0 + tf.square(ratio))


def _fmod(original, x1, x2):
    x1, x2 = _cast(x1, x2)
    if not x1.dtype.is_floating:
        return original(x1, x2)
    remainder = tf.math.floormod(_absolute(x1), tf.abs(x2))
    return tf.where(x1 >= 0, remainder, -remainder)


def _celu(original, x, alpha=1.0):
    x = tf.convert_to_tensor(x)
    if not x.dtype.is_floating:
        return original(x, alpha)
    is_linear, zeros = x >= 0, tf.zeros_like(x)
    curved = alpha * tf.math.expm1(tf.where(is_linear, zeros, x) / alpha)
    return tf.where(is_linear, x, zeros) + curved


def _sinc(original, x):
    x = keras.ops.convert_to_tensor(x)
    if not x.dtype.is_floating:
        return original(x)
    is_zero = tf.equal(x, 0)
    pi_x = tf.constant(math.pi, x.dtype) * x
    # The quotient must not see zero: NaN would pass beside the mask.
    elsewhere = tf.where(is_zero, tf.ones_like(pi_x), pi_x)
    series = 1 - pi_x**2 / 6 + pi_x**4 / 120
    return tf.where(is_zero, series, tf.sin(elsewhere) / elsewhere)


def _of_tensorflow(function):
    """The same for `tf.experimental.numpy`, by its own rules of types."""

    def with_its_types(original, *args):
        dtype = tf.as_dtype(_TNP.result_type(*args))
        if not dtype.is_floating:
            return original(*args)
        args = [tf.cast(_TNP.asarray(x), dtype) for x in args]
        return function(original, *args)

    return with_its_types


def _logaddexp2_of_tensorflow(original, x1, x2):
    del original
    return _larger_plus(x1, x2, lambda d: tf.math.log1p(2**-d) / math.log(2))


def _weighted_cross_entropy(original, labels, logits, pos_weight, name=None):
    logits = tf.convert_to_tensor(logits)
    labels = tf.convert_to_tensor(labels)
    if not logits.shape.is_compatible_with(labels.shape):
        return original(labels, logits, pos_weight, name)
    is_positive, zeros = logits >= 0, tf.zeros_like(logits)
    softplus = tf.math.log1p(tf.exp(-_absolute(logits)))
    softplus += tf.where(is_positive, zeros, -logits)
    weight = 1 + (pos_weight - 1) * labels
    return (1 - labels) * logits + weight * softplus


def replacements():
    """(module, name, function) for each function that is mended."""
    numpy, nn = _BACKEND.numpy, _BACKEND.nn
    candidates = [
        (numpy, "logaddexp", _logaddexp),
        (numpy, "logaddexp2", _logaddexp2),
        (numpy, "hypot", _hypot),
        (numpy, "fmod", _fmod),
        (numpy, "sinc", _sinc),
        (nn, "celu", _celu),
        (_TNP, "logaddexp", _of_tensorflow(_logaddexp)),
        (_TNP, "logaddexp2", _of_tensorflow(_logaddexp2_of_tensorflow)),
        (_TNP, "sinc", _of_tensorflow(_sinc)),
        (tf.nn, "weighted_cross_entropy_with_logits", _weighted_cross_entropy),
        (tf.linalg, "pinv", pseudo_inverse),
    ]
    return [
        (owner, name, functools.partial(function, getattr(owner, name)))
        for owner, name, function in candidates
        if hasattr(owner, name)
    ]


# Whose first gradients in a graph are TensorFlow's, so that where the pieces
# meet nothing right is made of them. (celu has no second derivative there, and
# TensorFlow's is that of one side.)
_SOURCES = [
    (code.co_filename, code.co_name)
    for module in (_BACKEND.numpy, _TNP)
    for name in ("fmod", "hypot", "logaddexp", "logaddexp2")
    if hasattr(module, name)
    for code in [inspect.unwrap(getattr(module, name)).__code__]
] + [("nn_impl.py", "weighted_cross_entropy_with_logits_v2")]


def without_slope_at_zero(operation, cotangent, by_x):
    """Of Mul(g, Sign(x)), which a graph holds as the gradient of Abs(x).

    NaN at zeros of what one of these functions takes the absolute value of.
    """
    sign = operation.inputs[1]
    users = _users(sign.op.inputs[0], "Abs") if sign.op.type == "Sign" else []
    if not users:
        return by_x
    is_unknown = tf.equal(sign, 0) & tf.not_equal(cotangent, 0)
    # The slope of hypot at the origin is taken for zero, as that of Abs.
    for larger in _users(users[0].outputs[0], "Maximum"):
        if larger.graph is operation.graph:
            is_unknown &= tf.not_equal(larger.outputs[0], 0)
    return tf.where(is_unknown, _nan(by_x), by_x)


def select(operation, cotangent, registered):
    """Of SelectV2(x ≥ y, g, 0), in a graph the gradient of a maximum.

    NaN where x and y tie in one of these functions. At zero, the maximum of
    hypot is at the origin, and that of logaddexp lies beside an Abs.
    """
    gradients = registered(operation, cotangent)
    if not isinstance(operation, tf.Operation):
        return gradients
    comparison = captured_tensor(operation.inputs[0]).op
    extremum = _EXTREMA.get(comparison.type)
    if not extremum or not _users(comparison.inputs[0], extremum):
        return gradients
    x, y = comparison.inputs
    is_unknown = tf.equal(x, y) & tf.not_equal(x, 0)
    condition, *others = gradients
    return condition, *(
        tf.where(is_unknown & tf.not_equal(g, 0), _nan(g), g) for g in others
    )


def _users(tensor, kind):
    """What operations of this type in these functions use a tensor."""
    return [
        consumer
        for consumer in captured_tensor(tensor).consumers()
        if consumer.type == kind
        and any(created_in(consumer, *source) for source in _SOURCES)
    ]


def _nan(like):
    return tf.constant(float("nan"), like.dtype)


def _cast(x1, x2, *others):
    x1 = keras.ops.convert_to_tensor(x1)
    x2 = keras.ops.convert_to_tensor(x2)
    dtype = keras.backend.result_type(x1.dtype, x2.dtype, *others)
    return tf.cast(x1, dtype), tf.cast(x2, dtype)


def _absolute(x):
    return tf.where(x >= 0, x, -x)


def _larger_plus(x1, x2, function):
    """max(x1, x2) + f(|x1 − x2|); infinities without a distance add up."""
    larger, distance = _larger_and_distance(x1, x2)
    return tf.where(
        tf.math.is_nan(distance), x1 + x2, larger + function(distance)
    )


def _larger_and_distance(x1, x2):
    is_first = x1 >= x2
    difference = x1 - x2
    return (
        tf.where(is_first, x1, x2),
        tf.where(is_first, difference, -difference),
    )
