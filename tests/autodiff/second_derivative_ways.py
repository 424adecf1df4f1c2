"""Measures one row of the table: each way against central differences."""

import contextlib
import functools

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.autodiff import (
    GradientGraph,
    gauss_newton_vector_product,
    hessian_vector_product,
    jacobian_vector_product,
    per_sample_jacobian,
    vector_jacobian_product,
)

BATCH = 3


class Subject(keras.Model):
    """What a row describes, behind trained inputs and a bounded output."""

    def __init__(self, case):
        super().__init__(dtype=case.dtype)
        self.case = case
        self.training = case.training
        self.inner = case.make()
        self.size = case.size or max(2.0, case.range[1])
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

    def call(self, samples):
        low, high = self.case.range
        tensors = [
            low + (high - low) * (tf.tanh(a.value * x + b.value) + 1) / 2
            for a, x, b in zip(self.scales, samples, self.shifts, strict=True)
        ]
        if self.case.call is not None:
            return self.case.call(self.inner, tensors, self.training)
        if self.inner._call_has_training_arg:
            return self.inner(tensors[0], training=self.training)
        return self.inner(tensors[0])

    def bounded(self, samples=None):
        """All floating-point outputs of each sample, between -1 and 1."""
        outputs = self(self.samples if samples is None else samples)
        outputs = [
            tf.tanh(float64(output) / self.size)
            for output in tf.nest.flatten(outputs)
            if output.dtype.is_floating
        ]
        if outputs[0].shape.rank == 0:
            return outputs[0]
        return tf.concat(
            [tf.reshape(o, [tf.shape(o)[0], -1]) for o in outputs], 1
        )

    def objective(self):
        """A scalar with a dense second derivative."""
        value = curved(self.bounded())
        return value + sum(float64(loss) for loss in self.losses)


def float64(x):
    return tf.cast(x, tf.float64)


def weights_of(y):
    """Fixed coefficients in the shape of an output."""
    places = tf.range(1, tf.size(y) + 1)
    return tf.reshape(tf.cos(float64(places)), tf.shape(y))


def curved(y):
    """P² + P with P = Σ c·y, whose Hessian is 2·c·cᵀ."""
    projection = tf.reduce_sum(weights_of(y) * y)
    return projection**2 + projection


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

    Args:
        case: A row of the table.
        jit: Whether gradients are taken under XLA, which draws other random
            numbers and has kernels that TensorFlow lacks on a CPU.
    """

    def __init__(self, case, jit=False, seed=11):
        keras.utils.set_random_seed(seed)
        self.case, self.jit = case, jit or case.kernels == "jit"
        self._compiled = {}
        with default_dtype(case.dtype):
            self.subject = Subject(case)
            if self.jit:
                self.subject.inner.build((BATCH, *case.shapes[0]))
            else:
                self.subject.bounded()
            variables = self.subject.trainable_variables
            self._state = [(v, v.numpy()) for v in self.subject.variables]
            gradients = self._gradients(variables)
        self.restore()
        self.variables = [
            v
            for v, g in zip(variables, gradients, strict=True)
            if g is not None
        ]
        self.values = [v.value for v in self.variables]
        rng = np.random.default_rng(7)
        vectors = [rng.normal(size=v.shape) for v in self.variables]
        norm = np.sqrt(sum(np.sum(v**2) for v in vectors)) or 1
        self.vectors = [
            tf.constant(vector / norm, value.dtype)
            for vector, value in zip(vectors, self.values, strict=True)
        ]

    def restore(self):
        for variable, value in self._state:
            variable.assign(value)

    def _taped_gradients(self, variables):
        with tf.GradientTape() as tape:
            loss = self.subject.objective()
        return tape.gradient(loss, [v.value for v in variables])

    def _gradients(self, variables):
        if not self.jit:
            return self._taped_gradients(variables)
        key = len(variables)
        if key not in self._compiled:
            self._compiled[key] = tf.function(
                lambda: self._taped_gradients(variables),
                jit_compile=True,
                autograph=False,
            )
        return self._compiled[key]()

    def _moved(self, step, evaluate):
        for value, vector in zip(self.values, self.vectors, strict=True):
            value.assign_add(step * vector)
        try:
            with default_dtype(self.case.dtype):
                return flat(evaluate())
        finally:
            self.restore()

    def _differences(self, evaluate):
        """Richardson's extrapolation, of the step with the least error."""
        steps = {"float64": (1e-3, 1e-5), "float32": (3e-2, 3e-3)}
        best, best_error = None, np.inf
        for step in steps[self.case.dtype]:
            coarse, fine = (
                (self._moved(h, evaluate) - self._moved(-h, evaluate)) / (2 * h)
                for h in (step, step / 2)
            )
            error = np.abs(fine - coarse).max()
            if error < best_error:
                best, best_error = (4 * fine - coarse) / 3, error
            if error <= 1e-7 * np.abs(fine).max():
                break
        return best, best_error

    @functools.cached_property
    def truth(self):
        """(H·v, estimated error) by central differences of the gradient."""
        if not self.case.overwrites:
            return self._differences(lambda: self._gradients(self.variables))
        # The step overwrites its weights first: the point is where it is then.
        before = self._state
        self.subject.bounded()
        self._state = [(v, v.numpy()) for v in self.subject.variables]
        self.subject.training = False
        try:
            return self._differences(lambda: self._gradients(self.variables))
        finally:
            self._state, self.subject.training = before, True
            self.restore()

    @property
    def is_differentiable(self):
        """Whether there is a gradient, and differences of it converge."""
        if not self.variables:
            return False
        products, error = self.truth
        return error < 0.1 * np.abs(products).max()

    def error(self, way):
        """Relative error of a way, maximum norm."""
        with default_dtype(self.case.dtype):
            try:
                if way in PRODUCTS:
                    # Outputs are compared at one point, and samples alone.
                    self.subject.training = self.case.training and not (
                        self.case.overwrites or way == "per-sample"
                    )
                    measured, truth = getattr(self, PRODUCTS[way])()
                else:
                    measured, truth = flat(self._hessian(way)), self.truth[0]
            finally:
                self.subject.training = self.case.training
                self.restore()
        size = np.abs(truth).max()
        return float(np.abs(measured - truth).max() / max(size, 1e-300))

    def _hessian(self, way):
        if way == "eager":
            return self._by_tapes()
        function = self._by_tapes if "tape" in way else self._by_graph
        return tf.function(
            function, jit_compile="jit" in way, autograph=False
        )()

    def _by_graph(self):
        gradients = self._taped_gradients(self.variables)
        curvature = GradientGraph(gradients, self.variables)
        return curvature.hessian_vector_product(self.vectors)

    def _by_tapes(self):
        return hessian_vector_product(
            self.subject.objective, self.variables, self.vectors
        )

    @functools.cached_property
    def _product_variables(self):
        """Those that the outputs depend on, not only a penalty."""
        with tf.GradientTape() as tape:
            outputs = self.subject.bounded()
        gradients = tape.gradient(outputs, self.values)
        self.restore()
        return [
            v
            for v, g in zip(self.variables, gradients, strict=True)
            if g is not None
        ]

    def _product_vectors(self):
        return [
            vector
            for variable, vector in zip(
                self.variables, self.vectors, strict=True
            )
            if any(variable is v for v in self._product_variables)
        ]

    @functools.cached_property
    def _pushed(self):
        return self._differences(lambda: [self.subject.bounded()])[0]

    def jacobian(self):
        """J·v, and Jᵀ·u by its adjointness: uᵀ(J·v) = (Jᵀ·u)ᵀ·v."""
        variables, vectors = self._product_variables, self._product_vectors()
        pushed = jacobian_vector_product(
            self.subject.bounded, variables, vectors
        )
        self.restore()
        cotangent = weights_of(pushed)
        pulled = vector_jacobian_product(
            self.subject.bounded, variables, cotangent
        )
        along = flat(pulled) @ flat(vectors)
        expected = self._pushed
        return (
            np.append(flat([pushed]), along),
            np.append(expected, flat([cotangent]) @ expected),
        )

    def gauss_newton(self):
        """G·v, against Jᵀ·2·c·cᵀ·(J·v) with J·v by central differences."""
        variables, vectors = self._product_variables, self._product_vectors()
        products = gauss_newton_vector_product(
            self.subject.bounded, curved, variables, vectors
        )
        self.restore()
        with tf.GradientTape() as tape:
            outputs = self.subject.bounded()
        c = weights_of(outputs)
        pulled = tape.gradient(
            outputs, [v.value for v in variables], output_gradients=c
        )
        return flat(products), 2 * (flat([c]) @ self._pushed) * flat(pulled)

    def per_sample(self):
        """Σ c·J of each sample, against the gradient of a batch of one."""
        variables = self._product_variables
        samples = list(map(tf.constant, self.subject.samples))
        outputs, jacobians = per_sample_jacobian(
            self.subject.bounded, samples, variables
        )
        c = weights_of(outputs[0])
        measured = [
            tf.tensordot(c, j, [[0], [1]]) for j in map(float64, jacobians)
        ]
        truth = []
        for i in range(BATCH):
            with tf.GradientTape() as tape:
                row = self.subject.bounded([s[i : i + 1] for s in samples])
                value = tf.reduce_sum(row[0] * c)
            truth.append(
                flat(tape.gradient(value, [v.value for v in variables]))
            )
        measured = [
            np.concatenate([np.ravel(m[i]) for m in measured])
            for i in range(BATCH)
        ]
        return np.concatenate(measured), np.concatenate(truth)


PRODUCTS = {
    "jacobian": "jacobian",
    "gauss-newton": "gauss_newton",
    "per-sample": "per_sample",
}


def flat(tensors):
    return np.concatenate(
        [np.ravel(tf.convert_to_tensor(t)).astype("float64") for t in tensors]
    )
