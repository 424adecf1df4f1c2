"""What the derivatives of one operation at one point are."""

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff import (
    GradientGraph,
    SecondDerivativeError,
    exact_derivatives,
    hessian_vector_product,
)

EXACT, REFUSED, NAN, WRONG = "exact", "refused", "not a number", "WRONG"
_STEP = 1e-3


def objective(function, w):
    """A scalar of all outputs, with a dense second derivative."""
    outputs = tf.reshape(tf.cast(function(w), tf.float64), [-1])
    places = tf.cast(tf.range(1, tf.size(outputs) + 1), tf.float64)
    projection = tf.reduce_sum(tf.cos(places) * outputs)
    return projection**2 + tf.reduce_sum(tf.sin(places) * outputs)


def statuses(function, point, tolerance=1e-6):
    """Of the first gradient, and of Hessian products by graph and by tapes."""
    point = np.array(point, "float64")
    w = tf.Variable(point)
    v = np.cos(np.arange(point.size) + 0.5).reshape(point.shape)

    def gradient():
        with tf.GradientTape() as tape:
            loss = objective(function, w)
        return loss, tf.convert_to_tensor(tape.gradient(loss, w))

    def by_graph():
        loss, slope = gradient()
        graph = GradientGraph([slope], [w])
        return loss, slope, graph.hessian_vector_product([v])[0]

    with exact_derivatives():
        slope_by_v, truth = _differences(gradient, w, point, v)
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


def _differences(gradient, w, point, v):
    """Of the value and of the exact gradient along v, by Richardson's rule."""
    results = []
    for step in (_STEP, _STEP / 2):
        pair = []
        for sign in (1, -1):
            w.assign(point + sign * step * v)
            pair.append([tensor.numpy() for tensor in gradient()])
        results.append(
            [(a - b) / (2 * step) for a, b in zip(*pair, strict=True)]
        )
    coarse, fine = results
    return [(4 * f - c) / 3 for c, f in zip(coarse, fine, strict=True)]


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
