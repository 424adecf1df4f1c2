"""Derivatives of networks of dense layers, layer by layer.

In a network of layers h ↦ f(h·W + b), each of which feeds the next, all that
the general ways do for any model is a few products. They take a fraction of
the operations: less time to trace them, and to run them on small networks.
"""

import typing

import tensorflow as tf


class Layer(typing.NamedTuple):
    """h ↦ f(z), z = h·W + b, as the network has computed it."""

    inputs: tf.Tensor
    # The matrix W; the places of W and b among the variables, None for a
    # layer without b.
    kernel: tf.Tensor
    places: tuple
    # f′(z) and f″(z), None where f is the identity.
    slope: tf.Tensor | None
    curvature: tf.Tensor | None


class DenseChain:
    """Derivatives of the outputs y of a network of dense layers.

    Args:
        layers: List of `Layer`s, from the inputs to y.
    """

    def __init__(self, layers):
        self._layers = layers

    def rows(self, cotangents):
        """Products of cotangents of each sample with its Jacobian.

        Args:
            cotangents: Tensor of shape `(batch, p, m)`, p for each sample.

        Returns:
            List of tensors of shape `(batch, p, size)`, one a variable.
        """
        products = {}
        for layer in reversed(self._layers):
            if layer.slope is not None:
                cotangents = cotangents * tf.expand_dims(layer.slope, 1)
            kernel, bias = layer.places
            if bias is not None:
                products[bias] = cotangents
            products[kernel] = _outer_products(layer.inputs, cotangents)
            if layer is not self._layers[0]:
                cotangents = _times_transposed(cotangents, layer.kernel)
        return _in_order(products)

    def vector_jacobian_product(self, cotangents):
        """Jᵀ·u for u of shape `(batch, m)`, shaped as the variables."""
        products = {}
        for layer in reversed(self._layers):
            if layer.slope is not None:
                cotangents = cotangents * layer.slope
            kernel, bias = layer.places
            if bias is not None:
                products[bias] = tf.reduce_sum(cotangents, axis=0)
            products[kernel] = tf.matmul(
                layer.inputs, cotangents, transpose_a=True
            )
            if layer is not self._layers[0]:
                cotangents = tf.matmul(
                    cotangents, layer.kernel, transpose_b=True
                )
        return _in_order(products)

    def jacobian_vector_product(self, vectors):
        """J·v for v shaped as the variables, of the shape of y."""
        first = None
        for layer in self._layers:
            first, _ = _first_order(layer, vectors, first)
        return first

    def second_derivative(self, vectors):
        """∂²y(w + t·v)/∂t² at t = 0, of the shape of y."""
        # The first two derivatives of h along v; None stands for 0.
        first = second = None
        for layer in self._layers:
            kernel, _ = layer.places
            bend = None if second is None else tf.matmul(second, layer.kernel)
            if first is not None:
                bend = _sum(bend, 2 * tf.matmul(first, vectors[kernel]))
            first, along = _first_order(layer, vectors, first)
            if layer.slope is None:
                second = bend
                continue
            second = layer.curvature * tf.square(along)
            if bend is not None:
                second += layer.slope * bend
        return tf.zeros_like(first) if second is None else second


def _first_order(layer, vectors, first):
    """The derivatives of f(z) and of z, with `first` that of h."""
    kernel, bias = layer.places
    along = tf.matmul(layer.inputs, vectors[kernel])
    if bias is not None:
        along += vectors[bias]
    if first is not None:
        along += tf.matmul(first, layer.kernel)
    return along if layer.slope is None else layer.slope * along, along


def _outer_products(inputs, cotangents):
    """h⊗c, of shape `(batch, p, i·j)`, from shapes (b, i) and (b, p, j)."""
    width, length = inputs.shape[1], cotangents.shape[2]
    products = tf.reshape(inputs, (-1, 1, width, 1)) * tf.expand_dims(
        cotangents, 2
    )
    return tf.reshape(products, (-1, cotangents.shape[1], width * length))


def _times_transposed(cotangents, kernel):
    """c·Wᵀ, as one product of all rows."""
    width, length = kernel.shape
    rows = tf.reshape(cotangents, (-1, length))
    return tf.reshape(
        tf.matmul(rows, kernel, transpose_b=True),
        (-1, cotangents.shape[1], width),
    )


def _sum(left, right):
    return right if left is None else left + right


def _in_order(products):
    return [products[place] for place in sorted(products)]
