"""Inverses of A ⊗ G + λ·I in Kronecker form."""

import numpy as np
import tensorflow as tf

from keras_curvature._casting import cast


def damped_inverses(block, a, g, damping):
    """(A + π·√λ·I)⁻¹ and (G + √λ/π·I)⁻¹, with π² = mean(A) / mean(G).

    The means are those of the diagonals. λ is split so that the error of

        (A + π·√λ·I) ⊗ (G + √λ/π·I) ≈ A ⊗ G + λ·I

    is small in the trace norm. Where A is a number the sum is exact. What is
    added to a matrix is at least its rounding error, so that Cholesky's
    factorization exists.

    Args:
        block: `Block` of the factors.
        a: A, or its diagonal, in the shape of `block.input_shape`.
        g: G, or its diagonal, in the shape of `block.output_shape`.
        damping: Scalar λ > 0.

    Returns:
        The two inverses, diagonal where the factors are.

    References:
        Martens, Grosse, 2015, arXiv 1503.05671, section 6.3.
    """
    damping = cast(damping, a.dtype)
    if block.inputs == 1:
        scale = tf.reshape(a, (block.groups, *[1] * (g.shape.rank - 1)))
        inverse = _shifted_inverse(scale * g, damping, block.has_dense_outputs)
        return tf.ones_like(a), inverse
    mean_a = tf.reduce_mean(_diagonal(a, block.has_dense_inputs))
    mean_g = tf.reduce_mean(_diagonal(g, block.has_dense_outputs))
    is_split = (mean_a > 0) & (mean_g > 0)
    one = tf.ones_like(mean_a)
    ratio = tf.where(is_split, mean_a, one) / tf.where(is_split, mean_g, one)
    # Neither part may vanish beside the other.
    pi = tf.clip_by_value(tf.sqrt(ratio), 1e-6, 1e6)
    root = tf.sqrt(damping)
    return (
        _shifted_inverse(a, pi * root, block.has_dense_inputs),
        _shifted_inverse(g, root / pi, block.has_dense_outputs),
    )


def multiply(matrix, left, right):
    """left·matrix·right for each group; vectors stand for diagonals.

    Args:
        matrix: Tensor of shape `(groups, inputs, outputs)`.
        left: Symmetric, `(groups, inputs, inputs)` or `(groups, inputs)`.
        right: The same for the outputs.
    """
    if left.shape.rank == 3:
        matrix = tf.matmul(left, matrix)
    else:
        matrix = left[:, :, None] * matrix
    if right.shape.rank == 3:
        return tf.matmul(matrix, right)
    return matrix * right[:, None, :]


def _shifted_inverse(matrix, shift, is_dense):
    if not is_dense:
        return 1 / (matrix + shift)
    size = matrix.shape[-1]
    diagonal = tf.linalg.diag_part(matrix)
    unit = float(np.finfo(matrix.dtype.as_numpy_dtype).eps)
    largest = tf.reduce_max(diagonal, axis=-1)
    shift = tf.maximum(shift, 4 * size * unit * largest)
    factor = tf.linalg.cholesky(
        tf.linalg.set_diag(matrix, diagonal + shift[..., None])
    )
    identity = tf.eye(size, batch_shape=[matrix.shape[0]], dtype=matrix.dtype)
    inverse = tf.linalg.triangular_solve(factor, identity)
    return tf.matmul(inverse, inverse, transpose_a=True)


def _diagonal(matrix, is_dense):
    return tf.linalg.diag_part(matrix) if is_dense else matrix
