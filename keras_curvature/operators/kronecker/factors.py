"""The Kronecker factors of a batch, from inputs and signals of its layers."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.variables import variable_name
from keras_curvature.operators.kronecker.layout import Block

SHARINGS = ("expand", "reduce")


class Factors(NamedTuple):
    """The factors A ⊗ G of one block.

    Attributes:
        block: `Block`, how the weights form a matrix of shape `(groups,
            inputs, outputs)`.
        inputs: A of each group, `(groups, inputs, inputs)`, or its diagonal.
        outputs: G of each group, `(groups, outputs, outputs)`, or its
            diagonal.
    """

    block: Block
    inputs: tf.Tensor
    outputs: tf.Tensor

    def diagonal(self):
        """The diagonal, in the shape of the block's matrix."""
        a, g = (
            tf.linalg.diag_part(f) if f.shape.rank == 3 else f
            for f in (self.inputs, self.outputs)
        )
        return a[:, :, None] * g[:, None, :]


class BatchFactors:
    """Sums over a batch that make A and G of each block.

        F ≈ A ⊗ G,  A = E[a aᵀ],  G = Σ g gᵀ

    with the inputs a of a layer, 1 for a bias, and the signals g = ∂/∂(a·W)
    that come back to it. Where a weight is shared over R positions,

    - `"expand"` takes positions for samples: A is the mean over both,
      weighted as the losses of the positions are where they have their own;
    - `"reduce"` takes the mean of a and the sum of g over the positions.

    Both are exact for one linear layer with one position.

    Args:
        plan: `Plan` of the model.
        coefficients: Tensor of shape `(batch, ...)`, what the loss of each
            row counts in the loss of the batch.
        sharing: `"expand"` or `"reduce"`.
        dtypes: For each block the dtype of its factors.

    References:
        Martens, Grosse, 2015, "Optimizing neural networks with
        Kronecker-factored approximate curvature", arXiv 1503.05671.
        Eschenhagen et al., 2023, "Kronecker-factored approximate curvature
        for modern neural network architectures", arXiv 2311.00636, section 3.
    """

    def __init__(self, plan, coefficients, sharing, dtypes):
        self._plan = plan
        self._coefficients = coefficients
        self._reduces = sharing == "reduce"
        self._dtypes = dtypes

    def signal_sources(self):
        """The tensors whose cotangents `output_factors` takes, flat."""
        sources = []
        for layers in self._plan.uses:
            sources += [layer.output for layer in layers]
        return sources

    def input_factors(self):
        """Σ c·a·aᵀ for each block, to be divided by Σ c."""
        return [
            self._input_factor(block, layers, dtype)
            for block, layers, dtype in zip(
                self._plan.blocks, self._plan.uses, self._dtypes, strict=True
            )
        ]

    def output_factors(self, cotangents, gradients, bases=None):
        """G for each block, and squares of gradients in given bases.

        Args:
            cotangents: One for each of `signal_sources`, None for 0.
            gradients: Dict from the index of a variable without factors to
                its gradient by signals of random sign.
            bases: For each block orthogonal matrices `(inputs, outputs)`, or
                None where no squares are wanted. Defaults to None.

        Returns:
            List of G, and a list of tensors of shape `(groups, inputs,
            outputs)` for the bases that are not None.
        """
        cotangents = iter(cotangents)
        factors, squares = [], []
        bases = bases or [None] * len(self._plan.blocks)
        for block, layers, dtype, basis in zip(
            self._plan.blocks, self._plan.uses, self._dtypes, bases, strict=True
        ):
            if not block.has_factors:
                own = tf.square(tf.cast(gradients[block.kernel], dtype))
                factors.append(tf.reshape(own, block.output_shape))
                continue
            signals = self.signals(
                layers, [next(cotangents) for _ in layers], dtype
            )
            factors.append(gram(signals, block.has_dense_outputs))
            if basis is not None:
                inputs = self.inputs(block, layers, dtype)
                squares.append(squares_in_basis(inputs, signals, *basis))
        return factors, squares

    def signals(self, layers, cotangents, dtype):
        """The rows g of a block, `(rows, positions, groups, outputs)`."""
        signals = [
            tf.cast(layer.signals(cotangent), dtype)
            for layer, cotangent in zip(layers, cotangents, strict=True)
            if cotangent is not None
        ]
        if not signals:
            groups, _, outputs = layers[0].layout.viewed_shape
            return tf.zeros((1, 1, groups, outputs), dtype)
        if self._reduces and layers[0].has_dense_inputs:
            signals = [tf.reduce_sum(s, axis=1, keepdims=True) for s in signals]
            return signals[0] if len(signals) == 1 else tf.add_n(signals)
        return _one_below_another(signals)

    def inputs(self, block, layers, dtype):
        """The rows a of a block with 1 for a bias, as `signals`."""
        inputs = [tf.cast(layer.inputs(), dtype) for layer in layers]
        if self._reduces:
            count = tf.add_n([tf.shape(rows)[1] for rows in inputs])
            total = [
                tf.reduce_sum(rows, axis=1, keepdims=True) for rows in inputs
            ]
            total = total[0] if len(total) == 1 else tf.add_n(total)
            inputs = [total / tf.cast(count, dtype)]
        rows = _one_below_another(inputs)
        if block.bias is not None:
            rows = tf.concat([rows, tf.ones_like(rows[..., :1])], axis=-1)
        return rows

    def _input_factor(self, block, layers, dtype):
        if not block.has_factors:
            total = tf.reduce_sum(tf.cast(self._coefficients, dtype))
            return tf.fill(block.input_shape, total)
        if not layers[0].has_dense_inputs:
            return self._frequencies(block, layers, dtype)
        rows = self.inputs(block, layers, dtype)
        weights = self._weights(tf.shape(rows)[0], tf.shape(rows)[1], dtype)
        rows *= tf.sqrt(weights)[:, :, None, None]
        return gram(rows, block.has_dense_inputs)

    def _frequencies(self, block, layers, dtype):
        """How often each row of a table is looked up: A is diagonal."""
        indices = _one_below_another(
            [tf.cast(layer.indices(), tf.int64) for layer in layers]
        )
        weights = self._weights(
            tf.shape(indices)[0], tf.shape(indices)[1], dtype
        )
        return tf.math.unsorted_segment_sum(
            tf.reshape(weights, [-1]), tf.reshape(indices, [-1]), block.inputs
        )[None]

    def _weights(self, batch, positions, dtype):
        """c of each position, `(batch, positions)`; Σ c is that of all.

        That of its own loss where there are as many losses, which a mask may
        leave out; else an equal part of that of its sample.
        """
        c = tf.cast(self._coefficients, dtype)
        flat = tf.reshape(c, [-1])
        each = tf.size(flat) // batch
        own = tf.reshape(flat[: each * batch], (batch, each))
        is_of_samples = tf.equal(each * batch, tf.size(flat))
        total = tf.where(
            is_of_samples,
            tf.reduce_sum(own, axis=1),
            # A tensor whose first axis is not that of the samples.
            tf.reduce_sum(flat) / tf.cast(batch, dtype),
        )
        parts = tf.broadcast_to(
            total[:, None] / tf.cast(positions, dtype), (batch, positions)
        )
        if c.shape.rank == 1:
            return parts
        is_alike = is_of_samples & tf.equal(each, positions)
        places = tf.minimum(tf.range(positions), each - 1)
        return tf.where(is_alike, tf.gather(own, places, axis=1), parts)


def gram(rows, is_dense):
    """Σ r rᵀ over the first two axes, by groups, or its diagonal."""
    groups, size = rows.shape[2:]
    rows = tf.reshape(rows, (-1, groups, size))
    if not is_dense:
        return tf.reduce_sum(tf.square(rows), axis=0)
    if groups == 1:
        rows = rows[:, 0]
        return tf.matmul(rows, rows, transpose_a=True)[None]
    rows = tf.transpose(rows, (1, 0, 2))
    return tf.matmul(rows, rows, transpose_a=True)


def squares_in_basis(inputs, signals, left, right):
    """Σ (leftᵀ·aᵀg·right)² over samples, the gradients aᵀg of each squared.

    Args:
        inputs: Tensor of shape `(batch, positions, groups, inputs)`.
        signals: Tensor of shape `(batch, positions, groups, outputs)`.
        left: Orthogonal matrix of shape `(groups, inputs, inputs)`.
        right: Orthogonal matrix of shape `(groups, outputs, outputs)`.
    """
    inputs = tf.einsum("npgi,gij->npgj", inputs, left)
    signals = tf.einsum("npgo,goq->npgq", signals, right)
    if signals.shape[1] == 1:
        return tf.einsum(
            "npgi,npgo->gio", tf.square(inputs), tf.square(signals)
        )
    products = tf.einsum("npgi,npgo->ngio", inputs, signals)
    return tf.reduce_sum(tf.square(products), axis=0)


def _one_below_another(parts):
    """Uses of one weight as further positions."""
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=1)


def refuse_not_finite(factors, variables):
    """Raises where data or weights were NaN or too large, naming weights."""
    names = [
        variable_name(variables[f.block.indices[0]])
        for f in factors
        if not np.isfinite(f.inputs).all() or not np.isfinite(f.outputs).all()
    ]
    if names:
        raise ValueError(
            "Kronecker factors must be finite. Received: others for "
            f"{', '.join(names)}. Look at the data and the weights for NaN, "
            "infinite and huge numbers."
        )
