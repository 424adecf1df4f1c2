"""Quasi-Newton directions from a dense inverse Hessian."""

import numpy as np
import tensorflow as tf

from keras_curvature.linalg.broyden_family import updated_inverse
from keras_curvature.linalg.dot import dot, matvec
from keras_curvature.optimizers._evaluations.direction import (
    QuasiNewtonDirection,
)


class DenseInverse(QuasiNewtonDirection):
    """H as a matrix, updated by a member of Broyden's family.

    Args:
        member: Callable that maps (b, h, n) to the scale τ and the parameter
            φ, see `keras_curvature.linalg.broyden_family`.
        is_scaled: Bool, whether the first pair is met by H = γI, with
            γ = yᵀs / yᵀy, and not by H = I.
    """

    # No member makes H smaller as a whole.
    has_unit_steps = False

    def __init__(self, member, is_scaled):
        self.member, self.is_scaled = member, is_scaled

    def shapes(self, size, dtype):
        return {
            "inverse": ((size, size), dtype),
            # How many pairs it has learned from; with 0 it is the identity.
            "pairs": ((), "int64"),
        }

    def direction(self, state, gradient):
        return -self._product(state, gradient)

    def update(self, state, step, change, step_length, old_gradient):
        curvature = dot(step, change)
        first = self._first_scale(step, change, curvature)
        is_first = state["pairs"] == 0
        # H⁻¹s = −α g, of H = γI it is s/γ.
        along = tf.cond(
            is_first,
            lambda: dot(step, step) / first,
            lambda: -step_length * dot(step, old_gradient),
        )
        b = along / curvature
        h = dot(change, self._product(state, change)) / curvature
        h *= tf.where(is_first, first, tf.ones_like(first))
        tiny = np.finfo(step.dtype.as_numpy_dtype).eps
        # As for LBFGS: otherwise H would not be positive definite, or 1/yᵀs
        # would be rounding.
        is_usable = (
            (curvature > tiny * tf.abs(dot(step, old_gradient)))
            & (b > 0)
            & (h > 0)
            & tf.math.is_finite(h)
        )

        def updated():
            size = step.shape[0]
            inverse = tf.cond(
                state["pairs"] > 0,
                lambda: state["inverse"],
                lambda: first * tf.eye(size, dtype=step.dtype),
            )
            scale, parameter = self.member(b, h, size)
            after = updated_inverse(inverse, step, change, scale, parameter)
            return after, state["pairs"] + 1

        inverse, pairs = tf.cond(
            is_usable, updated, lambda: (state["inverse"], state["pairs"])
        )
        return {"inverse": inverse, "pairs": pairs}

    def forget(self, state):
        return {"pairs": tf.zeros_like(state["pairs"])}

    def _first_scale(self, step, change, curvature):
        """γ of the first H = γI."""
        if not self.is_scaled:
            return tf.ones_like(curvature)
        return tf.math.divide_no_nan(curvature, dot(change, change))

    def _product(self, state, vector):
        """H v."""
        return tf.cond(
            state["pairs"] > 0,
            lambda: matvec(state["inverse"], vector),
            lambda: vector,
        )
