"""LevenbergMarquardt with steps that bend along their path."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.autodiff import SecondDerivativeError
from keras_curvature.linalg import DualEquations
from keras_curvature.optimizers import LevenbergMarquardt
from tests.optimizers.least_squares.helpers import (
    Poisson,
    compiled,
    fit,
    flat_weights,
    minimize_residuals,
    network,
    tanh_network,
)


class Exponential(keras_curvature.Model):
    """y = w0·exp(w1·x)."""

    def __init__(self, start=(1.0, 0.5), regularizer=None):
        super().__init__()
        self.w = self.add_weight(shape=(2,), name="w", regularizer=regularizer)
        self.w.assign(start)

    def call(self, x):
        return self.w[0] * tf.exp(self.w[1] * x)


X = np.linspace(-1, 1, 20)[:, None]
Y = 1.3 * np.exp(0.8 * X) + 0.1 * np.cos(5 * X)


def exponential_system(w):
    """`(A, r, v ↦ r_vv)` of the mean squared error of `Exponential`."""
    x, scale = X[:, 0], np.sqrt(2 / len(X))
    bent = np.exp(w[1] * x)
    rows = np.stack([bent, w[0] * x * bent], axis=1)
    residuals = w[0] * bent - Y[:, 0]

    def second(v):
        return 2 * v[0] * v[1] * x * bent + v[1] ** 2 * w[0] * x**2 * bent

    return (
        scale * rows,
        scale * residuals,
        lambda v: scale * second(v),
    )


def parts_of_step(rows, residuals, second, damping, scaling):
    """v and a from dense matrices, with D² = `scaling`²."""
    damped = rows.T @ rows + damping * np.diag(scaling**2)
    v = -np.linalg.solve(damped, rows.T @ residuals)
    return v, -np.linalg.solve(damped, rows.T @ second(v))


def accelerated(model, loss="mse", compile_options=None, **options):
    options = {
        "linear_solver": "cholesky",
        "initial_trust_radius": 0.1,
        "geodesic_acceleration": True,
        "scaling": "marquardt",
        **options,
    }
    model.compile(
        LevenbergMarquardt(**options),
        loss,
        **(compile_options or {}),
    )
    return model


def one_step(model, x, y, weight=None):
    """What the weights changed by, and the logs."""
    before = flat_weights(model)
    # The number of samples is unknown to the graph.
    logs = model.fit(x, y, len(x), 1, 0, sample_weight=weight).history
    assert (logs["evaluations"], logs["accepted_steps"]) == ([2], [1])
    return flat_weights(model) - before, logs


@pytest.mark.parametrize(
    "options, how",
    [
        ({}, {}),
        ({"scaling": "identity", "initial_trust_radius": 10.0}, {}),
        ({"scaling": "root"}, {}),
        ({"linear_solver": "qr", "scaling": "identity"}, {}),
        ({"linear_solver": "qr", "slice_size": 7}, {}),
        ({"slice_size": 7}, {"jit_compile": True}),
        ({"slice_size": 7}, {"run_eagerly": True}),
        ({"linear_solver": "dual", "slice_size": 7}, {}),
        ({"linear_solver": "dual"}, {"jit_compile": True}),
    ],
    ids=str,
)
def test_a_step_is_bent_by_half_of_the_acceleration(options, how, float64):
    # The free step from the other start bends by more than half of it.
    start = (1.0, 0.7) if "initial_trust_radius" in options else (1.0, 0.5)
    model = accelerated(Exponential(start), compile_options=how, **options)
    system = exponential_system(model.w.numpy())
    powers = {"identity": 0, "root": 0.5, "marquardt": 1}
    power = powers[options.get("scaling", "marquardt")]
    scaling = np.linalg.norm(system[0], axis=0) ** power
    step, logs = one_step(model, X, Y)
    is_bounded = "initial_trust_radius" not in options
    assert (logs["damping"][0] > 1e-3) == is_bounded
    v, a = parts_of_step(*system, logs["damping"][0], scaling)
    np.testing.assert_allclose(step, v + a / 2, rtol=1e-8)
    assert np.linalg.norm(a) > 1e-2 * np.linalg.norm(v)


@pytest.mark.parametrize("solver", ["cholesky", "dual"])
def test_penalties_damp_the_acceleration_too(solver, float64):
    model = accelerated(
        Exponential(regularizer=keras.regularizers.L2(0.03)),
        linear_solver=solver,
        scaling="identity",
    )
    w = model.w.numpy()
    rows, residuals, second = exponential_system(w)
    # The penalty 0.03·‖w‖² is ½‖r‖² of these residuals, linear in w.
    root = np.sqrt(2 * 0.03)
    step, logs = one_step(model, X, Y)
    v, a = parts_of_step(
        np.concatenate([rows, root * np.eye(2)]),
        np.concatenate([residuals, root * w]),
        lambda v: np.concatenate([second(v), np.zeros(2)]),
        logs["damping"][0],
        np.ones(2),
    )
    np.testing.assert_allclose(step, v + a / 2, rtol=1e-8)


def test_float32_bends_as_float64_does():
    model = accelerated(Exponential(), scaling="identity")
    system = exponential_system(model.w.numpy().astype("float64"))
    step, logs = one_step(model, X.astype("float32"), Y.astype("float32"))
    v, a = parts_of_step(*system, logs["damping"][0], np.ones(2))
    np.testing.assert_allclose(step, v + a / 2, rtol=1e-5)


def test_weighted_cross_entropy_bends_by_its_curvature(float64, rng):
    """Logits exp(x·W)."""
    x, classes = rng.normal(size=(12, 2)), rng.integers(0, 3, 12)
    weight = rng.uniform(0.5, 2, 12)
    model = keras_curvature.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3, activation="exponential", use_bias=False),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accelerated(model, loss, scaling="identity")
    logits = np.exp(x @ model.get_weights()[0])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    one_hot = np.eye(3)[classes]
    step, logs = one_step(model, x, classes[:, None], weight)
    # ∂y_k/∂W_jk = x_j·y_k, and ∂²y_k = y_k·(x·V)_k².
    jacobian = np.einsum("bj,bk,kl->bkjl", x, logits, np.eye(3))
    jacobian = jacobian.reshape(12, 3, 6)
    hessian = np.einsum("bk,kl->bkl", p, np.eye(3)) - p[:, :, None] * p[:, None]
    hessian *= weight[:, None, None] / 12
    gradient = np.einsum(
        "bkn,bk->n", jacobian, (p - one_hot) * weight[:, None] / 12
    )
    damped = np.einsum("bkn,bkl,blm->nm", jacobian, hessian, jacobian)
    damped += logs["damping"][0] * np.eye(6)
    v = -np.linalg.solve(damped, gradient)
    second = logits * (x @ v.reshape(2, 3)) ** 2
    pulled = np.einsum("bkn,bkl,bl->n", jacobian, hessian, second)
    a = -np.linalg.solve(damped, pulled)
    np.testing.assert_allclose(step, v + a / 2, rtol=1e-7)
    assert np.linalg.norm(a) > 1e-2 * np.linalg.norm(v)


# With r = ln b − t at b = 1, v = t and a = t²: v + a/2 is on the way to eᵗ. A
# cubic term changes neither, but the gain ratio: to 0.81 by 0.6, 0.74 by 0.7.
@pytest.mark.parametrize(
    "t, cubic, taken",
    [
        (0.49, 0.0, 1.0),
        (0.74, 0.0, 1.0),
        (0.6, 0.6, 1.0),
        (0.6, 0.7, 0.0),
        (0.76, 0.0, 0.0),
    ],
)
def test_a_step_that_bends_too_much_is_not_taken(t, cubic, taken, float64):
    change = t + t**2 / 2
    assert abs(np.log(1 + change) + cubic * change**3 - t) < t
    model, (logs,) = minimize_residuals(
        lambda b: [tf.math.log(b[0]) + cubic * (b[0] - 1) ** 3 - t],
        [1.0],
        steps=1,
        geodesic_acceleration=True,
        scaling="identity",
        initial_trust_radius=10.0,
        max_attempts=1,
    )
    assert logs["damping"] == 0
    assert logs["accepted_steps"] == taken
    np.testing.assert_allclose(
        model.b.numpy(), [1 + taken * change], rtol=1e-12
    )
    if not taken:
        # Half of ‖v‖.
        np.testing.assert_allclose(logs["trust_radius"], t / 2, rtol=1e-12)


# ‖v‖ = t, ‖a‖ = t²: steps of 0.5 would bend by a half.
@pytest.mark.parametrize("t, radius", [(0.1, 0.2), (0.3, 0.4), (0.45, 0.45)])
def test_the_radius_does_not_grow_to_where_steps_bend_too_much(
    t, radius, float64
):
    _, (logs,) = minimize_residuals(
        lambda b: [tf.math.log(b[0]) - t],
        [1.0],
        steps=1,
        geodesic_acceleration=True,
        scaling="identity",
        initial_trust_radius=10.0,
    )
    assert logs["accepted_steps"] == 1
    np.testing.assert_allclose(logs["trust_radius"], radius, rtol=1e-9)


def test_after_a_step_that_bends_too_much_comes_a_shorter_one(float64):
    model, (logs,) = minimize_residuals(
        lambda b: [tf.math.log(b[0]) - 1.5],
        [1.0],
        steps=1,
        geodesic_acceleration=True,
        scaling="identity",
        initial_trust_radius=10.0,
    )
    # A = √2: v = 1.5/(1 + λ/2) and a = v²/(1 + λ/2).
    damping = logs["damping"] / 2
    v = 1.5 / (1 + damping)
    a = v**2 / (1 + damping)
    assert logs["evaluations"] == 1 + 2
    assert 0.67 < v < 0.83
    np.testing.assert_allclose(model.b.numpy(), [1 + v + a / 2], rtol=1e-12)


def test_a_step_whose_acceleration_is_not_finite_is_taken_without(float64):
    model, (logs,) = minimize_residuals(
        lambda b: [b[0] ** 2 - 2, b[1] + tf.abs(b[1]) ** 1.5 - 1],
        [2.0, 0.0],
        steps=1,
        geodesic_acceleration=True,
        scaling="identity",
        initial_trust_radius=0.1,
    )
    assert (logs["evaluations"], logs["accepted_steps"]) == (2, 1)
    rows, residuals = np.diag([4.0, 1.0]), np.array([2.0, -1.0])
    v, _ = parts_of_step(
        rows, residuals, np.zeros_like, logs["damping"], np.ones(2)
    )
    np.testing.assert_allclose(model.b.numpy() - [2, 0], v, rtol=1e-9)


def test_a_curved_valley_takes_fewer_evaluations(float64):
    counts = []
    for is_bent in (False, True):
        model, _ = minimize_residuals(
            lambda b: [10 * (b[1] - b[0] ** 2), 1 - b[0]],
            [-1.2, 1.0],
            geodesic_acceleration=is_bent,
        )
        np.testing.assert_allclose(model.b.numpy(), [1, 1], rtol=1e-10)
        counts.append(model.optimizer.progress["evaluations"])
    assert counts[1] < counts[0]


def test_a_network_gets_further_in_as_many_steps(float64):
    x = np.linspace(-1, 1, 200)[:, None]
    losses = []
    for is_bent in (False, True):
        keras.utils.set_random_seed(0)
        model = keras_curvature.Sequential(
            [
                keras.Input((1,)),
                keras.layers.Dense(10, activation="tanh"),
                keras.layers.Dense(1),
            ]
        )
        compiled(model, scaling="identity", geodesic_acceleration=is_bent)
        fit(model, x, np.sin(4 * x), 60)
        losses.append(model.optimizer.progress["accepted_loss"])
    assert losses[1] < losses[0] / 10


def test_a_physics_informed_network_lowers_its_loss(float64):
    x = np.linspace(0, 1, 20)[:, None]
    y = -(np.pi**2) * np.sin(np.pi * x)
    model = accelerated(Poisson(), linear_solver="auto")
    first = np.mean((model(tf.constant(x)) - y) ** 2)
    one_step(model, x, y)
    assert np.mean((model(tf.constant(x)) - y) ** 2) < first


def few_residuals(rng):
    """`(model, x, y)` with 321 weights and 12 residuals."""
    model = network(units=80)
    assert model.count_params() > 256
    return model, rng.normal(size=(12, 2)), rng.normal(size=(12, 1))


def test_the_dual_solver_bends_a_step_of_few_residuals(float64, rng):
    model, x, y = few_residuals(rng)
    accelerated(
        model,
        linear_solver="dual",
        scaling="identity",
        # Long enough to bend by more than the least asked for below.
        initial_trust_radius=1.0,
    )
    start = model.get_weights()
    rows, residuals, _ = tanh_network(start, x, y, flat_weights(model))
    step, logs = one_step(model, x, y)
    v, a = parts_of_step(
        rows,
        residuals,
        lambda v: tanh_network(start, x, y, v)[2],
        logs["damping"][0],
        np.ones(model.count_params()),
    )
    error = np.linalg.norm(step - (v + a / 2))
    assert error < 1e-10 * np.linalg.norm(v)
    assert np.linalg.norm(a) > 1e-2 * np.linalg.norm(v)


@pytest.mark.parametrize("run_eagerly", [True, False])
@pytest.mark.parametrize("residuals", [12, 400])
def test_auto_takes_the_dual_solver_where_residuals_are_few(
    residuals, run_eagerly, rng, monkeypatch
):
    made = []
    monkeypatch.setattr(
        DualEquations, "factor", recording(DualEquations.factor, made)
    )
    model, _, _ = few_residuals(rng)
    x, y = rng.normal(size=(residuals, 2)), rng.normal(size=(residuals, 1))
    accelerated(
        model, "mse", {"run_eagerly": run_eagerly}, linear_solver="auto"
    )
    fit(model, x, y, 1)
    assert bool(made) == (residuals == 12)


@pytest.mark.parametrize("solver", ["cholesky", "qr", "dual"])
def test_an_accelerated_trial_needs_no_more_factorizations(
    solver, float64, monkeypatch
):
    made = []
    for name in ("cholesky", "qr"):
        function = recording(getattr(tf.linalg, name), made)
        monkeypatch.setattr(tf.linalg, name, function)
    counts = []
    for is_bent in (False, True):
        made.clear()
        model = accelerated(
            Exponential(),
            "mse",
            {"run_eagerly": True},
            linear_solver=solver,
            geodesic_acceleration=is_bent,
        )
        one_step(model, X, Y)
        counts.append(len(made))
    # QR reduces the rows of the batch besides.
    assert counts[0] == counts[1] > (solver == "qr")


def recording(function, calls):
    """The function, which notes that it was called."""

    def call(*args, **kwargs):
        calls.append(function)
        return function(*args, **kwargs)

    return call


@pytest.mark.parametrize("solver", ["qr", "dual"])
@pytest.mark.parametrize("mini_batches", [False, True])
def test_auto_bends_where_batches_stay(solver, mini_batches, float64):
    ends = []
    for choice in ("auto", not mini_batches):
        model = accelerated(
            Exponential(),
            "mse",
            {"run_eagerly": True},
            linear_solver=solver,
            mini_batches=mini_batches,
            geodesic_acceleration=choice,
        )
        one_step(model, X, Y)
        ends.append(flat_weights(model))
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_only_a_bool_or_auto_is_a_choice(value):
    with pytest.raises(ValueError, match=r"geodesic_acceleration.*'auto'"):
        LevenbergMarquardt(geodesic_acceleration=value)


@pytest.mark.parametrize("value", [True, False, "auto"])
def test_the_config_holds_it(value):
    optimizer = LevenbergMarquardt(geodesic_acceleration=value)
    config = optimizer.get_config()
    assert config["geodesic_acceleration"] is value
    copy = LevenbergMarquardt.from_config(config)
    assert copy.geodesic_acceleration is value


def test_a_saved_model_keeps_it(tmp_path):
    model = accelerated(network())
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.geodesic_acceleration is True


class Sheared(keras.layers.Layer):
    """An operation whose gradient in TensorFlow is that of another."""

    def call(self, images):
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=[[1.0, 0.5, 0, 0, 1, 0, 0, 0]],
            output_shape=(4, 4),
            fill_value=0.0,
            interpolation="BILINEAR",
        )


def test_a_layer_without_exact_second_derivatives_is_an_error(rng):
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
    model = keras_curvature.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(16),
            keras.layers.Reshape((4, 4, 1)),
            Sheared(),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    accelerated(model)
    before = flat_weights(model)
    with pytest.raises(
        SecondDerivativeError, match="geodesic_acceleration=False"
    ):
        fit(model, x, y, 1)
    np.testing.assert_array_equal(flat_weights(model), before)
    # By default its steps are straight.
    start, ends = model.get_weights(), []
    for choice in ("auto", False):
        model.set_weights(start)
        compiled(model, geodesic_acceleration=choice)
        assert fit(model, x, y, 1)["accepted_steps"] == [1]
        ends.append(flat_weights(model))
    np.testing.assert_array_equal(*ends)
    assert np.any(ends[0] != before)


@pytest.mark.parametrize("radius", [0.5, 10.0])
def test_what_the_loss_cannot_show_does_not_stop_it_short(radius, float64):
    # Rounding of the constant residual hides what log b still has to fall.
    model, _ = minimize_residuals(
        lambda b: [0 * b[0] + 1e8, tf.math.log(b[0]) - 2],
        [1.0],
        steps=30,
        initial_trust_radius=radius,
        linear_solver="qr",
        geodesic_acceleration=True,
    )
    (weight,) = flat_weights(model)
    assert weight > 2
