"""Models and data whose shapes a solver meets seldom."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import (
    GaussNewton,
    LevenbergMarquardt,
    SolverError,
)

X = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
Y = X @ np.array([[1.0], [-2.0]], "float32")


class WithEmptyWeight(keras.layers.Layer):
    """x·w beside a weight without entries."""

    def build(self, input_shape):
        self.empty = self.add_weight(shape=(0, 2))
        self.w = self.add_weight(shape=(2, 1))

    def call(self, x):
        return x @ self.w + tf.reduce_sum(self.empty)


class Noise(keras.layers.Layer):
    """A random layer of one's own, which Keras knows nothing of."""

    def call(self, x):
        return x + tf.random.normal(tf.shape(x))


def model_of(*layers):
    keras.utils.set_random_seed(0)
    return keras_curvature.Sequential([keras.Input((2,)), *layers])


@pytest.mark.parametrize("linear_solver", ["auto", "dual"])
def test_a_weight_without_entries_is_no_obstacle(linear_solver):
    model = model_of(WithEmptyWeight())
    optimizer = LevenbergMarquardt(
        linear_solver=linear_solver, geodesic_acceleration=False
    )
    model.compile(optimizer, "mse")
    model.fit(X, Y, batch_size=8, epochs=20, verbose=0)
    np.testing.assert_allclose(
        model.layers[0].w.numpy(), [[1], [-2]], rtol=1e-5
    )


def test_a_random_layer_of_ones_own_is_an_error():
    model = model_of(Noise(), keras.layers.Dense(1))
    model.compile(GaussNewton(), "mse")
    with pytest.raises(SolverError, match="same deterministic loss"):
        model.fit(X, Y, batch_size=8, epochs=3, verbose=0)


def with_own_step():
    class OwnStep(keras_curvature.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self(x) - y) ** 2)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            return {"loss": loss}

    return OwnStep()


def cloned():
    return keras.models.clone_model(model_of(keras.layers.Dense(1)))


@pytest.mark.parametrize(
    "make, reason",
    [(with_own_step, r"train_step\(\)"), (cloned, "clone_model")],
    ids=["own train_step", "clone_model"],
)
def test_a_model_that_shows_gradients_only_is_told_why(make, reason):
    model = make()
    model.compile(GaussNewton(), "mse")
    with pytest.raises(RuntimeError, match=reason):
        model.fit(X, Y, batch_size=8, verbose=0)
