"""What every optimizer of this package keeps, whatever its method.

A new optimizer enters `OPTIMIZERS` with settings that reach the minimum of the
quadratic and of Rosenbrock's function within `STEPS`.
"""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import AdaHessian, SecondOrderGradient, Sophia
from tests.optimizers.helpers import X, Y, fit, network, weights

STEPS = 400
BARTLETT = "gauss_newton_bartlett"


def inner(name, learning_rate):
    """The config of a Keras optimizer, new with every optimizer made."""
    return {"class_name": name, "config": {"learning_rate": learning_rate}}


# name: (class, settings, settings for Rosenbrock's function)
OPTIMIZERS = {
    "second_order_gradient": (
        SecondOrderGradient,
        {"optimizer": inner("Adam", 0.05), "curvature_weight": 0.01},
        {"optimizer": inner("Adam", 0.1), "curvature_weight": 1e-5},
    ),
    "second_order_gradient_held": (
        SecondOrderGradient,
        {
            "optimizer": inner("SGD", 0.1),
            "curvature_weight": 0.01,
            "update_period": 2,
        },
        None,
    ),
    "adahessian": (
        AdaHessian,
        {"learning_rate": 0.1},
        {"learning_rate": 3.0, "beta_2": 0.99, "probes": 4},
    ),
    "adahessian_held": (
        AdaHessian,
        {"learning_rate": 0.1, "update_period": 2, "probes": 2},
        None,
    ),
    "sophia": (
        Sophia,
        {"learning_rate": 0.05, "rho": 0.5, "update_period": 2},
        {
            "learning_rate": 0.1,
            "rho": 0.05,
            "update_period": 1,
            "bias_correction": True,
        },
    ),
    "sophia_bartlett": (
        Sophia,
        {"learning_rate": 0.05, "rho": 0.5, "estimator": BARTLETT},
        {
            "learning_rate": 0.1,
            "rho": 0.05,
            "update_period": 1,
            "bias_correction": True,
            "estimator": BARTLETT,
        },
    ),
}
every = pytest.mark.parametrize("name", OPTIMIZERS)


def made(name):
    make, settings, _ = OPTIMIZERS[name]
    return make(**settings)


def compiled(name, **options):
    """A small network that any of the optimizers can train."""
    model = network(keras_curvature.Sequential)
    model.compile(made(name), "mse", **options)
    return model


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


def minimum(optimizer, function, start, steps=STEPS):
    model = Residuals(function, start)
    model.compile(optimizer, "mse", steps_per_execution=50)
    data = np.zeros((steps, 2))
    model.fit(data, data, batch_size=1, verbose=0)
    return model.w.numpy()


@every
def test_reaches_the_minimum_of_a_quadratic(name, float64):
    reached = minimum(
        made(name),
        lambda u, v: tf.stack([3 * (u - 1), v + u]),
        start=[-1.0, 2.0],
    )
    np.testing.assert_allclose(reached, [1, -1], atol=0.02)


@pytest.mark.parametrize(
    "name", [name for name, entry in OPTIMIZERS.items() if entry[2]]
)
def test_follows_the_valley_of_rosenbrock(name, float64):
    make, _, settings = OPTIMIZERS[name]
    reached = minimum(
        make(**settings),
        lambda u, v: tf.stack([10 * (v - u**2), 1 - u]),
        start=[-1.2, 1.0],
        steps=2000,
    )
    np.testing.assert_allclose(reached, [1, 1], atol=0.1)


@every
def test_trains_variables_of_every_rank(name, rng):
    inputs = keras.Input((6, 6), dtype="int32")
    x = keras.layers.Embedding(5, 3)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="tanh")(x)
    x = keras.layers.Reshape((16, 4))(x)
    x = keras.layers.MultiHeadAttention(2, 3)(x, x)
    x = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    model = keras_curvature.Model(inputs, Scale()(x))
    ranks = {len(v.shape) for v in model.trainable_variables}
    assert ranks == {0, 1, 2, 3, 4}
    model.compile(made(name), "mse")
    before = model.get_weights()
    fit(model, x=rng.integers(0, 5, (8, 6, 6)), y=rng.normal(size=(8, 2)))
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


@every
def test_resumed_run_is_the_uninterrupted_one_bit_for_bit(name, tmp_path):
    uninterrupted = compiled(name)
    fit(uninterrupted, 3)
    model = compiled(name)
    # 5 steps: in the middle of a period.
    fit(model, x=X[:18], y=Y[:18])
    fit(model, x=X[18:], y=Y[18:])
    fit(model, x=X[:6], y=Y[:6])
    model.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    fit(resumed, x=X[6:], y=Y[6:])
    fit(resumed)
    np.testing.assert_array_equal(weights(resumed), weights(uninterrupted))
    for left, right in zip(
        resumed.optimizer.variables,
        uninterrupted.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(left.numpy(), right.numpy())


@every
def test_two_runs_are_the_same_bit_for_bit(name):
    runs = []
    for _ in range(2):
        model = compiled(name)
        fit(model, 2)
        runs.append(weights(model))
    np.testing.assert_array_equal(*runs)


@every
def test_config_makes_the_same_optimizer(name):
    make, settings, _ = OPTIMIZERS[name]
    optimizer = make(**settings, name="mine")
    config = keras.optimizers.serialize(optimizer)
    again = keras.optimizers.deserialize(config)
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    assert again.name == "mine"


@every
def test_state_is_complete_after_build(name):
    model = compiled(name)
    model.optimizer.build(model.trainable_variables)
    built = [v.path for v in model.optimizer.variables]
    fit(model)
    assert [v.path for v in model.optimizer.variables] == built


@every
@pytest.mark.parametrize(
    "options",
    [
        {"jit_compile": True},
        {"run_eagerly": True},
        {"steps_per_execution": 2},
    ],
    ids=["jit", "eager", "steps_per_execution"],
)
def test_ways_of_running_a_step_agree(name, options, float64):
    plain = compiled(name)
    fit(plain, 2)
    other = compiled(name, **options)
    fit(other, 2)
    np.testing.assert_allclose(weights(other), weights(plain), rtol=1e-9)


@every
def test_replicas_train_as_one_device(name, float64, mirrored_strategy):
    one = compiled(name)
    fit(one, 5)
    with mirrored_strategy.scope():
        model = compiled(name)
    fit(model, 5)
    np.testing.assert_allclose(weights(model), weights(one), rtol=1e-10)


@every
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_as_float32(name, policy):
    start = weights(compiled(name))
    full = compiled(name)
    fit(full, 2)
    keras.config.set_dtype_policy(policy)
    mixed = compiled(name)
    fit(mixed, 2)
    wrapped = isinstance(mixed.optimizer, keras.optimizers.LossScaleOptimizer)
    assert wrapped == (policy == "mixed_float16")
    inner = mixed.optimizer.inner_optimizer if wrapped else mixed.optimizer
    assert int(inner.iterations) + int(inner.skipped_steps) >= 7
    path = np.linalg.norm(weights(full) - start)
    # Eight steps; bfloat16 rounds outputs and gradients to 1 in 256.
    assert np.linalg.norm(weights(mixed) - weights(full)) < 0.15 * path


@every
def test_a_step_that_is_not_finite_is_left_out(name):
    model, alone = compiled(name), compiled(name)
    x = np.concatenate([X[:6], np.full((6, 3), np.inf), X[6:12]])
    y = np.concatenate([Y[:12], Y[6:12]])
    with pytest.warns(UserWarning, match="1 steps were skipped"):
        fit(model, x=x, y=y)
    fit(alone, x=X[:12], y=Y[:12])
    assert int(model.optimizer.skipped_steps) == 1
    assert int(model.optimizer.iterations) == 2
    np.testing.assert_array_equal(weights(model), weights(alone))


@every
def test_step_is_traced_once(name):
    traces = []

    class Counting(keras_curvature.Model):
        def __init__(self):
            super().__init__()
            self.network = network()

        def call(self, x):
            traces.append(1)
            return self.network(x)

    model = Counting()
    model.compile(made(name), "mse")
    fit(model, x=X[:12], y=Y[:12])
    first = len(traces)
    fit(model, 3)
    assert len(traces) == first


@every
@pytest.mark.parametrize("eager", [False, True])
def test_memory_stays_flat(name, eager):
    model = compiled(name, run_eagerly=eager)

    def objects_after(epochs):
        fit(model, epochs)
        gc.collect()
        return len(gc.get_objects())

    objects_after(1)
    gc.freeze()
    try:
        few = objects_after(1)
        many = objects_after(10)
    finally:
        gc.unfreeze()
    # 36 more steps that kept one object each would show.
    assert many - few < 36
