"""Every optimizer reaches minima and trains variables of every rank."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from tests.optimizers.contract.helpers import (
    OPTIMIZERS,
    SOLVERS,
    compiled,
    made,
)
from tests.optimizers.helpers import fit


class Residuals(keras_curvature.Model):
    """A model whose outputs are residuals of its two weights."""

    def __init__(self, function, start):
        super().__init__()
        self.function = function
        self.w = self.add_weight(shape=(2,), name="w")
        self.w.assign(start)

    def call(self, x):
        w = tf.convert_to_tensor(self.w)
        return tf.zeros_like(x) + self.function(w[0], w[1])


def minimum(optimizer, function, start, steps):
    model = Residuals(function, start)
    model.compile(optimizer, "mse", steps_per_execution=50)
    data = np.zeros((steps, 2))
    model.fit(data, data, batch_size=1, verbose=0)
    return model.w.numpy()


def test_reaches_the_minimum_of_a_quadratic(every, float64):
    reached = minimum(
        made(every),
        lambda u, v: tf.stack([3 * (u - 1), v + u]),
        start=[-1.0, 2.0],
        steps=50 if every in SOLVERS else 400,
    )
    np.testing.assert_allclose(
        reached, [1, -1], atol=1e-6 if every in SOLVERS else 0.02
    )


@pytest.mark.parametrize(
    "name",
    [key for key, entry in OPTIMIZERS.items() if entry.rosenbrock is not None],
)
def test_follows_the_valley_of_rosenbrock(name, float64):
    entry = OPTIMIZERS[name]
    reached = minimum(
        entry.make(**entry.rosenbrock),
        lambda u, v: tf.stack([10 * (v - u**2), 1 - u]),
        start=[-1.2, 1.0],
        steps=150 if name in SOLVERS else 2000,
    )
    np.testing.assert_allclose(
        reached, [1, 1], atol=1e-6 if name in SOLVERS else 0.1
    )


def test_trains_variables_of_every_rank(every, rng):
    inputs = keras.Input((4, 4), dtype="int32")
    x = keras.layers.Embedding(5, 2)(inputs)
    x = keras.layers.Conv2D(2, 3, activation="tanh")(x)
    x = keras.layers.Reshape((4, 2))(x)
    x = keras.layers.MultiHeadAttention(2, 2)(x, x)
    x = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    model = keras_curvature.Model(inputs, Scale()(x))
    ranks = {len(v.shape) for v in model.trainable_variables}
    assert ranks == {0, 1, 2, 3, 4}
    compiled(every, model)
    before = model.get_weights()
    x, y = rng.integers(0, 5, (8, 4, 4)), rng.normal(size=(8, 2))
    fit(model, 6, x, y, batch_size=8)
    for then, now, variable in zip(
        before, model.get_weights(), model.weights, strict=True
    ):
        assert np.isfinite(now).all()
        # Softmax does not see the bias of the keys.
        if "key/bias" not in variable.path:
            assert (now != then).any(), variable.path


class Scale(keras.layers.Layer):
    """Multiplication by one trained number."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        return self.factor * x
