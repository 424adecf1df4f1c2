"""Inputs times signals of a layer are the gradient of each sample's weights."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff.backpropagation import backpropagate
from keras_curvature.operators.kronecker.plan import kronecker_plan
from tests.oracles import values_of

N = 3
L = keras.layers


def image(rank, channels):
    return (N, *range(5, 5 + rank), channels)


def self_attention():
    inputs = keras.Input((4, 6))
    attention = L.MultiHeadAttention(2, 3)
    return keras.Model(inputs, attention(inputs, inputs))


def shared():
    inputs = keras.Input((4,))
    layer = L.Dense(4, "tanh")
    return keras.Model(inputs, layer(layer(inputs)))


class Table(L.Layer):
    """Adds, or multiplies by, a weight along several axes."""

    def __init__(self, operation, weight_shape):
        super().__init__()
        self._operation, self._weight_shape = operation, weight_shape

    def build(self, shape):
        self.table = self.add_weight(shape=self._weight_shape, name="table")

    def call(self, inputs):
        return self._operation(inputs, self.table)


def repeated_rows(x, table):
    """As layers of position embeddings do it."""
    rows = keras.ops.slice(table, (0, 0), (5, 4))
    return x * keras.ops.broadcast_to(rows, keras.ops.shape(x))


def rows_of_positions(x, table):
    """As Keras's examples do it: an Embedding of 0, 1, 2, ..."""
    positions = keras.ops.arange(keras.ops.shape(x)[1])
    return x + keras.ops.take(table, positions, axis=0)


def rows_of_reversed_positions(x, table):
    return x + keras.ops.take(table, [[4, 3, 2, 1, 0]], axis=0)


# {name: (layer, shape of its input, groups of its kernel)}
CASES = {
    "dense": (lambda: L.Dense(3), (N, 4), 1),
    "dense without bias": (lambda: L.Dense(3, use_bias=False), (N, 4), 1),
    "dense on positions": (lambda: L.Dense(3), (N, 2, 5, 4), 1),
    "dense used twice": (shared, (N, 4), 1),
    "einsum dense": (
        lambda: L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"),
        (N, 5, 4),
        1,
    ),
    "einsum over groups": (
        lambda: L.EinsumDense("abc,bcd->adb", (3, 5)),
        (N, 5, 4),
        5,
    ),
    "einsum with ellipsis": (
        lambda: L.EinsumDense("...x,yx->...y", (2, 5, 3), bias_axes="y"),
        (N, 2, 5, 4),
        1,
    ),
    "attention": (self_attention, (N, 4, 6), 1),
    "convolution 1": (
        lambda: L.Conv1D(3, 2, padding="causal"),
        image(1, 2),
        1,
    ),
    "convolution 2": (
        lambda: L.Conv2D(3, 2, strides=2, padding="same"),
        image(2, 2),
        1,
    ),
    "convolution 3": (lambda: L.Conv3D(2, 2), image(3, 2), 1),
    "dilated convolution 1": (
        lambda: L.Conv1D(3, 2, dilation_rate=2),
        image(1, 2),
        1,
    ),
    "dilated convolution 2": (
        lambda: L.Conv2D(3, 2, dilation_rate=2, padding="same"),
        image(2, 2),
        1,
    ),
    "dilated convolution 3": (
        lambda: L.Conv3D(2, 2, dilation_rate=2),
        image(3, 2),
        1,
    ),
    "grouped convolution 1": (
        lambda: L.Conv1D(4, 2, groups=2),
        image(1, 6),
        2,
    ),
    "grouped convolution 2": (
        lambda: L.Conv2D(4, 2, groups=2),
        image(2, 6),
        2,
    ),
    "depthwise convolution 1": (
        lambda: L.DepthwiseConv1D(2, depth_multiplier=2),
        image(1, 3),
        3,
    ),
    "depthwise convolution 2": (
        lambda: L.DepthwiseConv2D(2, depth_multiplier=2),
        image(2, 3),
        3,
    ),
    "separable convolution": (lambda: L.SeparableConv2D(4, 2), image(2, 3), 3),
    "embedding": (lambda: L.Embedding(7, 3), (N, 5), 1),
    "layer normalization": (L.LayerNormalization, (N, 5, 4), 1),
    "batch normalization": (L.BatchNormalization, (N, 5, 4), 1),
    "batch normalization without offset": (
        lambda: L.BatchNormalization(center=False),
        (N, 5, 4),
        1,
    ),
    "group normalization": (lambda: L.GroupNormalization(2), (N, 5, 4), 1),
    "normalization over two axes": (
        lambda: L.LayerNormalization(axis=(1, 2)),
        (N, 5, 4),
        1,
    ),
    "table of positions": (
        lambda: Table(keras.ops.add, (5, 4)),
        (N, 5, 4),
        1,
    ),
    "table of scales": (
        lambda: Table(keras.ops.multiply, (1, 5, 4)),
        (N, 5, 4),
        1,
    ),
    "table with an axis left out": (
        lambda: Table(keras.ops.multiply, (5, 1, 2)),
        image(2, 2),
        1,
    ),
    "rows of a table": (
        lambda: Table(lambda x, w: x + w[1:6], (7, 4)),
        (N, 5, 4),
        1,
    ),
    "rows of a table for each sample": (
        lambda: Table(repeated_rows, (7, 4)),
        (N, 5, 4),
        1,
    ),
    "rows of a table with an axis for samples": (
        lambda: Table(lambda x, w: x + w[None, 1:6], (7, 4)),
        (N, 5, 4),
        1,
    ),
    "rows of positions": (
        lambda: Table(rows_of_positions, (7, 4)),
        (N, 5, 4),
        1,
    ),
    "rows of positions with an axis for samples": (
        lambda: Table(rows_of_reversed_positions, (7, 4)),
        (N, 5, 4),
        1,
    ),
    "dense and offsets of as many positions": (
        lambda: keras.Sequential(
            [L.Dense(4, use_bias=False), Table(lambda x, w: x + w, (4, 1))]
        ),
        (N, 4, 3),
        1,
    ),
    "root mean square normalization": (L.RMSNormalization, (N, 5, 4), 1),
}


@functools.cache
def products(name):
    """Blocks, a·gᵀ by samples, and per-sample gradients by tapes."""
    make, shape, _ = CASES[name]
    rng = np.random.default_rng(1)
    layer = make()
    if name == "embedding":
        x = tf.constant(rng.integers(0, 7, shape))
    else:
        x = tf.constant(rng.normal(size=shape))
    layer(x)
    for v in layer.trainable_variables:
        v.assign(rng.normal(size=v.shape))
    training = name.startswith("batch")
    options = {"training": True} if training else {}
    v = tf.constant(rng.normal(size=layer(x, **options).shape))
    variables = layer.trainable_variables
    blocks = []

    @tf.function(autograph=False)
    def by_samples(x):
        output = layer(x, **options)
        plan = kronecker_plan([output], variables, 100)
        blocks[:] = plan.blocks
        found = []
        for block, uses in zip(plan.blocks, plan.uses, strict=True):
            total = 0.0
            sources = [use.output for use in uses]
            cotangents = backpropagate([output], [v], sources)
            for use, cotangent in zip(uses, cotangents, strict=True):
                if use.has_dense_inputs:
                    a = use.inputs()
                else:
                    a = tf.one_hot(use.indices(), block.inputs, dtype=v.dtype)
                    a = a[:, :, None]
                if block.bias is not None:
                    a = tf.concat([a, tf.ones_like(a[..., :1])], -1)
                g = use.signals(cotangent)
                a += tf.zeros((1, tf.shape(g)[1], 1, 1), a.dtype)
                total += tf.einsum("npgi,npgo->ngio", a, g)
            found.append(total)
        return found

    expected = []
    for n in range(N):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum((layer(x, **options) * v)[n])
        gradients = tape.gradient(total, values_of(variables))
        expected.append([tf.convert_to_tensor(g) for g in gradients])
    return blocks, by_samples(x), expected, variables


@pytest.mark.parametrize("name", CASES)
def test_inputs_times_signals_are_the_gradients(name, float64):
    blocks, found, expected, variables = products(name)
    assert all(block.has_factors for block in blocks)
    assert sorted(i for b in blocks for i in b.indices) == list(
        range(len(variables))
    )
    for block, of_block in zip(blocks, found, strict=True):
        for n in range(N):
            own = [expected[n][i] for i in block.indices]
            matrix = block.join(own)
            np.testing.assert_allclose(
                of_block[n], matrix, rtol=1e-10, atol=1e-12
            )
            shapes = [t.shape for t in own]
            back = block.split(matrix, shapes[-1])
            for there, here in zip(own, back, strict=True):
                np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_has_one_block_with_its_bias(name, float64):
    blocks, _, _, variables = products(name)
    kernels = [b for b in blocks if variables[b.kernel].path.endswith("kernel")]
    absorbed = [b.bias for b in blocks if b.bias is not None]
    biases = [v for v in variables if v.path.endswith("bias")]
    assert len(absorbed) == len(biases)
    if kernels:
        assert kernels[0].groups == CASES[name][2]


class TwoFactors(L.Layer):
    """x·A·B, whose product of weights has no axis of samples."""

    def build(self, shape):
        self.a = self.add_weight(shape=(shape[-1], 2), name="a")
        self.b = self.add_weight(shape=(2, 3), name="b")

    def call(self, x):
        return x @ (self.a @ self.b)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Table(lambda x, w: x + w[:5, ::-1], (7, 4)),
        lambda: Table(
            lambda x, w: x * keras.ops.take(w, keras.ops.arange(5), 0), (7, 4)
        ),
        TwoFactors,
    ],
    ids=["rows turned around", "scales of positions", "product of weights"],
)
def test_other_uses_are_not_known(make, float64):
    layer, x = make(), tf.ones((N, 5, 4))
    layer(x)
    plans = []

    @tf.function(autograph=False)
    def plan(x):
        variables = layer.trainable_variables
        plans.append(kronecker_plan([layer(x)], variables, 100))
        return x

    plan(x)
    assert not any(block.has_factors for block in plans[0].blocks)
