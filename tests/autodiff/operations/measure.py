"""What the derivatives of one operation at one point are."""

import contextlib

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


def statuses(function, point, *options):
    """What `statuses_of` says of a single row."""
    return statuses_of({"": (function, point, *options)})[""]


def statuses_of(rows, types=None):
    """Of the first gradient, and of Hessian products by graph and by tapes.

    Args:
        rows: Dict that maps names to tuples of a function of one tensor, the
            point, and a tolerance and a step where they are not the usual.
        types: Set that is given the types of the operations that the graphs
            of the first gradients have, or None.

    Returns:
        Dict that maps each name to its three statuses.
    """
    measured = {name: _Row(*row) for name, row in rows.items()}
    # One graph of all rows: to make a function for each takes longer.
    by_graph = tf.function(
        lambda: _by_graph(measured, types), autograph=False
    )()
    return {
        name: row.statuses(by_graph.get(name)) for name, row in measured.items()
    }


def _by_graph(rows, types):
    products = {}
    for name, row in rows.items():
        with contextlib.suppress(SecondDerivativeError):
            products[name] = row.product_by_graph(types)
    return products


class _Row:
    """One function at one point, and a direction v."""

    def __init__(self, function, point, tolerance=1e-6, step=1e-3):
        self._function, self._tolerance, self._step = function, tolerance, step
        self._point = np.array(point, "float64")
        self._w = tf.Variable(self._point)
        places = np.arange(self._point.size) + 0.5
        self._v = np.cos(places).reshape(self._point.shape)

    def gradient(self):
        with tf.GradientTape() as tape:
            loss = objective(self._function, self._w)
        return loss, tf.convert_to_tensor(tape.gradient(loss, self._w))

    def product_by_graph(self, types):
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        _, slope = self.gradient()
        if types is not None:
            own = graph.get_operations()[before:]
            types.update(_types_between(self._w, slope, own))
        graph = GradientGraph([slope], [self._w])
        return graph.hessian_vector_product([self._v])[0]

    def statuses(self, by_graph):
        """The three, given the product by graph, None where it is refused."""
        w, v = self._w, self._v
        with exact_derivatives():
            slope_by_v, truth = _differences(
                self.gradient, w, self._point, v, self._step
            )
            w.assign(self._point)
            first = np.sum(self.gradient()[1].numpy() * v)
        return (
            _status(first, slope_by_v, self._tolerance),
            REFUSED
            if by_graph is None
            else _status(by_graph.numpy(), truth, self._tolerance),
            self._by_tapes(truth),
        )

    def _by_tapes(self, truth):
        try:
            product = hessian_vector_product(
                lambda: objective(self._function, self._w), [self._w], [self._v]
            )[0]
        except SecondDerivativeError:
            return REFUSED
        return _status(product.numpy(), truth, self._tolerance)


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


def _types_between(w, slope, operations):
    """Of those among operations that a gradient of w depends on w through."""
    handle = slope.graph.capture(w.handle)
    dependent, found = {handle.op}, []
    for operation in operations:
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


def _status(measured, truth, tolerance):
    if not np.isfinite(measured).all():
        return NAN
    scale = np.abs(truth).max() + 1e-3
    return (
        EXACT if np.abs(measured - truth).max() <= tolerance * scale else WRONG
    )
