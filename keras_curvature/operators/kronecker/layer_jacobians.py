"""Gradients by the weights of layers, as products of two small tensors."""

import math
from typing import NamedTuple

import tensorflow as tf

from keras_curvature.autodiff.backpropagation import backpropagate
from keras_curvature.operators.kronecker.elementwise import ElementwiseUse
from keras_curvature.operators.kronecker.estimate import factor_dtype
from keras_curvature.operators.kronecker.layout import Block
from keras_curvature.operators.kronecker.plan import kronecker_plan

# The entries of gradients that are held at once.
_ENTRIES = 2**22


class LayerGradient(NamedTuple):
    """Gradients of samples by the weights of a layer: Σ a⊗g over positions.

    Attributes:
        block: `Block`, how the weights form a matrix of shape `(groups,
            inputs, outputs)`.
        inputs: a, `(batch, positions, groups, inputs)`, with 1 for a bias.
        signals: g, `(batch, positions, groups, outputs)`.
    """

    block: Block
    inputs: tf.Tensor
    signals: tf.Tensor

    def squares(self, weights):
        """Σ weights·(Σ a⊗g)² over the batch, `(groups, inputs, outputs)`.

        Args:
            weights: Tensor of shape `(batch,)`.
        """
        if self.inputs.shape[1] == 1:
            signals = tf.square(self.signals[:, 0])
            return _by_groups(
                tf.square(self.inputs[:, 0]), signals * weights[:, None, None]
            )
        shape = self.block.groups, self.block.inputs, self.block.outputs
        at_once = max(1, _ENTRIES // math.prod(shape))

        def add(start, total):
            rows = slice(start, start + at_once)
            products = tf.einsum(
                "npgi,npgo->ngio", self.inputs[rows], self.signals[rows]
            )
            squares = tf.einsum("n,ngio->gio", weights[rows], products**2)
            return start + at_once, total + squares

        batch = tf.shape(weights)[0]
        zeros = tf.zeros(shape, self.inputs.dtype)
        return tf.while_loop(
            lambda start, _: start < batch,
            add,
            [0, zeros],
            parallel_iterations=1,
        )[1]

    def total(self, weights):
        """Σ weights·Σ a⊗g over the batch, `(groups, inputs, outputs)`.

        Args:
            weights: Tensor of shape `(batch,)`.
        """
        groups, inputs, outputs = (
            self.block.groups,
            self.block.inputs,
            self.block.outputs,
        )
        weighted = self.signals * weights[:, None, None, None]
        return _by_groups(
            tf.reshape(self.inputs, (-1, groups, inputs)),
            tf.reshape(weighted, (-1, groups, outputs)),
        )


def _by_groups(inputs, signals):
    """Σ a⊗g over rows of shapes (rows, groups, ...)."""
    if inputs.shape[1] == 1:
        return tf.matmul(inputs[:, 0], signals[:, 0], transpose_a=True)[None]
    return tf.matmul(
        tf.transpose(inputs, (1, 2, 0)), tf.transpose(signals, (1, 0, 2))
    )


class UnknownUse(Exception):
    """A weight enters the outputs in a way that is not a layer's."""


class LayerJacobians:
    """What the layers of a model got and what comes back to them.

    For a layer with the inputs a, to whose outputs the signal g comes back, a
    sample's gradient by the weights is a⊗g, summed over positions: never
    formed, it takes inputs plus outputs in place of inputs times outputs.
    The samples must not depend on each other: see `disagreement`.

    Args:
        outputs: List of symbolic tensors of a graph, of shapes `(batch, ...)`.
        variables: List of the variables.

    Raises:
        UnknownUse: where a weight enters in another way than kernels, biases,
            scales and tables of layers do, or a number of positions is not
            known before the data are.
    """

    def __init__(self, outputs, variables):
        self.outputs = outputs
        self.variables = variables
        # Only rows are needed here, and no factor of any size.
        self._plan = kronecker_plan(outputs, variables, math.inf)
        self._positions = [
            _positions(block, uses)
            for block, uses in zip(self.blocks, self._plan.uses, strict=True)
        ]
        self._dtypes = [factor_dtype(variables[b.kernel]) for b in self.blocks]

    @property
    def blocks(self):
        """List of `Block`s, which hold each variable once."""
        return self._plan.blocks

    def entries(self, width):
        """How many numbers a sample takes with so many gradients."""
        total = 0
        for block, positions in zip(self.blocks, self._positions, strict=True):
            rows = block.inputs + width * block.outputs
            total += positions * block.groups * rows
            if positions > 1:
                # Its gradients are formed.
                total += width * block.groups * block.inputs * block.outputs
        return total

    def inputs(self):
        """For each block a, of shape `(batch, positions, groups, inputs)`."""
        found = []
        for block, uses, dtype, positions in self._each():
            rows = tf.concat([_inputs(block, use, dtype) for use in uses], 1)
            if block.bias is not None:
                rows = tf.concat([rows, tf.ones_like(rows[..., :1])], axis=-1)
            shape = (-1, positions, block.groups, block.inputs)
            found.append(tf.reshape(rows, shape))
        return found

    def signals(self, cotangents):
        """For each block g, of shape `(batch, positions, groups, outputs)`.

        Args:
            cotangents: List of tensors in the shapes of the outputs.
        """
        sources = [use.output for uses in self._plan.uses for use in uses]
        back = iter(backpropagate(self.outputs, cotangents, sources))
        found = []
        for block, uses, dtype, positions in self._each():
            rows = [_signals(use, next(back), dtype) for use in uses]
            shape = (-1, positions, block.groups, block.outputs)
            found.append(tf.reshape(tf.concat(rows, 1), shape))
        return found

    def gradients(self, cotangents):
        """∂ Σ outputs·cotangents / ∂ variables, as autodiff has it.

        Args:
            cotangents: List of tensors in the shapes of the outputs.
        """
        handles = [self._plan.forward.handle(v) for v in self.variables]
        found = backpropagate(self.outputs, cotangents, handles)
        return [
            tf.zeros(v.shape, v.dtype) if gradient is None else gradient
            for gradient, v in zip(found, self.variables, strict=True)
        ]

    def _each(self):
        return zip(
            self.blocks,
            self._plan.uses,
            self._dtypes,
            self._positions,
            strict=True,
        )

    def disagreement(self):
        """By how much a⊗g differs from a gradient of the whole batch.

        A sum of gradients of samples, each multiplied with a number of its
        own, taken in both ways: far from 0 where samples depend on each other,
        or a layer has them on another axis than the first. Relative to the
        largest entry, a scalar tensor.
        """
        batch = tf.shape(self.outputs[0])[0]
        weights = tf.random.stateless_uniform((batch,), (1, 2), 0.5, 1.5)
        cotangents = [_drawn(output) for output in self.outputs]
        weighted = [
            c * tf.reshape(tf.cast(weights, c.dtype), _column(c))
            for c in cotangents
        ]
        gradients = self.gradients(weighted)
        worst = tf.zeros((), tf.float32)
        for block, a, g in zip(
            self.blocks, self.inputs(), self.signals(cotangents), strict=True
        ):
            ours = LayerGradient(block, a, g).total(tf.cast(weights, a.dtype))
            parts = [gradients[i] for i in block.indices]
            theirs = tf.cast(block.join(parts), ours.dtype)
            error = tf.reduce_max(tf.abs(ours - theirs))
            largest = tf.reduce_max(tf.abs(theirs))
            # A layer that nothing comes back to has no error either.
            largest = tf.where(largest > 0, largest, tf.ones_like(largest))
            worst = tf.maximum(worst, tf.cast(error / largest, tf.float32))
        return worst


def _inputs(block, use, dtype):
    if use.has_dense_inputs:
        return tf.cast(use.inputs(), dtype)
    return tf.one_hot(use.indices(), block.inputs, dtype=dtype)[:, :, None]


def _signals(use, cotangent, dtype):
    if cotangent is None:
        cotangent = tf.zeros_like(use.output)
    rows = tf.cast(use.signals(cotangent), dtype)
    if isinstance(use, ElementwiseUse) and use.has_dense_inputs:
        # All positions have the same input, 1.
        return tf.reduce_sum(rows, axis=1, keepdims=True)
    return rows


def _positions(block, uses):
    """The positions of all uses of a weight."""
    positions = [use.positions for use in uses]
    if not block.has_factors or None in positions:
        raise UnknownUse
    return sum(positions)


def _drawn(output):
    """A tensor of random numbers in the shape of an output."""
    return tf.random.stateless_uniform(
        tf.shape(output), (3, 4), -1.0, 1.0, output.dtype
    )


def _column(tensor):
    return (-1, *[1] * (tensor.shape.rank - 1))
