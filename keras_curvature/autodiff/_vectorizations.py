"""Operations that TensorFlow vectorizes wrongly, slowly or not at all."""

import contextlib
import threading

import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import (
    VECTORIZATIONS,
    vectorized,
)

_lock = threading.Lock()
_users: list[object] = []


@contextlib.contextmanager
def better_vectorizations():
    """While open, samples are vectorized as written here."""
    # Replicas are traced in threads, of which the last restores.
    with _lock:
        _users.append(None)
        VECTORIZATIONS.update(_OURS)
    try:
        yield
    finally:
        with _lock:
            _users.pop()
            if not _users:
                VECTORIZATIONS.update(_THEIRS)


def _product(operation):
    """With a matrix of all samples, as one product of all rows.

    TensorFlow makes of it a product of shapes (samples, 1, m, k) and
    (1, 1, k, n), of which oneDNN 3.7, which TensorFlow 2.21 has, gives wrong
    numbers and writes beyond its memory on some processors.
    """
    (x, x_is_stacked, _), (y, y_is_stacked, _) = (
        operation.input(place) for place in (0, 1)
    )
    ranks = x.shape.rank, y.shape.rank
    is_shared = x_is_stacked and not y_is_stacked and None not in ranks
    if (
        not is_shared
        or ranks[1] > ranks[0] - 1
        or y.shape[:-2].num_elements() != 1
    ):
        return _THEIRS["BatchMatMulV2"](operation)
    if operation.get_attr("adj_x"):
        x = tf.linalg.adjoint(x)
    matrix = tf.reshape(y, tf.shape(y)[-2:])
    rows = tf.reshape(x, [-1, tf.shape(x)[-1]])
    product = tf.matmul(rows, matrix, adjoint_b=operation.get_attr("adj_y"))
    shape = tf.concat([tf.shape(x)[:-1], tf.shape(product)[-1:]], 0)
    return vectorized(tf.reshape(product, shape), True)


def _depthwise(operation):
    """With a kernel of all samples, as one convolution of a larger batch.

    TensorFlow's own takes a kernel for each sample only.
    """
    (x, x_is_stacked, _), (kernel, kernel_is_stacked, _) = (
        operation.input(place) for place in (0, 1)
    )
    if kernel_is_stacked or not x_is_stacked:
        return _stacked(operation, 0, 1)
    y = tf.raw_ops.DepthwiseConv2dNative(
        input=_one_batch(x), filter=kernel, **_settings(operation)
    )
    return vectorized(_apart(y, x), True)


def _depthwise_by_input(operation):
    """The derivative of such a convolution by its input."""
    (sizes, own_sizes, _), (kernel, own_kernel, _), (y, is_stacked, _) = (
        operation.input(place) for place in (0, 1, 2)
    )
    if own_sizes or own_kernel or not is_stacked:
        return _stacked(operation, 1, 2)
    batch = tf.shape(y)[0] * sizes[:1]
    x = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=tf.concat([batch, sizes[1:]], 0),
        filter=kernel,
        out_backprop=_one_batch(y),
        **_settings(operation),
    )
    return vectorized(_apart(x, y), True)


def _depthwise_by_kernel(operation):
    """The derivative by the kernel, of which each sample has its own."""
    return _stacked(operation, 0, 2)


def _stacked(operation, *places):
    """TensorFlow's own, of inputs that are repeated for each sample."""
    operation.stack_inputs(places)
    return _THEIRS[operation.op_type](operation)


def _one_batch(x):
    return tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], 0))


def _apart(y, x):
    return tf.reshape(y, tf.concat([tf.shape(x)[:2], tf.shape(y)[1:]], 0))


def _settings(operation):
    names = (
        "strides",
        "padding",
        "explicit_paddings",
        "data_format",
        "dilations",
    )
    return {name: operation.get_attr(name) for name in names}


_OURS = {
    "BatchMatMulV2": _product,
    "DepthwiseConv2dNative": _depthwise,
    "DepthwiseConv2dNativeBackpropFilter": _depthwise_by_kernel,
    "DepthwiseConv2dNativeBackpropInput": _depthwise_by_input,
}
_THEIRS = {name: VECTORIZATIONS[name] for name in _OURS}
