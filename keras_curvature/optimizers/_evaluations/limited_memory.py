"""The limited-memory BFGS direction."""

import tensorflow as tf

from keras_curvature.linalg.two_loop_recursion import (
    inverse_hessian_product,
    store_pair,
)
from keras_curvature.optimizers._evaluations.direction import (
    QuasiNewtonDirection,
)


class LimitedMemory(QuasiNewtonDirection):
    """BFGS from the last pairs (s, y), by the two-loop recursion.

    Args:
        history_size: Int ≥ 1, number of pairs kept.
    """

    def __init__(self, history_size):
        self.history_size = history_size

    def shapes(self, size, dtype):
        return {
            # The rings of s and y, and how many were ever stored.
            "steps": ((self.history_size, size), dtype),
            "changes": ((self.history_size, size), dtype),
            "pairs": ((), "int64"),
        }

    def direction(self, state, gradient):
        return -self.product(state, gradient)

    def product(self, state, vector):
        """H v."""
        return inverse_hessian_product(
            vector, state["steps"], state["changes"], state["pairs"]
        )

    def update(self, state, step, change, step_length, old_gradient):
        steps, changes, pairs = store_pair(
            step,
            change,
            old_gradient,
            state["steps"],
            state["changes"],
            state["pairs"],
        )
        return {"steps": steps, "changes": changes, "pairs": pairs}

    def forget(self, state):
        return {"pairs": tf.zeros_like(state["pairs"])}
