"""Sums of Jᵀ·B·J from what comes back to each layer."""

import tensorflow as tf

from keras_curvature.linalg.inverse_cholesky import ROWS
from keras_curvature.operators.kronecker.layer_jacobians import (
    LayerGradient,
    UnknownUse,
)

# A layer with more outputs has more pairs of them than samples have numbers.
_MOST_OUTPUTS = 32


class LayerSums:
    """The diagonal, or for one small layer all, of Jᵀ·B·J of a batch.

    By one backward pass for each eigenvector of B, whose signals are squared
    with the inputs of the layer.

    Args:
        layers: `LayerJacobians` of the batch.
        curvature: `BlockCurvature` or `ScoreCurvature`, B.
    """

    def __init__(self, layers, curvature):
        self._layers = layers
        self._outputs, self._variables = layers.outputs, layers.variables
        self._inputs = layers.inputs()
        self._vectors, self._weights = curvature.eigenvectors()

    def squares(self):
        """The diagonal, one tensor in the shape of each variable."""
        blocks = self._layers.blocks

        def squares(signals, weights):
            return [
                LayerGradient(block, a, g).squares(tf.cast(weights, a.dtype))
                for block, a, g in zip(
                    blocks, self._inputs, signals, strict=True
                )
            ]

        shapes = [(b.groups, b.inputs, b.outputs) for b in blocks]
        dtypes = [a.dtype for a in self._inputs]
        found = [None] * len(self._variables)
        for block, total in zip(
            blocks, self._over_vectors(squares, shapes, dtypes), strict=True
        ):
            shape = self._variables[block.indices[-1]].shape
            for index, part in zip(
                block.indices, block.split(total, shape), strict=True
            ):
                found[index] = part
        return found

    def grams(self, dtype):
        """What `from_grams` makes all of it of, for a model of one layer.

        Σ aᵢ·aⱼ·Hₒₚ with H = Σ g·gᵀ of each sample, for the pairs of outputs
        o ≤ p, and some inputs i after the other with all j up to the last of
        them: a list of tensors `(some inputs, pairs, inputs up to those)`.

        Args:
            dtype: Of the products and of the tensors.

        Raises:
            UnknownUse: for several layers, for one with positions, and for
                many outputs.
        """
        if len(self._layers.blocks) > 1:
            raise UnknownUse
        (block,), (inputs,) = self._layers.blocks, self._inputs
        if inputs.shape[1:3] != (1, 1) or block.outputs > _MOST_OUTPUTS:
            raise UnknownUse
        rows = tf.cast(inputs[:, 0, 0], dtype)

        def curvature(signals, weights):
            g = tf.cast(signals[0][:, 0, 0], dtype)
            weights = tf.cast(weights, dtype)
            return [tf.einsum("n,no,np->nop", weights, g, g)]

        width = block.outputs
        shape = (tf.shape(rows)[0], width, width)
        (h,) = self._over_vectors(curvature, [shape], [dtype])
        places = [o * width + p for o, p in _pairs(width)]
        h = tf.reshape(h, (-1, width * width))
        h = tf.gather(h, places, axis=1)
        at_once = max(1, ROWS // width)
        return [
            _gram(rows, h, start, min(start + at_once, block.inputs))
            for start in range(0, block.inputs, at_once)
        ]

    def _over_vectors(self, function, shapes, dtypes):
        """Σ function(signals, weights) over the eigenvectors of B."""
        sizes = [o.shape[1:].num_elements() for o in self._outputs]

        def add(number, *totals):
            parts = tf.split(self._vectors[:, number], sizes, axis=1)
            cotangents = [
                tf.reshape(tf.cast(part, o.dtype), tf.shape(o))
                for part, o in zip(parts, self._outputs, strict=True)
            ]
            signals = self._layers.signals(cotangents)
            new = function(signals, self._weights[:, number])
            pairs = zip(totals, new, strict=True)
            return number + 1, *[total + more for total, more in pairs]

        zeros = [tf.zeros(*both) for both in zip(shapes, dtypes, strict=True)]
        _, *totals = tf.while_loop(
            lambda number, *_: number < tf.shape(self._vectors)[1],
            add,
            [0, *zeros],
            parallel_iterations=1,
        )
        return totals


def _gram(rows, h, start, end):
    """One of `LayerSums.grams`."""
    weighted = rows[:, start:end, None] * h[:, None]
    pairs = h.shape[1]
    weighted = tf.reshape(weighted, (-1, (end - start) * pairs))
    gram = tf.matmul(weighted, rows[:, :end], transpose_a=True)
    return tf.reshape(gram, (end - start, pairs, end))


def from_grams(gram, outputs):
    """A block row of the lower triangle of the matrix.

    The weights of an input, one for each of the outputs, stand together.

    Args:
        gram: One of the sums of `LayerSums.grams`.
        outputs: Int.

    Returns:
        Tensor of shape `(rows, all up to the last of these)`.
    """
    numbers = {pair: k for k, pair in enumerate(_pairs(outputs))}
    order = [
        numbers[min(o, p), max(o, p)]
        for o in range(outputs)
        for p in range(outputs)
    ]
    count, _, end = gram.shape
    row = tf.gather(gram, order, axis=1)
    row = tf.reshape(row, (count, outputs, outputs, end))
    row = tf.transpose(row, (0, 1, 3, 2))
    return tf.reshape(row, (count * outputs, end * outputs))


def _pairs(width):
    return [(o, p) for o in range(width) for p in range(o, width)]
