"""SelfScaledBroyden against SciPy, closed forms and its own restarts."""

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
    skewed_quadratic,
)
from keras_curvature.linalg import broyden_family
from keras_curvature.optimizers import SelfScaledBroyden, self_scaled_broyden
from keras_curvature.optimizers._evaluations.dense_inverse import DenseInverse
from tests.linalg import papers_updates
from tests.optimizers.evaluations.networks import (
    full_batch_fit,
    loss_at,
    network,
    trained,
    weights_of,
)

UPDATES = ("ssbroyden", "ssbfgs", "bfgs")


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("name", ["rosenbrock_2", "beale", "logistic"])
def test_the_minimum_of_scipys_bfgs_after_as_many_evaluations(
    float64, name, update
):
    problem = next(p for p in problems() if p.name == name)
    scipy = scipy_minimized(problem, "BFGS")
    # SciPy's begins with H = I.
    optimizer = SelfScaledBroyden(update, initial_inverse="identity")
    model = minimized(problem, optimizer)
    assert optimizer.converged
    np.testing.assert_allclose(model.point.numpy(), scipy.point, rtol=1e-6)
    # The first accepted point is evaluated twice. In two dimensions there is
    # little to scale: BFGS is the quicker one.
    most = 1.3 if update == "bfgs" else 1.4
    assert optimizer.progress["evaluations"] <= most * scipy.evaluations + 1


def accepted_points(problem, optimizer, count):
    """The first points of a run, from its start, and what was tried next."""
    model = compiled(problem, optimizer)
    points, trials = [problem.start], [None]
    while len(points) <= count:
        model.train_on_batch(NOTHING, NOTHING)
        if optimizer.progress["accepted_steps"] == len(points):
            points.append(optimizer._state["point"].numpy())
            trials.append(model.point.numpy())
    return points, trials


@pytest.mark.parametrize(
    ("update", "initial_inverse"),
    [
        ("ssbroyden", "identity"),
        ("ssbroyden", "scaled"),
        ("ssbfgs", "identity"),
        ("bfgs", "identity"),
    ],
)
def test_each_step_is_along_the_papers_direction(
    float64, update, initial_inverse
):
    """H from equations 9 to 23 in NumPy; strong Wolfe at each step's end.

    The first trial is that of Nocedal and Wright, equation 3.60. The first
    accepted point is evaluated twice, before another trial.
    """
    problem = next(p for p in problems() if p.name == "rosenbrock_10")
    optimizer = SelfScaledBroyden(update, initial_inverse=initial_inverse)
    points, trials = accepted_points(problem, optimizer, 30)
    losses, gradients = zip(
        *map(value_and_gradient(problem), points), strict=True
    )
    inverse, lengths = np.eye(len(problem.start)), []
    for k in range(len(points) - 1):
        loss, g = losses[k], gradients[k]
        s, y = points[k + 1] - points[k], gradients[k + 1] - g
        direction = -inverse @ g
        if k > 1:
            fall = losses[k - 1] - loss
            lengths.append(min(1, 1.01 * 2 * fall / -(direction @ g)))
            trial = points[k] + lengths[-1] * direction
            np.testing.assert_allclose(trials[k], trial, rtol=1e-7)
        along = direction @ s / (direction @ direction)
        error = np.abs(s - along * direction).max()
        assert error <= 1e-7 * np.abs(s).max()
        assert losses[k + 1] <= loss + 1e-4 * (g @ s)
        assert abs(gradients[k + 1] @ s) <= 0.9 * abs(g @ s)
        if k == 0 and initial_inverse == "scaled":
            inverse *= s @ y / (y @ y)
        numbers = papers_updates.scale_and_parameter(update, inverse, s, y)
        inverse = papers_updates.updated_inverse(inverse, s, y, *numbers)
    assert min(lengths) < 0.9 and max(lengths) == 1


def value_and_gradient(problem):
    def evaluate(point):
        point = tf.constant(point)
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = problem.function(point)
        return value.numpy(), tape.gradient(value, point).numpy()

    return evaluate


@pytest.mark.parametrize("update", UPDATES)
def test_an_exact_line_search_ends_on_a_quadratic_after_n_steps(
    float64, update
):
    size = 6
    quadratic = Problem("", skewed_quadratic(size, 50.0), np.zeros(size))
    optimizer = SelfScaledBroyden(
        update, wolfe_curvature=1e-9, sufficient_decrease=1e-10
    )
    model = minimized(quadratic, optimizer)
    np.testing.assert_allclose(model.point.numpy(), 1, rtol=1e-9)
    assert size <= optimizer.progress["accepted_steps"] <= size + 1


def test_the_first_inverse_is_scaled_by_the_first_pair(float64):
    inverse, step, change = np.eye(2), np.array([1.0, 2]), np.array([30.0, 10])
    state = {"inverse": tf.zeros((2, 2), "float64"), "pairs": tf.constant(0)}
    state["pairs"] = tf.cast(state["pairs"], "int64")
    after = DenseInverse(broyden_family.bfgs, is_scaled=True).update(
        state,
        *map(tf.constant, (step, change)),
        tf.constant(1.0, "float64"),
        tf.constant(-step),
    )
    curvature = step @ change
    inverse *= curvature / (change @ change)
    left = np.eye(2) - np.outer(step, change) / curvature
    expected = left @ inverse @ left.T + np.outer(step, step) / curvature
    np.testing.assert_allclose(after["inverse"], expected, rtol=1e-14)


def test_it_fits_a_network_further_than_bfgs_and_resumes_from_a_file(
    float64, tmp_path
):
    plain = trained(SelfScaledBroyden("bfgs"), 60)
    half = trained(SelfScaledBroyden(), 30)
    half.save(tmp_path / "half.keras")
    loaded = keras.models.load_model(tmp_path / "half.keras")
    for model in (half, loaded):
        assert model.optimizer.progress["evaluations"] == 30
        full_batch_fit(model, 30)
    # H is what it was: the path goes on.
    np.testing.assert_array_equal(weights_of(loaded), weights_of(half))
    assert loss_at(loaded) < loss_at(plain) / 10 < 1e-3


@pytest.mark.parametrize("update", UPDATES)
def test_float32_reaches_its_precision(update):
    model = network(kind=keras_curvature.Sequential)
    trained(SelfScaledBroyden(update), 60, model)
    assert np.isfinite(weights_of(model)).all()
    assert loss_at(model) < 1e-3


def test_config_holds_every_setting():
    optimizer = SelfScaledBroyden(
        "ssbfgs",
        initial_inverse="identity",
        sufficient_decrease=1e-3,
        wolfe_curvature=0.5,
        line_search_evaluations=7,
        gradient_tolerance=1e-5,
        loss_tolerance=1e-4,
        gradient_accumulation_steps=3,
        loss_scale_factor=2.0,
        name="ss",
    )
    config = optimizer.get_config()
    assert SelfScaledBroyden.from_config(config).get_config() == config
    assert config["update"] == "ssbfgs"
    assert config["initial_inverse"] == "identity"
    assert config["wolfe_curvature"] == 0.5
    assert config["line_search_evaluations"] == 7


@pytest.mark.parametrize(
    "options",
    [
        {"update": "dfp"},
        {"initial_inverse": "zero"},
        {"wolfe_curvature": 1.0},
        {"sufficient_decrease": -1.0},
        {"line_search_evaluations": 1},
        {"learning_rate": 0.1},
        {"weight_decay": 0.1},
        {"clipnorm": 1.0},
    ],
    ids=str,
)
def test_wrong_settings_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        SelfScaledBroyden(**options)


def test_matrices_that_no_memory_holds_are_refused(monkeypatch):
    monkeypatch.setattr(self_scaled_broyden, "_memory", lambda: 1000)
    with pytest.raises(ValueError, match="LBFGS"):
        trained(SelfScaledBroyden(), 1)
