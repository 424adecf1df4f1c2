"""The true second derivatives of a row, by central differences."""

import functools

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.checking.double_precision import default_float
from tests.autodiff.table.subject import BATCH, Subject, flat
from tests.oracles import extrapolated_difference

# Steps, and the relative error that is small enough.
_STEPS = {
    "float64": ((1e-3, 1e-5), 1e-9),
    "float32": ((1e-1, 3e-2, 1e-2, 3e-3), 3e-5),
}


class Problem:
    """A row's function, and its derivatives along one direction.

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
        with default_float(case.dtype):
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
        """Puts all variables back to what they were."""
        for variable, value in self._state:
            variable.assign(value)

    def gradients(self, variables):
        """∂objective/∂variables, recorded by a tape."""
        with tf.GradientTape() as tape:
            loss = self.subject.objective()
        return tape.gradient(loss, [v.value for v in variables])

    def _gradients(self, variables):
        if not self.jit:
            return self.gradients(variables)
        key = len(variables)
        if key not in self._compiled:
            self._compiled[key] = tf.function(
                lambda: self.gradients(variables),
                jit_compile=True,
                autograph=False,
            )
        return self._compiled[key]()

    def _moved(self, step, evaluate):
        for value, vector in zip(self.values, self.vectors, strict=True):
            value.assign_add(step * vector)
        try:
            with default_float(self.case.dtype):
                return flat(evaluate())
        finally:
            self.restore()

    def differences(self, evaluate):
        """The derivative along the direction, and its estimated error."""
        steps, enough = _STEPS[self.case.dtype]
        return extrapolated_difference(
            lambda step: self._moved(step, evaluate), steps, enough
        )

    @functools.cached_property
    def hessian_product(self):
        """(H·v, estimated error) by central differences of the gradient."""
        if not self.case.overwrites:
            return self.differences(lambda: self._gradients(self.variables))
        # The step overwrites its weights first: the point is where it is then.
        before = self._state
        self.subject.bounded()
        self._state = [(v, v.numpy()) for v in self.subject.variables]
        self.subject.training = False
        try:
            return self.differences(lambda: self._gradients(self.variables))
        finally:
            self._state, self.subject.training = before, True
            self.restore()

    @functools.cached_property
    def pushed(self):
        """J·v of the outputs, by central differences."""
        return self.differences(lambda: [self.subject.bounded()])[0]

    @property
    def is_differentiable(self):
        """Whether there is a gradient, and differences of it converge."""
        if not self.variables:
            return False
        products, error = self.hessian_product
        return error < 0.1 * np.abs(products).max()
