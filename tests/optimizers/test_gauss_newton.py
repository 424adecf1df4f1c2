"""GaussNewton against dense matrices and LevenbergMarquardt's oracle."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import GaussNewton
from tests.optimizers.least_squares.helpers import fit, flat_weights, network


def exact_step(jacobian, hessian, gradient):
    return -np.linalg.lstsq(
        jacobian.T @ hessian @ jacobian, gradient, rcond=None
    )[0]


def test_free_step_on_a_linear_model_is_the_least_squares_solution(
    float64, rng
):
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 1))
    model = keras_curvature.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1)]
    )
    model.compile(
        GaussNewton(cg_tolerance=1e-12, initial_trust_radius=100.0), "mse"
    )
    history = fit(model, x, y, 1)
    best = np.linalg.lstsq(
        np.concatenate([x, np.ones((20, 1))], axis=1), y, rcond=None
    )[0]
    np.testing.assert_allclose(flat_weights(model), best[:, 0], rtol=1e-8)
    # CG ends after as many products as there are weights.
    assert history["cg_iterations"][0] <= 5


def test_short_step_is_steepest_descent_to_the_boundary(float64, rng):
    x, y = rng.normal(size=(12, 2)), rng.normal(size=(12, 1))
    model = network()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - y) ** 2)
    gradient = np.concatenate(
        [
            np.ravel(g)
            for g in tape.gradient(
                loss, [v.value for v in model.trainable_variables]
            )
        ]
    )
    model.compile(GaussNewton(initial_trust_radius=1e-4), "mse")
    before = flat_weights(model)
    fit(model, x, y, 1)
    radius = 1e-4 * np.linalg.norm(before)
    np.testing.assert_allclose(
        flat_weights(model) - before,
        -radius * gradient / np.linalg.norm(gradient),
        rtol=1e-6,
        atol=1e-12,
    )


@pytest.mark.parametrize("kind", ["mse", "categorical"])
def test_step_solves_the_dense_gauss_newton_system(kind, float64, rng):
    x = rng.normal(size=(30, 2))
    model = network(outputs=3)
    # So close to the targets the whole step is accepted.
    y = model(x).numpy() + 1e-4 * rng.normal(size=(30, 3))
    loss = keras.losses.MeanSquaredError()
    if kind == "categorical":
        y = keras.ops.softmax(y).numpy()
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        outputs = model(x)
    jacobian = np.concatenate(
        [np.reshape(j, (90, -1)) for j in tape.jacobian(outputs, variables)],
        axis=1,
    )
    outputs = tf.constant(outputs)
    with tf.GradientTape() as outer:
        outer.watch(outputs)
        with tf.GradientTape() as inner:
            inner.watch(outputs)
            value = loss(y, outputs)
        slope = inner.gradient(value, outputs)
    hessian = np.reshape(outer.jacobian(slope, outputs), (90, 90))
    expected = exact_step(jacobian, hessian, jacobian.T @ np.ravel(slope))
    model.compile(GaussNewton(cg_tolerance=1e-10, max_cg_iterations=500), loss)
    before = flat_weights(model)
    history = fit(model, x, y, 1)
    assert history["accepted_steps"] == [1]
    step = flat_weights(model) - before
    np.testing.assert_allclose(step, expected, rtol=1e-5, atol=1e-9)


def test_small_network_is_fitted_until_its_tolerance(float64, rng):
    x = np.linspace(-1, 1, 60)[:, None]
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(GaussNewton(gradient_tolerance=1e-3), "mse")
    history = fit(model, x, np.sin(3 * x), 400)
    assert history["stop_reason"] == ["gradient_tolerance"]
    assert model.evaluate(x, np.sin(3 * x), verbose=0) < 1e-5


def test_batch_normalisation_is_differentiated_as_a_whole(float64, rng):
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(20, 1))
    model = keras_curvature.Sequential(
        [
            keras.Input((2,)),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(GaussNewton(), "mse")
    fit(model, x, y, 30)
    normal = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)
    rows = np.concatenate([normal, np.ones((20, 1))], axis=1)
    best = rows @ np.linalg.lstsq(rows, y, rcond=None)[0]
    np.testing.assert_allclose(model(x, training=True), best, rtol=1e-5)


def test_config_holds_every_setting():
    optimizer = GaussNewton(
        0.2,
        max_cg_iterations=7,
        initial_trust_radius=3.0,
        max_attempts=4,
        mini_batches=True,
        gradient_tolerance=1e-3,
        step_tolerance=1e-4,
        loss_tolerance=1e-5,
        name="gn",
    )
    config = optimizer.get_config()
    assert GaussNewton.from_config(config).get_config() == config
    assert config == {
        "cg_tolerance": 0.2,
        "max_cg_iterations": 7,
        "initial_trust_radius": 3.0,
        "max_attempts": 4,
        "mini_batches": True,
        "gradient_tolerance": 1e-3,
        "step_tolerance": 1e-4,
        "loss_tolerance": 1e-5,
        "name": "gn",
    }


@pytest.mark.parametrize(
    "options",
    [
        {"cg_tolerance": 1.0},
        {"max_cg_iterations": 0},
        {"initial_trust_radius": -1.0},
        {"max_attempts": 1.5},
        {"clipvalue": 1.0},
        {"use_ema": True},
    ],
)
def test_wrong_settings_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        GaussNewton(**options)


def test_a_plain_model_is_refused(rng):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(GaussNewton(), "mse")
    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model"):
        fit(model, rng.normal(size=(4, 2)), rng.normal(size=(4, 1)), 1)
