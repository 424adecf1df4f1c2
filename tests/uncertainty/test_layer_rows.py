"""Jacobians as products of layers, against those of single samples."""

import keras
import numpy as np
import pytest

from keras_curvature.uncertainty import Laplace
from keras_curvature.uncertainty._rows import LayerRows

layers = keras.layers
SAMPLES = 7


def mlp():
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="tanh"),
            layers.Dense(3, use_bias=False),
        ]
    )


def cnn():
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="tanh"),
            layers.DepthwiseConv2D(2),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def shared():
    """One layer used twice, and a branch around it."""
    x = keras.Input((4,))
    layer = layers.Dense(4, activation="tanh")
    sum_ = layers.Add()([layer(layer(x)), layers.Dense(4)(x)])
    return keras.Model(x, layers.Dense(3)(layers.LayerNormalization()(sum_)))


def sequence():
    x = keras.Input((5,), dtype="int32")
    hidden = layers.Embedding(7, 4)(x)
    hidden = layers.Dense(4, activation="tanh")(hidden)
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(hidden)))


NETWORKS = {"mlp": mlp, "cnn": cnn, "shared": shared, "sequence": sequence}


@pytest.mark.parametrize("network", NETWORKS)
def test_covariances_are_those_of_formed_jacobians(network, float64, rng):
    keras.utils.set_random_seed(1)
    model = NETWORKS[network]()
    x = rng.normal(size=(SAMPLES, *model.input_shape[1:]))
    if network == "sequence":
        x = rng.integers(0, 7, x.shape)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss)
    y = rng.integers(0, 3, SAMPLES)
    formed = None
    for structure in ("full", "kron", "diagonal", "low_rank"):
        laplace = Laplace(model, structure=structure, rank=5).fit(x, y)
        if formed is None:
            ((_, formed),) = laplace._linearized._by_samples(x)
        ((_, rows),) = laplace._linearized.parts(x)
        assert isinstance(rows, LayerRows)
        np.testing.assert_allclose(rows.dense(), formed.dense(), atol=1e-12)
        expected = laplace._now.normal.covariance(formed)
        np.testing.assert_allclose(
            laplace.predict(x).covariance,
            expected,
            rtol=1e-10,
            atol=1e-10 * expected.max(),
        )


class Weighted(layers.Layer):
    """Uses a weight as no layer of Keras does."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return keras.ops.sin(x * self.w) + keras.ops.cumsum(self.w)


class AcrossSamples(layers.Layer):
    def call(self, x):
        return x + keras.ops.mean(x, axis=0, keepdims=True)


def test_weights_used_otherwise_are_differentiated_by_samples(float64, rng):
    x = rng.normal(size=(SAMPLES, 4))
    model = keras.Sequential([keras.Input((4,)), Weighted(), layers.Dense(2)])
    model.compile(loss="mse")
    laplace = Laplace(model, structure="full").fit(x, x[:, :2])
    ((_, rows),) = laplace._linearized.parts(x)
    assert not isinstance(rows, LayerRows)
    # Of the kernel of the last layer: its inputs for the same output.
    inputs = model.layers[0](x).numpy()
    expected = np.einsum("bi,mo->bmio", inputs, np.eye(2))
    np.testing.assert_allclose(
        rows.dense()[..., 4:12], expected.reshape(SAMPLES, 2, 8), rtol=1e-12
    )


def test_samples_that_depend_on_each_other_are_noticed(float64, rng):
    x = rng.normal(size=(SAMPLES, 4))
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3), AcrossSamples(), layers.Dense(2)]
    )
    model.compile(loss="mse")
    # At one sample, of which the model is well defined.
    laplace = Laplace(model).fit(x, x[:, :2], batch_size=SAMPLES)
    ((_, rows),) = laplace._linearized.parts(x)
    assert not isinstance(rows, LayerRows)
