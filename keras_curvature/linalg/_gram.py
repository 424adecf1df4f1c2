"""Products of a matrix with itself."""

import itertools

import tensorflow as tf

# From so many rows on half of the product costs less than what it takes to
# put the other half together.
_MANY = 512
_PARTS = 4


def gram_of_columns(matrix: tf.Tensor) -> tf.Tensor:
    """AᵀA for A of shape `(m, n)`, shape `(n, n)`."""
    if matrix.shape[1] < _MANY:
        return tf.matmul(matrix, matrix, transpose_a=True)
    return _symmetric(matrix, axis=1)


def gram_of_rows(matrix: tf.Tensor) -> tf.Tensor:
    """AAᵀ for A of shape `(m, n)`, shape `(m, m)`."""
    if (matrix.shape[0] or _MANY) < _MANY:
        return tf.matmul(matrix, matrix, transpose_b=True)
    return _symmetric(matrix, axis=0)


def _symmetric(matrix, axis):
    """The product from its lower blocks: TensorFlow has none for half."""
    size = matrix.shape[axis] or tf.shape(matrix)[axis]
    ends = [size * i // _PARTS for i in range(_PARTS + 1)]
    sizes = [end - begin for begin, end in itertools.pairwise(ends)]
    parts = tf.split(matrix, sizes, axis)
    lower = [
        [
            tf.matmul(a, b, transpose_a=axis == 1, transpose_b=axis == 0)
            for b in parts[: i + 1]
        ]
        for i, a in enumerate(parts)
    ]
    rows = [
        [*lower[i], *(tf.transpose(lower[j][i]) for j in range(i + 1, _PARTS))]
        for i in range(_PARTS)
    ]
    return tf.concat([tf.concat(row, axis=1) for row in rows], axis=0)
