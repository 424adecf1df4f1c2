"""The inverse of a damped Kronecker-factored matrix."""

import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature.operators.curvature_operator import CurvatureOperator
from keras_curvature.operators.kronecker.damping import multiply


class KroneckerInverse(CurvatureOperator):
    """(A ⊗ G + damping·I)⁻¹ for each block, without a split of the damping.

    Args:
        variables: List of the variables.
        spectra: List of `Spectrum`s, whose blocks hold each variable once.
        damping: Float ≥ 0.
    """

    def __init__(self, variables, spectra, damping):
        super().__init__(variables)
        self.damping = damping
        self._spectra = spectra

    def _matmat(self, matrix):
        columns = [self._matvec(v) for v in tf.unstack(matrix, axis=1)]
        return tf.stack(columns, axis=1) if columns else matrix

    def _matvec(self, vector):
        tensors = self.unflatten(vector)
        products = [None] * len(tensors)
        for block, left, right, eigenvalues in self._spectra:
            matrix = block.join([tensors[i] for i in block.indices])
            matrix = tf.cast(matrix, eigenvalues.dtype)
            turned = multiply(matrix, _transposed(left), right)
            turned /= eigenvalues + cast(self.damping, turned.dtype)
            back = multiply(turned, left, _transposed(right))
            parts = block.split(back, tensors[block.indices[-1]].shape)
            for index, part in zip(block.indices, parts, strict=True):
                products[index] = part
        return self.flatten(products)


def _transposed(factor):
    if factor.shape.rank == 3:
        return tf.linalg.matrix_transpose(factor)
    return factor
