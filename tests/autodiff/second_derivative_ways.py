"""Measures one row of the table: each way against central differences."""

import contextlib
import functools

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.autodiff import GradientGraph, hessian_vector_product
from keras_curvature.autodiff.repairs import SecondDerivativeError

BATCH = 3


class Subject(keras.Model):
    """What a row describes, between trained inputs and a curved loss."""

    def __init__(self, case):
        super().__init__(dtype=case.dtype)
        self.case = case
        self.inner = case.make()
        self.size = max(2.0, case.range[1])
        self.scales = [self._weight(shape, 0.7) for shape in case.shapes]
        self.shifts = [self._weight(shape, 0.1) for shape in case.shapes]
        rng = np.random.default_rng(5)
        self.samples = [
            rng.normal(size=(BATCH, *shape)).astype(case.dtype)
            for shape in case.shapes
        ]

        # Else Keras would build the inner layer in a scratch graph.
        self.built = True

    def _weight(self, shape, mean):
        return self.add_weight(
            shape=shape,
            initializer=keras.initializers.RandomNormal(mean, 0.2),
        )

    def call(self, _=None):
        low, high = self.case.range
        tensors = [
            low + (high - low) * (tf.tanh(a.value * x + b.value) + 1) / 2
            for a, x, b in zip(
                self.scales, self.samples, self.shifts, strict=True
            )
        ]
        if self.case.call is not None:
            return self.case.call(self.inner, tensors, self.case.training)
        if self.inner._call_has_training_arg:
            return self.inner(tensors[0], training=self.case.training)
        return self.inner(tensors[0])

    def objective(self):
        outputs = [
            output
            for output in tf.nest.flatten(self(None))
            if output.dtype.is_floating
        ]
        return sum(curved(output, self.size) for output in outputs) + sum(
            map(float64, self.losses)
        )


def curved(output, size):
    """A scalar with a dense second derivative by the output."""
    x = float64(output)
    weights = tf.cast(tf.range(1, tf.size(x) + 1), x.dtype)
    weights = tf.reshape(tf.cos(weights), tf.shape(x))
    # Bounded, whatever the size of the output.
    x = tf.tanh(x / size)
    return tf.reduce_sum(weights * x) ** 2 + tf.reduce_sum(weights * x)


def float64(x):
    return tf.cast(x, tf.float64)


@contextlib.contextmanager
def default_dtype(dtype):
    """Layers, losses and weights that are made inside have this dtype."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


class Measurement:
    """Central differences of a subject, and the error of each way.

    The state that a step changes (seeds of dropout, moving statistics) is put
    back after each evaluation, so that all see the same function.
    """

    def __init__(self, case, seed=11):
        keras.utils.set_random_seed(seed)
        self.case = case
        with default_dtype(case.dtype):
            self.subject = Subject(case)
            if case.kernels == "jit":
                self.subject.inner.build((BATCH, *case.shapes[0]))
            else:
                self.subject(None)
        variables = self.subject.trainable_variables
        gradients = self._gradients(variables)
        self.variables = [
            v
            for v, g in zip(variables, gradients, strict=True)
            if g is not None
        ]
        self.values = [v.value for v in self.variables]
        self.state = [(v, v.numpy()) for v in self.subject.variables]
        rng = np.random.default_rng(7)
        vectors = [rng.normal(size=v.shape) for v in self.variables]
        norm = np.sqrt(sum(np.sum(v**2) for v in vectors)) or 1
        self.vectors = [
            tf.constant(vector / norm, value.dtype)
            for vector, value in zip(vectors, self.values, strict=True)
        ]

    def _gradients(self, variables):
        if self.case.kernels == "jit":
            return tf.function(
                lambda: self._eager_gradients(variables),
                jit_compile=True,
                autograph=False,
            )()
        return self._eager_gradients(variables)

    def _eager_gradients(self, variables):
        with tf.GradientTape() as tape:
            loss = self.subject.objective()
        return tape.gradient(loss, [v.value for v in variables])

    def restore(self):
        for variable, value in self.state:
            variable.assign(value)

    def _gradient_at(self, step):
        for value, vector in zip(self.values, self.vectors, strict=True):
            value.assign_add(step * vector)
        with default_dtype(self.case.dtype):
            gradients = [
                tf.convert_to_tensor(g) for g in self._gradients(self.variables)
            ]
        self.restore()
        return np.concatenate(
            [np.ravel(g).astype("float64") for g in gradients]
        )

    @functools.cached_property
    def truth(self):
        """H·v, the step with the smallest estimated error."""
        steps = (1e-3, 1e-5) if self.case.dtype == "float64" else (3e-2, 3e-3)
        best, best_error = None, np.inf
        for step in steps:
            coarse, fine = (
                (self._gradient_at(h) - self._gradient_at(-h)) / (2 * h)
                for h in (step, step / 2)
            )
            error = np.abs(fine - coarse).max()
            if error < best_error:
                best, best_error = (4 * fine - coarse) / 3, error
            if error <= 1e-7 * np.abs(fine).max():
                break
        return best

    def error(self, products):
        """Relative error, maximum norm."""
        products = np.concatenate(
            [np.ravel(p).astype("float64") for p in products]
        )
        scale = np.abs(self.truth).max()
        return float(np.abs(products - self.truth).max() / max(scale, 1e-12))

    def graph(self):
        gradients = self._gradients(self.variables)
        curvature = GradientGraph(gradients, self.variables)
        return curvature.hessian_vector_product(self.vectors)

    def tape(self):
        return hessian_vector_product(
            self.subject.objective, self.variables, self.vectors
        )

    def run(self, way):
        """The error of a way: "graph", "tape", "eager", "jit"; or a text."""
        function = {
            "graph": lambda: tf.function(self.graph, autograph=False)(),
            "graph jit": lambda: tf.function(
                self.graph, autograph=False, jit_compile=True
            )(),
            "tape": lambda: tf.function(self.tape, autograph=False)(),
            "tape jit": lambda: tf.function(
                self.tape, autograph=False, jit_compile=True
            )(),
            "eager": self.tape,
        }[way]
        try:
            with default_dtype(self.case.dtype):
                return self.error(function())
        except SecondDerivativeError as error:
            return error
        finally:
            self.restore()
