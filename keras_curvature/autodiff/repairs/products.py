"""Products of entries, with derivatives that hold at zeros.

TensorFlow divides a product by its entries, or leaves entries out under
conditions that are constants to the next derivative. Here the product of all
other entries is made of products and sums, which may be differentiated again.
(`tf.reduce_prod` needs no more: its gradient is made of cumulative products.)
"""

import tensorflow as tf

from keras_curvature.autodiff.repairs.errors import refusal
from keras_curvature.autodiff.repairs.operations import created_in
from keras_curvature.autodiff.tensorflow_private import (
    is_recorded,
    source_of_cumulative_product_gradient,
)

_LARGEST_LENGTH = 2**31


def cumulative_product(operation, cotangent, registered):
    """Of Cumprod(x, axis), where an entry on the axis is zero.

    With Sₖ = gₖ + xₖ₊₁·Sₖ₊₁ and P the product of the entries before k, the
    gradient is P·S.
    """
    x, axis = operation.inputs
    by_x, _ = registered(operation, cotangent)
    axis = tf.get_static_value(axis)
    if axis is None or not x.dtype.is_floating:
        return by_x, None
    permutation = list(range(x.shape.rank))
    permutation[0], permutation[axis] = permutation[axis], permutation[0]
    reverses = [0] if operation.get_attr("reverse") else []

    def first(tensor):
        return tf.reverse(tf.transpose(tensor, permutation), reverses)

    x, cotangent = first(x), first(cotangent)
    if operation.get_attr("exclusive"):
        cotangent = _shifted(cotangent, 1)
    sums = _recurrence(_shifted(x, 1), cotangent)
    exact = tf.math.cumprod(x, exclusive=True) * sums
    exact = tf.transpose(tf.reverse(exact, reverses), permutation)
    has_zero = tf.reduce_any(operation.inputs[0] == 0, axis, keepdims=True)
    return tf.where(has_zero, exact, by_x), None


def divide_no_nan(operation, cotangent, registered):
    """Of DivNoNan(sum, x), which a graph holds as the gradient of Cumprod.

    At zeros this gradient is wrong already, so that nothing right is made of
    it: NaN, which an optimizer does not step by.
    """
    by_sum, by_x = registered(operation, cotangent)
    if isinstance(operation, tf.Operation) and created_in(
        operation, *source_of_cumulative_product_gradient()
    ):
        x = operation.inputs[1]
        # Where a mask lets nothing pass, this gradient was not used.
        is_used = (x == 0) & (cotangent != 0)
        invalid = tf.constant(float("nan"), x.dtype)
        by_sum = tf.where(is_used, invalid, by_sum)
        by_x = tf.where(is_used, invalid, by_x)
    return by_sum, by_x


def segment_product(operation, cotangent, registered):
    """Of SegmentProd(x, ids) and UnsortedSegmentProd(x, ids, count)."""
    if not is_recorded() or isinstance(operation, tf.Operation):
        return registered(operation, cotangent)
    x, ids = operation.inputs[:2]
    flat = tf.reshape(ids, [-1])
    rows = tf.reshape(x, tf.concat([[-1], tf.shape(x)[tf.rank(ids) :]], 0))
    order = tf.argsort(flat, stable=True)
    sorted_ids, rows = tf.gather(flat, order), tf.gather(rows, order)
    others = _product_of_others(rows, sorted_ids)
    others = tf.gather(others, tf.math.invert_permutation(order))
    is_dropped = tf.reshape(
        flat < 0, tf.concat([[-1], tf.ones([tf.rank(rows) - 1], "int32")], 0)
    )
    gathered = tf.gather(cotangent, tf.maximum(flat, 0))
    gradient = tf.where(is_dropped, tf.zeros_like(gathered), gathered * others)
    gradient = tf.reshape(gradient, tf.shape(x))
    return [gradient] + [None] * (len(operation.inputs) - 1)


def refuse_segment_product(operation, *_):
    """Where the gradient is in a graph, made by TensorFlow."""
    raise refusal(
        operation,
        "TensorFlow's gradient holds which entries are zero for a constant.",
        "keras_curvature.Model or keras_curvature.Sequential, whose tapes "
        "have the exact one, or `tf.reduce_prod` along an axis.",
    )


def _product_of_others(rows, ids):
    """Of each row, the product of the other rows of equal sorted ids."""
    is_start = tf.concat([[True], ids[1:] != ids[:-1]], 0)
    after = _exclusive(rows, _shifted(is_start, 1, True))
    backwards = tf.reverse(rows, [0])
    is_end = tf.concat([[True], tf.reverse(ids[1:] != ids[:-1], [0])], 0)
    before = _exclusive(backwards, _shifted(is_end, 1, True))
    return after * tf.reverse(before, [0])


def _exclusive(rows, is_last):
    """The product of the rows after each, up to the one that is last."""
    shape = tf.concat([[-1], tf.ones([tf.rank(rows) - 1], "int32")], 0)
    is_last = tf.reshape(is_last, shape)
    factors = tf.where(is_last, tf.zeros_like(rows), _shifted(rows, 1))
    ones = tf.where(is_last, tf.ones_like(rows), tf.zeros_like(rows))
    return _recurrence(factors, ones)


def _recurrence(factors, terms):
    """Sₖ = terms[k] + factors[k]·Sₖ₊₁ along the first axis.

    By doubling the distance that each entry reaches, not entry by entry.
    """
    length = factors.shape[0]
    distance = 1
    while distance < (_LARGEST_LENGTH if length is None else length):
        terms += factors * _shifted(terms, distance)
        factors *= _shifted(factors, distance)
        distance *= 2
    return terms


def _shifted(tensor, distance, fill=0):
    """tensor[k + distance] at k, `fill` past the end."""
    distance = tf.minimum(distance, tf.shape(tensor)[0])
    filled = tf.fill(tf.shape(tensor[:distance]), tf.cast(fill, tensor.dtype))
    shifted = tf.concat([tensor[distance:], filled], 0)
    return tf.ensure_shape(shifted, tensor.shape)
