"""K-FAC's preconditioner: the inverses of damped Kronecker factors."""

import tensorflow as tf

from keras_curvature.operators.kronecker.damping import (
    damped_inverses,
    multiply,
)


class InverseFactors:
    """(A + π√λ·I)⁻¹ · V · (G + √λ/π·I)⁻¹."""

    def shapes(self, block):
        """{name: shape} of what is kept of a block beside A and G."""
        return {
            "inverse_inputs": block.input_shape,
            "inverse_outputs": block.output_shape,
        }

    def initial(self, name, shape, dtype):
        """What precedes the first estimate: the identity."""
        if name.startswith("inverse") and len(shape) == 3:
            return tf.eye(shape[1], batch_shape=[shape[0]], dtype=dtype)
        return tf.ones(shape, dtype)

    def basis(self, block, state):
        """Where squares of gradients are wanted; None for nowhere."""
        return None

    def refreshed(self, block, state, squares, rate, damping):
        """The state for new A and G.

        Args:
            block: `Block`.
            state: Dict of tensors, with the new `inputs` A and `outputs` G.
            squares: Not used.
            rate: Not used.
            damping: Scalar λ.

        Returns:
            Dict of the tensors of `shapes`.
        """
        left, right = damped_inverses(
            block, state["inputs"], state["outputs"], damping
        )
        return {"inverse_inputs": left, "inverse_outputs": right}

    def direction(self, block, state, gradient, damping, factored=None):
        """The preconditioned gradient, `(groups, inputs, outputs)`.

        Args:
            block: `Block`.
            state: Dict of tensors.
            gradient: Tensor of the same shape.
            damping: Not used.
            factored: The `FactoredGradient` of the gradient, or None.
        """
        left, right = state["inverse_inputs"], state["inverse_outputs"]
        if factored is None:
            return multiply(gradient, left, right)
        return factored.preconditioned(
            left, right, lambda: multiply(gradient, left, right)
        )
