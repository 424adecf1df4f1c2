"""Newton-CG: paths, saddle points, products, and life under `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from benchmarks.classical_functions import (
    NOTHING,
    Problem,
    compiled,
    minimized,
    problems,
    scipy_minimized,
)
from keras_curvature.callbacks import SolverProgress
from keras_curvature.optimizers import NewtonCG, StopReason
from tests.optimizers.evaluations.networks import (
    BATCHES,
    ERRORS,
    PoissonResidual,
    full_batch_fit,
    network,
    plain_path,
    trained,
    weights_of,
)


@pytest.mark.parametrize("problem", problems(), ids=lambda p: p.name)
def test_reaches_the_minimum_of_scipy_with_as_many_evaluations(
    float64, problem
):
    scipy = scipy_minimized(problem, "trust-ncg")
    optimizer = NewtonCG()
    minimized(problem, optimizer)
    progress = optimizer.progress
    assert optimizer.converged
    assert abs(progress["accepted_loss"] - scipy.minimum) < 1e-8
    assert progress["gradient_norm"] <= 1e-8
    # The first accepted point is evaluated twice.
    assert progress["evaluations"] <= 1.3 * scipy.evaluations + 1
    # Those that look for negative curvature at the end are ours alone.
    probe = len(problem.start)
    assert progress["hessian_products"] <= 1.3 * scipy.products + probe


def saddle(x):
    """A saddle point at 0, minima of −1/4 at x[1] = ±1/√2."""
    return x[0] ** 2 - x[1] ** 2 + x[1] ** 4


@pytest.mark.parametrize("start", [[0.0, 0.0], [1.0, 0.0], [1.0, 1e-9]])
def test_leaves_a_saddle_point(float64, start):
    optimizer = NewtonCG()
    model = minimized(Problem("saddle", saddle, np.array(start)), optimizer)
    x = model.point.numpy()
    np.testing.assert_allclose([x[0], abs(x[1])], [0, 0.5**0.5], atol=1e-8)
    assert optimizer.stop_reason is StopReason.GRADIENT_TOLERANCE


def test_one_step_solves_a_quadratic(float64, rng):
    a = rng.normal(size=(6, 6))
    a = tf.constant(a @ a.T + np.eye(6))
    problem = Problem(
        "quadratic",
        lambda x: tf.tensordot(x, tf.linalg.matvec(a, x), 1) / 2 - x[0],
        np.zeros(6),
    )
    optimizer = NewtonCG(initial_trust_radius=100.0, cg_tolerance=1e-12)
    model = compiled(problem, optimizer)
    for _ in range(3):
        model.train_on_batch(NOTHING, NOTHING)
    expected = np.linalg.inv(a.numpy())[0]
    np.testing.assert_allclose(model.point.numpy(), expected, rtol=1e-9)
    assert optimizer.progress["accepted_steps"] == 1


@pytest.mark.parametrize(
    "settings", [{"jit_compile": True}, {"steps_per_execution": 3}], ids=str
)
def test_takes_the_same_path_however_it_is_run(float64, settings):
    other = trained(NewtonCG(), 12, **settings)
    plain = plain_path(NewtonCG, 12)
    np.testing.assert_allclose(weights_of(other), plain, 1e-6)


def test_takes_the_same_path_eagerly_under_nested_tapes(float64):
    model = keras_curvature.Sequential.from_config(network().get_config())
    model.set_weights(network().get_weights())
    trained(NewtonCG(), 8, model, run_eagerly=True)
    plain = plain_path(NewtonCG, 8)
    np.testing.assert_allclose(weights_of(model), plain, 1e-6)


def test_a_plain_model_cannot_run_eagerly():
    with pytest.raises(RuntimeError, match=r"keras_curvature\.Model"):
        trained(NewtonCG(), 1, run_eagerly=True)


def test_a_rejected_step_costs_no_product(float64):
    # Newton's step from x is −x(1 + x²): far too long.
    optimizer = NewtonCG(initial_trust_radius=1e3)
    problem = Problem(
        "root",
        lambda x: tf.reduce_sum(tf.sqrt(1 + x**2)),
        np.array([5.0, -3.0]),
    )
    model = compiled(problem, optimizer)
    rejected = confirmed = 0
    model.train_on_batch(NOTHING, NOTHING)
    before = optimizer.progress
    while not optimizer.converged and before["evaluations"] < 60:
        model.train_on_batch(NOTHING, NOTHING)
        now = optimizer.progress
        if not now["accepted"]:
            assert now["hessian_products"] == before["hessian_products"]
            # One evaluation is no trial: it confirms the loss at the point.
            is_trial = now["trust_radius"] != before["trust_radius"]
            rejected += is_trial
            confirmed += not is_trial
            assert now["trust_radius"] <= before["trust_radius"]
        before = now
    assert optimizer.converged
    assert rejected
    assert confirmed <= 1
    np.testing.assert_allclose(model.point.numpy(), 0, atol=1e-7)


def test_the_preconditioner_saves_products(float64):
    problem = next(p for p in problems() if p.name == "rosenbrock_100")
    radius = 1 / np.linalg.norm(problem.start)
    plain = NewtonCG(radius)
    minimized(problem, plain)
    preconditioned = NewtonCG(radius, preconditioner="lbfgs", history_size=30)
    model = minimized(problem, preconditioned)
    np.testing.assert_allclose(model.point.numpy(), 1, rtol=1e-7)
    assert (
        preconditioned.progress["hessian_products"]
        / preconditioned.progress["accepted_steps"]
        < plain.progress["hessian_products"] / plain.progress["accepted_steps"]
    )


def test_a_scaled_loss_gives_the_same_path(float64):
    scaled = trained(NewtonCG(loss_scale_factor=1024.0), 10)
    plain = plain_path(NewtonCG, 10)
    np.testing.assert_allclose(weights_of(scaled), plain, 1e-7)


def test_a_second_fit_goes_on_with_the_first(float64):
    parts = trained(NewtonCG(), 6)
    # One evaluation is spent on the accepted point.
    full_batch_fit(parts, 7)
    np.testing.assert_array_equal(weights_of(parts), plain_path(NewtonCG, 12))


def test_a_saved_run_is_resumed_to_the_last_bit(float64, tmp_path):
    model = network()
    model.compile(
        NewtonCG(preconditioner="lbfgs"), loss="mse", jit_compile=False
    )
    x, y = np.linspace(-1, 1, 20)[:, None], np.linspace(-1, 1, 20)[:, None] ** 2
    for _ in range(7):
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    for _ in range(5):
        model.train_on_batch(x, y)
        copy.train_on_batch(x, y)
    np.testing.assert_array_equal(weights_of(copy), weights_of(model))
    assert copy.optimizer.progress == model.optimizer.progress


def test_its_config_makes_its_equal():
    optimizer = NewtonCG(
        initial_trust_radius=2.0,
        cg_tolerance=0.1,
        max_cg_iterations=7,
        preconditioner="lbfgs",
        history_size=3,
        gradient_tolerance=1e-3,
        loss_tolerance=1e-5,
        loss_scale_factor=8.0,
        name="solver",
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, NewtonCG)
    assert again.get_config() == optimizer.get_config()
    assert again.get_config()["preconditioner"] == "lbfgs"


def test_a_loss_that_changes_is_an_error():
    model = network()
    model.compile(NewtonCG(), loss="mse", jit_compile=False)
    with pytest.raises(ERRORS, match=BATCHES):
        full_batch_fit(model, 5, batch_size=10, shuffle=True)


def test_trials_that_are_not_finite_shrink_the_region(float64):
    problem = Problem(
        "barrier",
        lambda x: tf.reduce_sum(100 * x - tf.math.log(x)),
        np.array([0.02, 0.9]),
    )
    model = minimized(problem, NewtonCG(), 80)
    np.testing.assert_allclose(model.point.numpy(), [0.01, 0.01], rtol=1e-9)


def test_stops_at_the_precision_of_float32():
    x = np.linspace(-1, 1, 50)[:, None].astype("float32")
    y = 2 * x + np.random.default_rng(0).normal(size=x.shape)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    optimizer = NewtonCG(gradient_tolerance=0.0)
    trained(optimizer, 40, model, (x, y))
    assert optimizer.converged
    design = np.hstack([x, np.ones_like(x)]).astype("float64")
    expected = np.linalg.lstsq(design, y, rcond=None)[0].ravel()
    np.testing.assert_allclose(weights_of(model), expected, atol=1e-5)


def test_trains_a_physics_informed_network(float64):
    x = np.linspace(0, 1, 30)[:, None]
    model = PoissonResidual()
    model.compile(NewtonCG(), loss="mse", jit_compile=False)
    full_batch_fit(model, 60, (x, np.pi**2 * np.sin(np.pi * x)))
    u = model.field(tf.constant(x)).numpy()
    assert np.max(np.abs(u - np.sin(np.pi * x))) < 1e-3


def test_progress_is_in_the_history_and_ends_fit(float64):
    x = np.linspace(-1, 1, 20)[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(NewtonCG(), loss="mse", jit_compile=False)
    history = full_batch_fit(
        model, 50, (x, 3 * x + 1), callbacks=[SolverProgress()]
    ).history
    assert len(history["loss"]) < 50
    for name in ("trust_radius", "cg_iterations", "accepted"):
        assert len(history[name]) == len(history["loss"])
    assert history["stop_reason"] == [StopReason.GRADIENT_TOLERANCE]
    np.testing.assert_allclose(weights_of(model), [3, 1], rtol=1e-7)


def test_replicas_are_refused(mirrored_strategy):
    with mirrored_strategy.scope():
        model = network()
        model.compile(NewtonCG(), loss="mse", jit_compile=False)
    with pytest.raises(ValueError, match="one replica"):
        full_batch_fit(model, 1)


@pytest.mark.parametrize(
    "option, value",
    [
        ("initial_trust_radius", 0.0),
        ("cg_tolerance", 1.0),
        ("max_cg_iterations", 0),
        ("preconditioner", "jacobi"),
        ("history_size", 0),
        ("gradient_tolerance", -1.0),
    ],
)
def test_settings_are_checked(option, value):
    with pytest.raises(ValueError, match=f"`{option}` must"):
        NewtonCG(**{option: value})


@pytest.mark.parametrize(
    "option, value",
    [
        ("learning_rate", 0.1),
        ("clipnorm", 1.0),
        ("gradient_accumulation_steps", 4),
    ],
)
def test_options_without_a_meaning_are_refused(option, value):
    with pytest.raises(ValueError, match=f"`{option}` is not an option"):
        NewtonCG(**{option: value})
