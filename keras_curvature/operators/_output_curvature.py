"""Matrices that act on the outputs of a batch, sample by sample."""

import math

import tensorflow as tf


class BlockCurvature:
    """B, given by products, with a block for each sample.

    Args:
        products: List of callables, one for each output, that map a tensor in
            the shape of this output to another one.
        outputs: List of these outputs, of shapes `(batch, ...)`.
    """

    # The rows of the Jacobian whose squares make the diagonal: all of them.
    rows = None

    def __init__(self, products, outputs):
        self._products = products
        self._outputs = outputs

    def product(self, vectors):
        """B·u for tensors in the shapes of the outputs."""
        return [p(v) for p, v in zip(self._products, vectors, strict=True)]

    def eigenvectors(self):
        """B = Σ λ·v·vᵀ: v `(batch, outputs, outputs)`, λ `(batch, outputs)`.

        Row k of v is the vector number k.
        """
        values, vectors = tf.linalg.eigh(self._blocks())
        return tf.linalg.matrix_transpose(vectors), values

    def squares(self, jacobians):
        """The diagonal of Σ Jᵀ·B·J over the samples.

        Args:
            jacobians: List of tensors of shape `(batch, outputs, size)`.

        Returns:
            List of tensors of shape `(size,)`.
        """
        blocks = self._blocks()
        return [
            tf.reduce_sum(j * (tf.cast(blocks, j.dtype) @ j), (0, 1))
            for j in jacobians
        ]

    def matrix(self, jacobian):
        """Σ Jᵀ·B·J over the samples, of shape `(size, size)`.

        Args:
            jacobian: Tensor of shape `(batch, outputs, size)`.
        """
        blocks = tf.cast(self._blocks(), jacobian.dtype)
        return _flat(jacobian, transpose=True) @ _flat(blocks @ jacobian)

    def _blocks(self):
        """B as a tensor of shape (batch, outputs, outputs)."""
        widths = [math.prod(o.shape[1:]) for o in self._outputs]
        blocks = []
        for product, output, width in zip(
            self._products, self._outputs, widths, strict=True
        ):

            def column(k, product=product, output=output, width=width):
                unit = tf.one_hot(k, width, dtype=output.dtype)
                unit = tf.broadcast_to(unit, (tf.shape(output)[0], width))
                curved = product(tf.reshape(unit, tf.shape(output)))
                return tf.reshape(curved, (-1, width))

            columns = tf.map_fn(
                column,
                tf.range(width),
                fn_output_signature=tf.TensorSpec((None, width), output.dtype),
            )
            blocks.append(tf.transpose(columns, (1, 2, 0)))
        return _block_diagonal(blocks, widths)


def _block_diagonal(blocks, widths):
    """Matrices (batch, a, a), (batch, b, b), ... along one diagonal."""
    total, before, padded = sum(widths), 0, []
    for block, width in zip(blocks, widths, strict=True):
        around = (before, total - before - width)
        padded.append(tf.pad(block, ((0, 0), around, around)))
        before += width
    return tf.add_n([tf.cast(p, padded[0].dtype) for p in padded])


class ScoreCurvature:
    """B = Σ a·aᵀ with vectors of scores a for each sample.

    Args:
        scores: List, one for each output, of tensors of shape
            `(batch, vectors, ...)` that end in the shape of the output.
    """

    def __init__(self, scores):
        self._scores = scores
        flat = [
            tf.reshape(s, (tf.shape(s)[0], s.shape[1], math.prod(s.shape[2:])))
            for s in scores
        ]
        self.rows = tf.concat([tf.cast(f, flat[0].dtype) for f in flat], 2)

    def product(self, vectors):
        """B·u for tensors in the shapes of the outputs."""
        flat = [
            tf.cast(tf.reshape(v, (tf.shape(v)[0], -1)), self.rows.dtype)
            for v in vectors
        ]
        shares = tf.einsum("bko,bo->bk", self.rows, tf.concat(flat, 1))
        return [
            tf.einsum("bk,bk...->b...", tf.cast(shares, s.dtype), s)
            for s in self._scores
        ]

    def eigenvectors(self):
        """The scores and, for each, 1: see `BlockCurvature`."""
        return self.rows, tf.ones_like(self.rows[..., 0])

    def squares(self, jacobians):
        """The diagonal of Σ Jᵀ·B·J over the samples.

        Args:
            jacobians: List of tensors of shape `(batch, vectors, size)`, the
                products of the rows with J.

        Returns:
            List of tensors of shape `(size,)`.
        """
        return [tf.reduce_sum(j * j, (0, 1)) for j in jacobians]

    def matrix(self, jacobian):
        """Σ Jᵀ·B·J over the samples, of shape `(size, size)`.

        Args:
            jacobian: Tensor of shape `(batch, vectors, size)`, the products of
                the rows with J.
        """
        return _flat(jacobian, transpose=True) @ _flat(jacobian)


def _flat(jacobian, transpose=False):
    """All rows of all samples, or these as columns."""
    rows = tf.reshape(jacobian, (-1, jacobian.shape[-1]))
    return tf.transpose(rows) if transpose else rows
