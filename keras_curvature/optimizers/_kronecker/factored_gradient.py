"""The gradient of a dense layer as the product that it was made by."""

from typing import NamedTuple

import tensorflow as tf


class FactoredGradient(NamedTuple):
    """A gradient aᵀg of a layer's inputs a and signals g.

    To multiply a and g by the inverse factors and then with each other takes
    fewer operations than to multiply their product by them, unless the batch
    is larger than the layer:

        A⁻¹·(aᵀg)·G⁻¹ = (a·A⁻¹)ᵀ·(g·G⁻¹)

    Attributes:
        inputs: Tensor of shape `(batch, inputs)`, with a last column of ones
            where the block has a bias.
        signals: Tensor of shape `(batch, outputs)`.
    """

    inputs: tf.Tensor
    signals: tf.Tensor

    @classmethod
    def of(cls, block, gradients):
        """The factors of a block's gradients, or None.

        They are read off the graph, so that nothing but the gradient of one
        product of matrices is taken for one: not that of a regularizer, of
        clipping, of another dtype, or of a layer that is used twice.

        Args:
            block: `Block`.
            gradients: Tensors in the order of `block.indices`.
        """
        kernel, *biases = gradients
        if not (block.has_dense_inputs and block.has_dense_outputs):
            return None
        operation = kernel.op
        if operation.type != "MatMul" or (
            block.layout.shape != block.layout.viewed_shape[1:]
        ):
            return None
        turned = [operation.get_attr(f"transpose_{x}") for x in "ab"]
        inputs, signals = operation.inputs
        if turned != [True, False]:
            return None
        if biases:
            of_bias = biases[0].op
            if (
                of_bias.type != "BiasAddGrad"
                or of_bias.inputs[0] is not signals
            ):
                return None
            # The bias is a weight of an input that is always 1.
            one = tf.ones((tf.shape(inputs)[0], 1), inputs.dtype)
            inputs = tf.concat([inputs, one], axis=1)
        return cls(inputs, signals)

    def preconditioned(self, left, right, otherwise):
        """left·aᵀg·right, whichever way takes fewer multiplications.

        Args:
            left: Symmetric tensor of shape `(1, inputs, inputs)`.
            right: Symmetric tensor of shape `(1, outputs, outputs)`.
            otherwise: Callable that gives the same from the product itself.

        Returns:
            Tensor of shape `(1, inputs, outputs)`.
        """

        def by_factors():
            a, g = (tf.cast(tensor, left.dtype) for tensor in self)
            return tf.matmul(
                tf.matmul(a, left[0]), tf.matmul(g, right[0]), transpose_a=True
            )[None]

        inputs, outputs = left.shape[-1], right.shape[-1]
        # Of a sample, and of the product.
        own = inputs**2 + outputs**2 + inputs * outputs
        whole = inputs * outputs * (inputs + outputs)
        batch = self.signals.shape[0]
        if batch is not None:
            return by_factors() if batch * own < whole else otherwise()
        batch = tf.shape(self.signals, out_type=tf.int64)[0]
        return tf.cond(batch * own < whole, by_factors, otherwise)
