"""Models that a solver meets seldom."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import (
    LBFGS,
    GaussNewton,
    LevenbergMarquardt,
    NewtonCG,
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


def least_squares_by(**options):
    return LevenbergMarquardt(geodesic_acceleration=False, **options)


@pytest.mark.parametrize(
    "make",
    [
        least_squares_by,
        lambda: least_squares_by(linear_solver="dual"),
        GaussNewton,
        LBFGS,
        NewtonCG,
    ],
    ids=["auto", "dual", "gauss_newton", "lbfgs", "newton_cg"],
)
def test_a_weight_without_entries_is_no_obstacle(make):
    model = model_of(WithEmptyWeight())
    model.compile(make(), "mse", jit_compile=False)
    model.fit(X, Y, batch_size=8, shuffle=False, epochs=20, verbose=0)
    np.testing.assert_allclose(
        model.layers[0].w.numpy(), [[1], [-2]], rtol=1e-4
    )


class Counting(keras.layers.Layer):
    """Outputs that depend on how often the layer was called."""

    def build(self, _):
        self.calls = self.add_weight(
            shape=(), initializer="zeros", trainable=False
        )

    def call(self, x):
        self.calls.assign_add(1.0)
        return x * (1 + 0.01 * self.calls)


def test_a_layer_that_keeps_a_state_is_said():
    model = model_of(Counting(), keras.layers.Dense(1))
    model.compile(LevenbergMarquardt(), "mse")
    with pytest.warns(UserWarning, match="keeps a state"):
        model.fit(X, Y, batch_size=8, epochs=5, verbose=0)


@pytest.mark.parametrize("make", [GaussNewton, LBFGS])
def test_a_layer_that_keeps_a_state_is_an_error(make):
    model = model_of(Counting(), keras.layers.Dense(1))
    model.compile(make(), "mse", jit_compile=False)
    with pytest.raises(SolverError, match="keep a state"):
        model.fit(X, Y, batch_size=8, shuffle=False, epochs=9, verbose=0)


@pytest.mark.parametrize("make", [LevenbergMarquardt, GaussNewton])
def test_a_stateful_layer_of_keras_is_named(make):
    layers = [
        keras.Input(batch_shape=(8, 2, 1)),
        keras.layers.SimpleRNN(2, stateful=True, name="remembering"),
        keras.layers.Dense(1),
    ]
    model = keras_curvature.Sequential(layers)
    model.compile(make(), "mse")
    with pytest.raises(ValueError, match="'remembering', which keeps a state"):
        model.fit(X[..., None], Y, batch_size=8, verbose=0)


@pytest.mark.parametrize(
    "make, reason",
    [
        (GaussNewton, "same deterministic loss"),
        (LevenbergMarquardt, "draws random numbers"),
    ],
)
def test_a_random_layer_of_ones_own_is_an_error(make, reason):
    model = model_of(Noise(), keras.layers.Dense(1))
    model.compile(make(), "mse")
    with pytest.raises(SolverError, match=reason):
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


class OwnLoss(keras_curvature.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        return tf.reduce_mean((y - y_pred) ** 2)


@pytest.mark.parametrize("make", [LevenbergMarquardt, GaussNewton])
def test_a_loss_of_the_models_own_is_named(make):
    model = OwnLoss()
    model.compile(make(), "mse")
    with pytest.raises(ValueError, match=r"OwnLoss with its own compute_loss"):
        model.fit(X, Y, batch_size=8, verbose=0)
