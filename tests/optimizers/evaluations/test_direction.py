"""The seam for quasi-Newton directions, by a dense one."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.classical_functions import (
    minimized,
    problems,
    scipy_minimized,
)
from keras_curvature.optimizers._evaluations.direction import (
    QuasiNewtonDirection,
)
from keras_curvature.optimizers._evaluations.line_search import Rules
from keras_curvature.optimizers._evaluations.line_search_solver import (
    LineSearchSolver,
)


class Dense(QuasiNewtonDirection):
    """BFGS with the matrix, kept as H − I so that 0 is the identity."""

    def shapes(self, size, dtype):
        return {
            "deviation": ((size, size), dtype),
            # How far s was from −α H g, at most.
            "error": ((), dtype),
        }

    def _times(self, state, vector):
        return vector + tf.linalg.matvec(state["deviation"], vector)

    def direction(self, state, gradient):
        return -self._times(state, gradient)

    def update(self, state, step, change, step_length, old_gradient):
        expected = -step_length * self._times(state, old_gradient)
        error = tf.norm(step - expected) / tf.norm(step)
        identity = tf.eye(step.shape[0], dtype=step.dtype)
        rho = 1 / tf.tensordot(step, change, 1)
        left = identity - rho * tf.tensordot(step, change, 0)
        inverse = identity + state["deviation"]
        inverse = left @ inverse @ tf.transpose(left)
        inverse += rho * tf.tensordot(step, step, 0)
        return {
            "deviation": inverse - identity,
            "error": tf.maximum(error, state["error"]),
        }

    def forget(self, state):
        return {"deviation": tf.zeros_like(state["deviation"])}


class BFGS(LineSearchSolver):
    def __init__(self):
        super().__init__(
            gradient_tolerance=1e-8, loss_tolerance=0.0, name="bfgs", options={}
        )
        self.quasi_newton = Dense()
        self.rules = Rules(1e-4, 0.9, 20)


# Of one minimum: in ten dimensions Rosenbrock's function has another, and the
# last digit of a sum decides which of them SciPy finds.
@pytest.mark.parametrize(
    "name", ["rosenbrock_2", "quadratic_1e2", "quadratic_1e4"]
)
def test_a_dense_direction_takes_the_evaluations_of_scipys_bfgs(float64, name):
    problem = next(p for p in problems() if p.name == name)
    scipy = scipy_minimized(problem, "BFGS")
    np.testing.assert_allclose(scipy.point, 1, rtol=1e-6)
    optimizer = BFGS()
    model = minimized(problem, optimizer, jit_compile=False)
    np.testing.assert_allclose(model.point.numpy(), 1, rtol=1e-7)
    assert optimizer.converged
    # The first accepted point is evaluated twice.
    assert optimizer.progress["evaluations"] <= 1.3 * scipy.evaluations + 1
    # Self-scaled updates need H⁻¹s = −α g. The last steps, of 1e-9, are
    # differences of weights of 1.
    assert float(optimizer._state["error"]) < 1e-5
