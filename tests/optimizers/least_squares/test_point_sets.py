"""Conditions with point sets of their own, against a dense Jacobian."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers import GaussNewton
from keras_curvature.optimizers._least_squares.geodesic import (
    second_order_rows,
    second_order_term,
)
from keras_curvature.optimizers._least_squares.jacobian_systems import (
    jacobian_system,
)
from keras_curvature.optimizers._least_squares.objective import Objective
from keras_curvature.optimizers._least_squares.point_sets import are_several
from keras_curvature.training import TrainingStep
from tests.training.helpers import decay, decay_data, decay_residuals


@pytest.fixture(scope="module")
def problem():
    """`(objective, variables, residuals, Jacobian)` in float64."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    model, data = decay(GaussNewton()), decay_data()
    x, y, weights = tf.nest.map_structure(tf.constant, data)
    outputs = model(x)
    loss = model.compute_loss(x, y, outputs, weights)
    variables = model.trainable_variables
    objective = Objective(
        TrainingStep(model, x, y, outputs, weights, loss), variables
    )
    with tf.GradientTape(persistent=True) as tape:
        residuals = decay_residuals(model, *data)
    rows = [
        tape.jacobian(
            residuals,
            variable.value,
            experimental_use_pfor=False,
            unconnected_gradients="zero",
        )
        for variable in variables
    ]
    flat = [tf.reshape(row, (len(residuals), -1)) for row in rows]
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    return objective, variables, residuals.numpy(), np.concatenate(flat, axis=1)


def test_each_loss_is_a_mean_over_its_own_points(problem):
    objective, _, residuals, _ = problem
    np.testing.assert_allclose(
        objective.loss, np.sum(residuals**2) / 2, rtol=1e-14
    )
    np.testing.assert_allclose(
        objective.form.residuals[:, 0], residuals, rtol=1e-12
    )


@pytest.mark.parametrize("slice_size", [16, 1000])
@pytest.mark.parametrize("solver", ["cholesky", "qr", "dual"])
def test_the_system_is_that_of_all_residuals(problem, solver, slice_size):
    objective, variables, residuals, jacobian = problem
    system, is_mixed = jacobian_system(
        objective, variables, solver, slice_size, "float64"
    )
    np.testing.assert_allclose(
        system.gradient, jacobian.T @ residuals, atol=1e-14
    )
    np.testing.assert_allclose(
        system.column_norms, np.linalg.norm(jacobian, axis=0), rtol=1e-13
    )
    damped = jacobian.T @ jacobian + 0.1 * np.eye(jacobian.shape[1])
    np.testing.assert_allclose(
        system.factor(tf.constant(0.1, tf.float64)).step,
        -np.linalg.solve(damped, jacobian.T @ residuals),
        rtol=1e-10,
    )
    assert not is_mixed


def test_products_see_all_conditions(problem, rng):
    objective, _, residuals, _ = problem
    vector = tf.constant(rng.normal(size=(len(residuals), 1)))
    form = objective.form
    np.testing.assert_allclose(
        form.hessian_product(vector), form.pull(form.push(vector)), rtol=1e-14
    )
    np.testing.assert_allclose(
        form.gradient, form.pull(form.residuals), rtol=1e-14
    )


def test_second_order_terms_by_slices_and_by_rows_agree(problem, rng):
    objective, variables, _, jacobian = problem
    step = tf.constant(rng.normal(size=jacobian.shape[1]))
    term = second_order_term(objective, variables, step, 16)
    rows = second_order_rows(objective, variables, step)
    np.testing.assert_allclose(term, jacobian.T @ rows.numpy(), atol=1e-12)


def test_a_reduction_is_the_difference_of_the_losses(problem, rng):
    objective = problem[0]
    step = tf.constant(1e-2 * rng.normal(size=objective.weights.shape))
    reduction = objective.reduction(step)
    moved = np.sum(decay_residuals(objective._step.model, *decay_data()) ** 2)
    objective.return_to_start()
    np.testing.assert_allclose(
        reduction, objective.loss - moved / 2, rtol=1e-12
    )


def test_unknown_lengths_among_several_are_refused():
    outputs = [tf.TensorSpec((n, 1)) for n in (3, 4, None)]
    with pytest.raises(ValueError, match=r"known lengths.*3, 4 samples"):
        are_several([], outputs)
