"""EKFAC's preconditioner: measured eigenvalues in Kronecker's basis."""

import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature.operators.kronecker.damping import multiply
from keras_curvature.optimizers._kronecker.inverse_factors import (
    InverseFactors,
)


class EigenvalueCorrection(InverseFactors):
    """U_A · ((U_Aᵀ·V·U_G) / (s + λ)) · U_Gᵀ.

    U_A and U_G are eigenvectors of A and G and s the second moments of the
    gradients of samples in their basis, of which the products of eigenvalues
    are an approximation. A new basis takes s over from the one before: its
    squared coefficients are the weights.

    Blocks with a diagonal factor have no basis and stay as K-FAC has them.

    References:
        George et al., 2018, "Fast approximate natural gradient descent in a
        Kronecker-factored eigenbasis", arXiv 1806.03884, algorithm 1.
    """

    def shapes(self, block):
        if not _has_basis(block):
            return super().shapes(block)
        return {
            "basis_inputs": block.input_shape,
            "basis_outputs": block.output_shape,
            "eigenvalues": (block.groups, block.inputs, block.outputs),
        }

    def initial(self, name, shape, dtype):
        if name.startswith("basis"):
            return tf.eye(shape[1], batch_shape=[shape[0]], dtype=dtype)
        return super().initial(name, shape, dtype)

    def basis(self, block, state):
        if not _has_basis(block):
            return None
        return state["basis_inputs"], state["basis_outputs"]

    def refreshed(self, block, state, squares, rate, damping):
        if not _has_basis(block):
            return super().refreshed(block, state, squares, rate, damping)
        values_a, left = tf.linalg.eigh(state["inputs"])
        values_g, right = tf.linalg.eigh(state["outputs"])
        products = tf.maximum(values_a, 0)[:, :, None]
        products *= tf.maximum(values_g, 0)[:, None, :]
        moments = (1 - rate) * state["eigenvalues"] + rate * squares
        turned = tf.matmul(state["basis_inputs"], left, transpose_a=True)
        turned_g = tf.matmul(state["basis_outputs"], right, transpose_a=True)
        moments = tf.matmul(tf.square(turned), moments, transpose_a=True)
        moments = tf.matmul(moments, tf.square(turned_g))
        return {
            "basis_inputs": left,
            "basis_outputs": right,
            # The first basis is that of no gradients.
            "eigenvalues": tf.where(rate < 1, moments, products),
        }

    def direction(self, block, state, gradient, damping, factored=None):
        if not _has_basis(block):
            return super().direction(block, state, gradient, damping, factored)
        left, right = state["basis_inputs"], state["basis_outputs"]
        transposed = tf.linalg.matrix_transpose
        turned = multiply(gradient, transposed(left), right)
        turned /= state["eigenvalues"] + cast(damping, gradient.dtype)
        return multiply(turned, left, transposed(right))


def _has_basis(block):
    return (
        block.has_dense_inputs and block.has_dense_outputs and block.inputs > 1
    )
