"""LevenbergMarquardt on classical problems of least squares."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from tests.optimizers.least_squares.helpers import minimize_residuals

CLASSICS = {
    "rosenbrock": (
        lambda b: [10 * (b[1] - b[0] ** 2), 1 - b[0]],
        [-1.2, 1.0],
    ),
    "beale": (
        lambda b: [
            y - b[0] * (1 - b[1] ** k)
            for k, y in enumerate((1.5, 2.25, 2.625), start=1)
        ],
        [1.0, 1.0],
    ),
    "himmelblau": (
        lambda b: [b[0] ** 2 + b[1] - 11, b[0] + b[1] ** 2 - 7],
        [1.0, 1.0],
    ),
    "freudenstein_roth": (
        lambda b: [
            -13 + b[0] + ((5 - b[1]) * b[1] - 2) * b[1],
            -29 + b[0] + ((b[1] + 1) * b[1] - 14) * b[1],
        ],
        [0.5, -2.0],
    ),
    "wood": (
        lambda b: [
            10 * (b[1] - b[0] ** 2),
            1 - b[0],
            90**0.5 * (b[3] - b[2] ** 2),
            1 - b[2],
            10**0.5 * (b[1] + b[3] - 2),
            10**-0.5 * (b[1] - b[3]),
        ],
        [-3.0, -1.0, -3.0, -1.0],
    ),
}


def chained_rosenbrock(b):
    return tf.concat([10 * (b[1:] - b[:-1] ** 2), 1 - b[:-1]], axis=0)


@pytest.mark.parametrize("name", [*CLASSICS, "rosenbrock_10", "rosenbrock_100"])
def test_minimum_is_scipys_after_at_most_1_3_times_its_evaluations(
    name, float64
):
    if name in CLASSICS:
        function, start = CLASSICS[name]
    else:
        size = int(name.split("_")[1])
        function, start = chained_rosenbrock, np.resize([-1.2, 1.0], size)

    def residuals(b):
        return tf.convert_to_tensor(function(tf.constant(b))).numpy()

    @tf.function(autograph=False)
    def jacobian(b):
        with tf.GradientTape() as tape:
            tape.watch(b)
            outputs = tf.convert_to_tensor(function(b))
        return tape.jacobian(outputs, b)

    tolerances = dict(xtol=1e-15, ftol=1e-15, gtol=1e-15)
    scipys = scipy.optimize.least_squares(
        residuals,
        start,
        lambda b: jacobian(tf.constant(b)).numpy(),
        method="lm",
        **tolerances,
    )
    model, logs = minimize_residuals(function, start, steps=400)
    np.testing.assert_allclose(model.b.numpy(), scipys.x, rtol=1e-7)
    assert logs[-1]["evaluations"] - len(logs) <= 1.3 * scipys.nfev
    assert model.optimizer.stop_reason is not None


def test_a_loss_that_overflows_at_trial_points_is_minimized(float64):
    # exp(1000·b) is infinite after the undamped first step.
    model, _ = minimize_residuals(
        lambda b: [tf.exp(1000 * b[0]) - 2.0], [-0.01]
    )
    np.testing.assert_allclose(model.b.numpy(), np.log(2) / 1000, rtol=1e-9)


def test_rejected_step_leaves_the_weights_to_the_last_bit(float64):
    # With one attempt and a huge region the first step of Rosenbrock fails.
    function, start = CLASSICS["rosenbrock"]
    model, (log,) = minimize_residuals(
        function,
        start,
        steps=1,
        max_attempts=1,
        scaling="marquardt",
        geodesic_acceleration=False,
        initial_trust_radius=1.0,
    )
    assert log["accepted_steps"] == 0
    np.testing.assert_array_equal(model.b.numpy(), start)
    assert log["trust_radius"] < 100 * np.linalg.norm(start) * 30


def test_linearly_dependent_columns_are_no_obstacle(float64):
    for solver in ("cholesky", "qr", "dual"):
        model, _ = minimize_residuals(
            lambda b: [b[0] + b[1] - 3, 2 * (b[0] + b[1] - 3), 0 * b[2]],
            [0.0, 0.0, 1.0],
            steps=20,
            linear_solver=solver,
        )
        b = model.b.numpy()
        np.testing.assert_allclose(b[0] + b[1], 3, rtol=1e-7)
        assert b[2] == 1


def test_each_tolerance_ends_fit_with_its_reason(float64):
    function, start = CLASSICS["freudenstein_roth"]
    for name in (
        "gradient_tolerance",
        "step_tolerance",
        "loss_tolerance",
    ):
        model, logs = minimize_residuals(function, start, **{name: 1e-3})
        assert model.optimizer.stop_reason == name
        assert len(logs) < 40
