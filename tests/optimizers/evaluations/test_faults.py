"""What goes wrong around LBFGS and NewtonCG is said, and by whom."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from benchmarks.classical_functions import (
    NOTHING,
    Problem,
    compiled,
    rosenbrock,
)
from keras_curvature.optimizers import (
    LBFGS,
    NewtonCG,
    SelfScaledBroyden,
    SolverError,
    StopReason,
)
from tests.optimizers.evaluations.networks import (
    curve,
    full_batch_fit,
    loss_at,
    network,
    trained,
    weights_of,
)

SOLVERS = [LBFGS, SelfScaledBroyden, NewtonCG]


@functools.cache
def path(solver, scale, steps=14, **settings):
    """The trial points of Rosenbrock's function in other units."""
    problem = Problem(
        "scaled", lambda x: scale * rosenbrock(x), np.array([-1.2, 1.0])
    )
    model = compiled(problem, solver(gradient_tolerance=0.0, **settings))
    points = []
    for _ in range(steps):
        model.train_on_batch(NOTHING, NOTHING)
        points.append(model.point.numpy())
    return np.array(points)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_path_does_not_depend_on_the_units_of_the_loss(
    float64, solver, scale
):
    np.testing.assert_allclose(path(solver, scale), path(solver, 1.0), 1e-7)


@pytest.mark.parametrize("solver", SOLVERS)
def test_large_targets_train_in_float32(solver):
    x, y = curve()
    data = x.astype("float32"), (1e7 * y).astype("float32")
    optimizer = solver()
    model = network(kind=keras_curvature.Sequential)
    before = loss_at(model, data)
    trained(optimizer, 40, model, data)
    assert optimizer.progress["accepted_steps"] > 3
    assert optimizer.stop_reason is not StopReason.PRECISION
    assert loss_at(model, data) < before


def test_large_targets_are_fitted_in_float32():
    # A step of length 1 changes the loss by 1e-10 of itself.
    x = np.linspace(-1, 1, 20)[:, None].astype("float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    trained(LBFGS(), 40, model, (x, 1e10 * (3 * x + 1)))
    np.testing.assert_allclose(weights_of(model), [3e10, 1e10], rtol=1e-4)


def normalized(solver):
    keras.utils.set_random_seed(0)
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.SpectralNormalization(
                keras.layers.Dense(8, "tanh", name="inner")
            ),
            keras.layers.Dense(1),
        ]
    )
    model.compile(solver(), loss="mse", jit_compile=False)
    return model


def test_weights_that_the_forward_pass_rewrites_are_named(float64):
    with pytest.raises(SolverError, match="inner/kernel") as error:
        full_batch_fit(normalized(LBFGS), 10)
    assert error.value.reason is StopReason.WEIGHTS_REWRITTEN
    assert "bias" not in str(error.value)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_second_model_gets_kerass_explanation(solver):
    first = trained(solver(), 2)
    second = network(seed=4)
    second.compile(first.optimizer, loss="mse", jit_compile=False)
    with pytest.raises(ValueError, match="Unknown variable"):
        full_batch_fit(second, 2)


def test_a_layer_that_was_frozen_since_stays(float64):
    model = trained(LBFGS(), 6)
    model.layers[0].trainable = False
    frozen, before = model.layers[0].kernel.numpy(), loss_at(model)
    model.compile(model.optimizer, loss="mse", jit_compile=False)
    with pytest.warns(UserWarning, match="no gradient"):
        full_batch_fit(model, 12)
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), frozen)
    assert loss_at(model) < before


@pytest.mark.parametrize("steps", [1, 2])
def test_a_batch_of_nan_at_the_start_is_an_error(float64, steps):
    x, y = curve()
    data = np.r_[x * np.nan, x], np.r_[y, y]
    model = network(kind=keras_curvature.Sequential)
    model.compile(
        LBFGS(), loss="mse", jit_compile=False, steps_per_execution=steps
    )
    with pytest.raises(SolverError) as error:
        full_batch_fit(model, 1, data, batch_size=len(x))
    assert error.value.reason is StopReason.NON_FINITE


def test_the_error_of_a_plain_model_says_why_at_its_beginning(float64):
    x, y = curve()
    model = network()
    model.compile(LBFGS(), loss="mse", jit_compile=False)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        full_batch_fit(model, 1, (x * np.nan, y))
    # Before the lines of code, of which there are some twenty.
    reason = str(error.value).splitlines()[2]
    assert "lbfgs_The_loss_or_its_gradient_is_not_finite" in reason
    assert "Look for NaN or infinite values in the data" in str(error.value)


def test_a_batch_of_nan_later_is_said(float64):
    x, y = curve()
    data = np.r_[x, x, x, x * np.nan], np.r_[y, y, y, y]
    model = network(kind=keras_curvature.Sequential)
    model.compile(LBFGS(), loss="mse", jit_compile=False)
    with pytest.warns(UserWarning, match="1 of 4 evaluations were not finite"):
        full_batch_fit(model, 1, data, batch_size=len(x))


def test_loss_tolerance_acts_on_negative_losses(float64):
    # Minimum −40 at x = 1.
    problem = Problem(
        "negative",
        lambda x: tf.reduce_sum((x - 1) ** 4) - 40,
        np.array([3.0, -1.0]),
    )
    optimizer = LBFGS(loss_tolerance=1e-6)
    model = compiled(problem, optimizer)
    for _ in range(40):
        model.train_on_batch(NOTHING, NOTHING)
    assert optimizer.stop_reason is StopReason.LOSS_TOLERANCE


def test_reset_begins_a_run_from_the_weights_of_the_model(float64):
    problem = Problem("rosenbrock", rosenbrock, np.array([-1.2, 1.0]))
    optimizer = LBFGS()
    model = compiled(problem, optimizer)
    first = []
    for _ in range(6):
        model.train_on_batch(NOTHING, NOTHING)
        first.append(model.point.numpy())
    optimizer.reset()
    assert optimizer.stop_reason is None
    model.point.assign(problem.start)
    for expected in first:
        model.train_on_batch(NOTHING, NOTHING)
        np.testing.assert_array_equal(model.point.numpy(), expected)
    assert optimizer.progress["evaluations"] == 6


@pytest.mark.parametrize("factor", [0.1, 3.0])
def test_a_loss_scale_keeps_its_digits(float64, factor):
    problem = Problem("line", lambda x: tf.reduce_sum(x**2), np.array([1.0]))
    optimizer = LBFGS(loss_scale_factor=factor)
    model = compiled(problem, optimizer)
    model.train_on_batch(NOTHING, NOTHING)
    gradient = optimizer.progress["gradient_norm"]
    assert gradient == pytest.approx(2, rel=1e-15)
