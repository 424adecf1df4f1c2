"""A scalar function of variables, its gradient and its Hessian products."""

import numpy as np
import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature.autodiff.checking.central_differences import (
    directional_derivative,
)
from keras_curvature.autodiff.gradient_graph import GradientGraph
from keras_curvature.autodiff.hessian import hessian_vector_product
from keras_curvature.autodiff.variables import as_tf_variable


class Objective:
    """A function whose derivatives are measured along one direction.

    What a call changes (moving statistics, seeds) is put back after it, so
    that every call sees the same function.

    Args:
        function: Callable without arguments that returns a scalar tensor.
        variables: List of the variables to differentiate by.
        state: List of all variables that a call may change.
        dtype: "float32" or "float64".
        seed: Int, of the direction.
    """

    def __init__(self, function, variables, state, dtype, seed):
        self.function = function
        self.dtype = dtype
        self._state = [(v, v.numpy()) for v in [*state, *variables]]
        self.variables = self._connected(variables)
        rng = np.random.default_rng(seed)
        directions = [rng.normal(size=v.shape) for v in self.variables]
        norm = _norm(directions) or 1.0
        self.vectors = [
            tf.constant(direction / norm, value.dtype)
            for direction, value in zip(
                directions, map(as_tf_variable, self.variables), strict=True
            )
        ]
        self._scale = max(1.0, _norm([v.numpy() for v in self.variables]))

    def _connected(self, variables):
        gradients = self._gradients(variables)
        return [
            v
            for v, g in zip(variables, gradients, strict=True)
            if g is not None
        ]

    def _gradients(self, variables):
        values = [as_tf_variable(v) for v in variables]
        with tf.GradientTape() as tape:
            tape.watch(values)
            value = self.function()
        gradients = tape.gradient(value, values)
        self.restore()
        return gradients

    def restore(self):
        """Puts variables back to what they were."""
        if tf.executing_eagerly():
            for variable, value in self._state:
                variable.assign(value)

    def _moved(self, step, evaluate):
        for variable, vector in zip(self.variables, self.vectors, strict=True):
            variable.assign_add(cast(step, vector.dtype) * vector)
        try:
            return evaluate()
        finally:
            self.restore()

    def gradient_along(self):
        """(H·v, error) by central differences of the gradient."""
        return directional_derivative(
            lambda step: self._moved(
                step, lambda: _flat(self._gradients(self.variables))
            ),
            self.dtype,
            self._scale,
        )

    def value_along(self):
        """(g·v, error) by central differences of the value."""
        return directional_derivative(
            lambda step: self._moved(step, lambda: np.float64(self.function())),
            self.dtype,
            self._scale,
        )

    def slope(self):
        """g·v by automatic differentiation."""
        gradient = _flat(self._gradients(self.variables))
        return float(gradient @ _flat(self.vectors))

    def product_by_tapes(self):
        """H·v by nested tapes, eagerly."""
        try:
            return _flat(
                hessian_vector_product(
                    self.function, self.variables, self.vectors
                )
            )
        finally:
            self.restore()

    def product_by_graph(self):
        """H·v from the gradient graph of a `tf.function`."""
        try:
            return _flat(tf.function(self._graph, autograph=False)())
        finally:
            self.restore()

    def _graph(self):
        gradients = self._gradients(self.variables)
        curvature = GradientGraph(gradients, self.variables)
        return curvature.hessian_vector_product(self.vectors)


def _flat(tensors):
    return np.concatenate(
        [np.ravel(tf.convert_to_tensor(t)).astype("float64") for t in tensors]
    )


def _norm(arrays):
    return float(np.sqrt(sum(np.sum(np.square(a)) for a in arrays)))
