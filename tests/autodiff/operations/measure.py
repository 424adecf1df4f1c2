"""What the derivatives of one operation at one point are."""

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff import (
    GradientGraph,
    SecondDerivativeError,
    exact_derivatives,
    hessian_vector_product,
)
from keras_curvature.autodiff.tensorflow_private import (
    functions_called_by,
    operations_within,
)

EXACT, REFUSED, NAN, WRONG = "exact", "refused", "not a number", "WRONG"


def objective(function, w):
    """½|M·outputs + b|², with a dense second derivative, of few operations."""
    outputs = tf.reshape(tf.cast(function(w), tf.float64), [-1, 1])
    count = outputs.shape[0]
    if count is None:
        places = tf.cast(tf.range(1, tf.size(outputs) + 1), tf.float64)
        matrix = tf.stack([tf.cos(places), tf.sin(places)])
    else:
        places = np.arange(1.0, count + 1)
        matrix = np.stack([np.cos(places), np.sin(places)])
    return tf.nn.l2_loss(tf.add(tf.matmul(matrix, outputs), [[0.3], [1.1]]))


def statuses(function, point, tolerance=1e-6, step=1e-3, types=None):
    """Of the first gradient, and of Hessian products by graph and by tapes.

    Adds the types of the operations that the graph of the first gradient has
    to the set `types`.
    """
    point = np.array(point, "float64")
    w = tf.Variable(point)
    v = np.cos(np.arange(point.size) + 0.5).reshape(point.shape)

    def gradient():
        with tf.GradientTape() as tape:
            loss = objective(function, w)
        return loss, tf.convert_to_tensor(tape.gradient(loss, w))

    def by_graph():
        loss, slope = gradient()
        if types is not None:
            types.update(_types_between(w, slope))
        graph = GradientGraph([slope], [w])
        return loss, slope, graph.hessian_vector_product([v])[0]

    with exact_derivatives():
        slope_by_v, truth = _differences(gradient, w, point, v, step)
        w.assign(point)
        first = np.sum(gradient()[1].numpy() * v)
    return (
        _status(first, slope_by_v, tolerance),
        _of(
            lambda: tf.function(by_graph, autograph=False)()[2],
            truth,
            tolerance,
        ),
        _of(
            lambda: hessian_vector_product(
                lambda: objective(function, w), [w], [v]
            )[0],
            truth,
            tolerance,
        ),
    )


def _differences(gradient, w, point, v, longest):
    """Of the value and of the exact gradient along v, by Richardson's rule."""
    results = []
    for step in (longest, longest / 2):
        pair = []
        for sign in (1, -1):
            w.assign(point + sign * step * v)
            pair.append([tensor.numpy() for tensor in gradient()])
        results.append(
            [(a - b) / (2 * step) for a, b in zip(*pair, strict=True)]
        )
    coarse, fine = results
    return [(4 * f - c) / 3 for c, f in zip(coarse, fine, strict=True)]


def _types_between(w, slope):
    """Of the operations that a gradient of w depends on w through."""
    handle = slope.graph.capture(w.handle)
    dependent, found = {handle.op}, []
    for operation in slope.graph.get_operations():
        if dependent.intersection(tensor.op for tensor in operation.inputs):
            dependent.add(operation)
    pending, used = [slope.op], set()
    while pending:
        operation = pending.pop()
        if operation in dependent and operation not in used:
            used.add(operation)
            pending.extend(tensor.op for tensor in operation.inputs)
    for function in functions_called_by(used):
        found.extend(operations_within(function))
    return {operation.type for operation in [*used, *found]}


def _of(product, truth, tolerance):
    try:
        return _status(product().numpy(), truth, tolerance)
    except SecondDerivativeError:
        return REFUSED


def _status(measured, truth, tolerance):
    if not np.isfinite(measured).all():
        return NAN
    scale = np.abs(truth).max() + 1e-3
    return (
        EXACT if np.abs(measured - truth).max() <= tolerance * scale else WRONG
    )
