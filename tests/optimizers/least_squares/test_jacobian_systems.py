"""The system of a batch, and its second-order term, against closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers._least_squares.geodesic import (
    geodesic_acceleration,
    second_order_rows,
    second_order_term,
)
from keras_curvature.optimizers._least_squares.jacobian_systems import (
    jacobian_system,
)
from keras_curvature.optimizers._least_squares.objective import Objective
from keras_curvature.training import TrainingStep
from tests.optimizers.least_squares.helpers import (
    flat_weights,
    network,
    tanh_network,
)

SOLVERS = ["cholesky", "qr", "dual"]
# Of a batch of seven: slices of which the last has one, and all at once.
SLICES = [3, 7]


@pytest.fixture
def problem(float64, rng):
    """`(model, x, y)` with 37 weights and 14 residuals."""
    model = network(units=7, outputs=2)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return model, rng.normal(size=(7, 2)), rng.normal(size=(7, 2))


def of_batch(function, model, x, y, penalty=None, samples=None):
    """`function(objective, variables)` in a graph, the batch size unknown."""
    model.compile(loss="mse")
    spec = tf.TensorSpec((samples, 2), tf.float64)

    @tf.function(input_signature=[spec, spec], autograph=False)
    def graph(x, y):
        outputs = model(x)
        loss = model.compute_loss(x, y, outputs)
        step = TrainingStep(model, x, y, outputs, None, loss)
        variables = model.trainable_variables
        return function(Objective(step, variables, penalty), variables)

    return graph(x, y)


def with_penalty(rows, residuals, penalty, weights):
    root = np.sqrt(penalty)
    return (
        np.concatenate([rows, np.diag(root)]),
        np.concatenate([residuals, root * weights]),
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "slice_size, samples, is_penalized",
    [(3, None, True), (3, 7, False), (7, None, False), (100, 7, True)],
)
def test_the_system_is_the_dense_one(
    slice_size, samples, is_penalized, solver, problem, rng
):
    model, x, y = problem
    weights = flat_weights(model)
    rows, residuals, _ = tanh_network(model.get_weights(), x, y, weights)
    penalty = None
    if is_penalized:
        penalty = rng.uniform(0.1, 1, len(weights))
        rows, residuals = with_penalty(rows, residuals, penalty, weights)
    system, is_mixed = of_batch(
        lambda *batch: jacobian_system(*batch, solver, slice_size),
        model,
        x,
        y,
        penalty,
        samples,
    )
    assert not is_mixed
    damped = rows.T @ rows + 0.1 * np.eye(len(weights))
    gradient = rows.T @ residuals
    np.testing.assert_allclose(system.gradient, gradient, rtol=1e-9)
    np.testing.assert_allclose(
        system.column_norms, np.linalg.norm(rows, axis=0), rtol=1e-10
    )
    np.testing.assert_allclose(
        system.factor(0.1).step, -np.linalg.solve(damped, gradient), rtol=1e-9
    )


@pytest.mark.parametrize("slice_size", SLICES)
def test_the_second_order_term_is_the_dense_one(slice_size, problem, rng):
    model, x, y = problem
    v = rng.normal(size=model.count_params())
    rows, _, second = tanh_network(model.get_weights(), x, y, v)
    term = of_batch(
        lambda *batch: second_order_term(*batch, tf.constant(v), slice_size),
        model,
        x,
        y,
    )
    np.testing.assert_allclose(term, rows.T @ second, rtol=1e-9)


@pytest.mark.parametrize("is_penalized", [False, True])
def test_the_second_order_rows_are_the_dense_ones(is_penalized, problem, rng):
    model, x, y = problem
    v = rng.normal(size=model.count_params())
    _, _, second = tanh_network(model.get_weights(), x, y, v)
    penalty = None
    if is_penalized:
        penalty = rng.uniform(0.1, 1, len(v))
        second = np.concatenate([second, np.zeros_like(v)])
    rows = of_batch(
        lambda *batch: second_order_rows(*batch, tf.constant(v)),
        model,
        x,
        y,
        penalty,
    )
    np.testing.assert_allclose(rows, second, rtol=1e-9)


def accelerated(solver, damping, penalty, problem, slice_size=3):
    """z(λ) and half of its acceleration, with D = diag(1 … 2)."""
    model, x, y = problem
    scaling = tf.constant(np.linspace(1, 2, model.count_params()))

    def both(objective, variables):
        system, _ = jacobian_system(objective, variables, solver, slice_size)
        factor = system.scaled(scaling).factor(damping)
        bend = geodesic_acceleration(objective, variables, slice_size)
        half, *_ = bend(factor, scaling, tf.constant(1.0, tf.float64))
        return factor.step, half

    return of_batch(both, model, x, y, penalty)


@pytest.mark.parametrize("is_penalized", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_system_bends_its_step_alike(solver, is_penalized, problem, rng):
    model, x, y = problem
    damping = 0.1
    weights = flat_weights(model)
    scaling = np.linspace(1, 2, len(weights))
    penalty = rng.uniform(0.1, 1, len(weights)) if is_penalized else None
    z, half = accelerated(solver, damping, penalty, problem)
    rows, residuals, second = tanh_network(
        model.get_weights(), x, y, z / scaling
    )
    if is_penalized:
        rows, residuals = with_penalty(rows, residuals, penalty, weights)
        second = np.concatenate([second, np.zeros_like(weights)])
    rows /= scaling
    damped = rows.T @ rows + damping * np.eye(len(weights))
    np.testing.assert_allclose(
        z, -np.linalg.solve(damped, rows.T @ residuals), rtol=1e-9, atol=1e-13
    )
    dense = -np.linalg.solve(damped, rows.T @ second) / 2
    error = np.linalg.norm(half - dense)
    assert error < 1e-10 * np.linalg.norm(dense)
    assert np.linalg.norm(dense) > 1e-2 * np.linalg.norm(z)


def test_without_damping_the_dual_acceleration_is_the_shortest(problem):
    model, x, y = problem
    scaling = np.linspace(1, 2, model.count_params())
    z, half = accelerated("dual", 0.0, None, problem)
    rows, residuals, second = tanh_network(
        model.get_weights(), x, y, z / scaling
    )
    inverse = np.linalg.pinv(rows / scaling)
    for ours, dense in (
        (z, -inverse @ residuals),
        (half, -inverse @ second / 2),
    ):
        error = np.linalg.norm(ours - dense)
        # AAᵀ squares the condition number, about 1e2.
        assert error < 1e-9 * np.linalg.norm(dense)


def test_samples_that_are_mixed_are_found(float64, rng):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(2),
            keras.layers.Lambda(lambda t: t - tf.reduce_mean(t, axis=0)),
        ]
    )
    x, y = rng.normal(size=(2, 7, 2))
    for solver in SOLVERS:
        _, is_mixed = of_batch(
            lambda *batch, solver=solver: jacobian_system(*batch, solver, 3),
            model,
            x,
            y,
        )
        assert is_mixed
