"""Convolutions by channel, whose Jacobians of samples are taken at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.testing import assert_allclose

from keras_curvature.autodiff import per_sample_jacobian
from tests.oracles import values_of

BY_CHANNEL = {
    "depthwise": lambda: keras.layers.DepthwiseConv2D(
        2, strides=2, padding="same", depth_multiplier=2, activation="tanh"
    ),
    "dilated": lambda: keras.layers.DepthwiseConv2D(
        2, dilation_rate=2, activation="tanh"
    ),
    "separable": lambda: keras.layers.SeparableConv2D(3, 2, activation="tanh"),
    "of sequences": lambda: keras.Sequential(
        [
            keras.layers.Reshape((9, 2)),
            keras.layers.SeparableConv1D(2, 3, activation="tanh"),
        ]
    ),
}


@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize("kind", BY_CHANNEL)
def test_convolutions_by_channel_are_vectorized(
    kind, is_frozen, float64, rng, recwarn
):
    layer = BY_CHANNEL[kind]()
    model = keras.Sequential(
        [
            keras.Input((3, 3, 1)),
            keras.layers.Conv2D(2, 1, name="before"),
            layer,
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    layer.trainable = not is_frozen
    x = tf.constant(rng.normal(size=(3, 3, 3, 1)))
    sources = values_of(model.trainable_variables)

    @tf.function(autograph=False)
    def both():
        with tf.GradientTape(persistent=True) as tape:
            elements = tf.unstack(tf.reshape(model(x), [-1]))
        alone = [
            tf.stack([tape.gradient(y, source) for y in elements])
            for source in sources
        ]
        return per_sample_jacobian(model, x, sources)[1], alone

    rows, alone = both()
    assert any(np.abs(row).max() > 0.1 for row in rows)
    for row, expected in zip(rows, alone, strict=True):
        assert_allclose(
            row, tf.reshape(expected, row.shape), rtol=0, atol=1e-13
        )
    assert not [w for w in recwarn if "per_sample" in str(w.message)]
