"""Sums of Jᵀ·B·J from what comes back to each layer."""

import math

import tensorflow as tf

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
        found = [None] * len(self._variables)
        for block, total in zip(
            blocks, self._over_vectors(squares, shapes), strict=True
        ):
            shape = self._variables[block.indices[-1]].shape
            for index, part in zip(
                block.indices, block.split(total, shape), strict=True
            ):
                found[index] = part
        return found

    def grams(self):
        """What `from_grams` makes all of it of, for a model of one layer.

        Σ aᵢ·aⱼ·Hₒₚ with H = Σ g·gᵀ of each sample, for one pair of outputs o ≤
        p after the other: of shape `(pairs, inputs, inputs)`.

        Raises:
            UnknownUse: for several layers, for one with positions, and for
                many outputs.
        """
        if len(self._layers.blocks) > 1:
            raise UnknownUse
        (block,), (inputs,) = self._layers.blocks, self._inputs
        if inputs.shape[1:3] != (1, 1) or block.outputs > _MOST_OUTPUTS:
            raise UnknownUse
        rows = inputs[:, 0, 0]

        def curvature(signals, weights):
            g = signals[0][:, 0, 0]
            weights = tf.cast(weights, g.dtype)
            return [tf.einsum("n,no,np->nop", weights, g, g)]

        width = block.outputs
        shape = (tf.shape(rows)[0], width, width)
        (h,) = self._over_vectors(curvature, [shape])
        h = tf.gather_nd(tf.transpose(h, (1, 2, 0)), _pairs(width))
        return tf.map_fn(
            lambda own: tf.matmul(rows * own[:, None], rows, transpose_a=True),
            h,
        )

    def _over_vectors(self, function, shapes):
        """Σ function(signals, weights) over the eigenvectors of B."""
        sizes = [o.shape[1:].num_elements() for o in self._outputs]
        dtypes = [a.dtype for a in self._inputs]

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


def from_grams(grams, variables):
    """The matrix `(n, n)` from the sum of `LayerSums.grams`.

    Args:
        grams: Tensor of shape `(pairs, inputs, inputs)`.
        variables: List of the kernel and, if there is one, the bias.
    """
    inputs = grams.shape[1]
    outputs = sum(math.prod(v.shape) for v in variables) // inputs
    numbers = {pair: k for k, pair in enumerate(_pairs(outputs))}
    order = [
        numbers[min(o, p), max(o, p)]
        for o in range(outputs)
        for p in range(outputs)
    ]
    whole = tf.reshape(
        tf.gather(grams, order), (outputs, outputs, inputs, inputs)
    )
    size = inputs * outputs
    return tf.reshape(tf.transpose(whole, (2, 0, 3, 1)), (size, size))


def _pairs(width):
    return [(o, p) for o in range(width) for p in range(o, width)]
