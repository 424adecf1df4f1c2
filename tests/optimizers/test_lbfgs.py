"""L-BFGS: paths, precision, errors, and life under `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.classical_functions import (
    NOTHING,
    Problem,
    compiled,
    minimized,
    problems,
    scipy_minimized,
)
from keras_curvature.callbacks import SolverProgress
from keras_curvature.optimizers import LBFGS, StopReason
from tests.optimizers.evaluations.networks import (
    BATCHES,
    ERRORS,
    PoissonResidual,
    curve,
    fit_in_one_epoch,
    full_batch_fit,
    loss_at,
    network,
    plain_path,
    trained,
    weights_of,
)


@pytest.mark.parametrize("problem", problems(), ids=lambda p: p.name)
def test_reaches_the_minimum_of_scipy_with_as_many_evaluations(
    float64, problem
):
    scipy = scipy_minimized(problem, "L-BFGS-B")
    optimizer = LBFGS()
    minimized(problem, optimizer)
    progress = optimizer.progress
    assert optimizer.converged
    assert abs(progress["accepted_loss"] - scipy.minimum) < 1e-8
    assert progress["gradient_norm"] <= 1e-8
    # The first accepted point is evaluated twice.
    assert progress["evaluations"] <= 1.3 * scipy.evaluations + 1


def test_the_first_condition_alone_also_leads_to_the_minimum(float64):
    model = minimized(problems()[0], LBFGS(line_search="armijo"))
    np.testing.assert_allclose(model.point.numpy(), [1, 1], rtol=1e-8)


def test_finds_the_closed_form_of_ridge_regression(float64, rng):
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 1))
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(
                1,
                use_bias=False,
                kernel_regularizer=keras.regularizers.L2(0.125),
            ),
        ]
    )
    trained(LBFGS(gradient_tolerance=1e-11), 40, model, (x, y))
    expected = np.linalg.solve(x.T @ x / 30 + 0.125 * np.eye(4), x.T @ y / 30)
    np.testing.assert_allclose(model.weights[0].numpy(), expected, 1e-9)


@pytest.mark.parametrize(
    "settings",
    [{"jit_compile": True}, {"steps_per_execution": 5}, {"run_eagerly": True}],
    ids=str,
)
def test_takes_the_same_path_however_it_is_run(float64, settings):
    other = trained(LBFGS(), 30, **settings)
    np.testing.assert_allclose(
        weights_of(other), plain_path(LBFGS, 30), rtol=1e-7, atol=1e-9
    )


def test_takes_the_same_path_on_two_replicas(float64, mirrored_strategy):
    with mirrored_strategy.scope():
        model = network()
        model.compile(LBFGS(), loss="mse", jit_compile=False)
    fit_in_one_epoch(model, 20)
    np.testing.assert_allclose(
        weights_of(model), plain_path(LBFGS, 20), rtol=1e-7, atol=1e-9
    )


def test_trains_in_float32_on_two_replicas(mirrored_strategy):
    alone = trained(LBFGS(), 10, jit_compile=False)
    with mirrored_strategy.scope():
        model = network()
        model.compile(LBFGS(), loss="mse", jit_compile=False)
    fit_in_one_epoch(model, 10)
    # Ten steps multiply rounding.
    assert loss_at(model) == pytest.approx(loss_at(alone), rel=1e-3)


def test_accumulated_batches_are_one_evaluation(float64):
    model = network()
    optimizer = LBFGS(gradient_accumulation_steps=4)
    model.compile(optimizer, loss="mse", jit_compile=False)
    full_batch_fit(model, 20, batch_size=10)
    assert optimizer.progress["evaluations"] == 20
    assert int(optimizer.iterations) == 20
    np.testing.assert_allclose(
        weights_of(model), plain_path(LBFGS, 20), rtol=1e-7, atol=1e-9
    )


def test_a_scaled_loss_gives_the_same_path(float64):
    scaled = trained(LBFGS(loss_scale_factor=1024.0), 20)
    plain = plain_path(LBFGS, 20)
    np.testing.assert_allclose(weights_of(scaled), plain, 1e-7)


def test_fit_leaves_the_best_accepted_point(float64):
    optimizer = LBFGS()
    history = []
    model = network()
    model.compile(optimizer, loss="mse", jit_compile=False)
    for epochs in (2, 3, 4, 5):
        full_batch_fit(model, epochs)
        history.append(loss_at(model))
        accepted = optimizer.progress["accepted_loss"]
        assert history[-1] == pytest.approx(accepted, rel=1e-12)
    assert np.all(np.diff(history) <= 0)
    assert history[-1] < history[0]


def test_a_second_fit_goes_on_with_the_first(float64):
    parts = trained(LBFGS(), 12)
    # One evaluation is spent on the accepted point.
    full_batch_fit(parts, 14)
    np.testing.assert_array_equal(weights_of(parts), plain_path(LBFGS, 25))


def test_a_fit_of_one_evaluation_is_warned_of(float64):
    model = trained(LBFGS(), 5)
    with pytest.warns(UserWarning, match="one evaluation"):
        full_batch_fit(model, 1)


def test_a_saved_run_is_resumed_to_the_last_bit(float64, tmp_path):
    x, y = curve()
    model = network()
    model.compile(LBFGS(), loss="mse", jit_compile=False)
    for _ in range(11):
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    for _ in range(14):
        model.train_on_batch(x, y)
        copy.train_on_batch(x, y)
    np.testing.assert_array_equal(weights_of(copy), weights_of(model))
    assert copy.optimizer.progress == model.optimizer.progress


def test_its_config_makes_its_equal():
    optimizer = LBFGS(
        history_size=7,
        line_search="armijo",
        sufficient_decrease=1e-3,
        wolfe_curvature=0.5,
        line_search_evaluations=9,
        gradient_tolerance=1e-3,
        loss_tolerance=1e-5,
        gradient_accumulation_steps=3,
        loss_scale_factor=8.0,
        name="solver",
    )
    config = optimizer.get_config()
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, LBFGS)
    assert again.get_config() == config
    assert config["history_size"] == 7
    assert config["gradient_accumulation_steps"] == 3


def changing(kind):
    """A model, and settings of `fit`, whose loss changes between steps."""
    if kind == "dropout":
        return network(keras.layers.Dropout(0.5)), {}
    return network(), {"batch_size": 10}


@pytest.mark.parametrize("kind", ["mini-batches", "dropout"])
@pytest.mark.parametrize("settings", [{}, {"run_eagerly": True}], ids=str)
def test_a_loss_that_changes_is_an_error(kind, settings):
    model, fit_settings = changing(kind)
    before = weights_of(model)
    model.compile(LBFGS(), loss="mse", jit_compile=False, **settings)
    with pytest.raises(ERRORS, match=BATCHES):
        full_batch_fit(model, 5, shuffle=True, **fit_settings)
    np.testing.assert_array_equal(weights_of(model)[: len(before)], before)


def test_a_loss_that_changes_is_an_error_at_the_end_under_xla():
    model, fit_settings = changing("mini-batches")
    before = weights_of(model)
    model.compile(LBFGS(), loss="mse", jit_compile=True)
    with pytest.raises(RuntimeError, match=BATCHES):
        full_batch_fit(model, 2, **fit_settings)
    np.testing.assert_array_equal(weights_of(model), before)


def test_a_loss_that_changes_later_is_an_error(float64):
    x, y = curve()
    model = network()
    model.compile(LBFGS(), loss="mse", jit_compile=False)
    with pytest.raises(ERRORS, match=BATCHES):
        for step in range(300):
            model.train_on_batch(x, y + 0.1 * (step > 30) * step)


def test_the_order_of_the_whole_data_does_not_matter(float64):
    ordered, shuffled = network(), network()
    for model, shuffle in ((ordered, False), (shuffled, True)):
        model.compile(LBFGS(), loss="mse", jit_compile=False)
        full_batch_fit(model, 20, shuffle=shuffle)
    np.testing.assert_allclose(loss_at(shuffled), loss_at(ordered), rtol=1e-6)


def test_training_can_go_on_after_an_error(float64):
    model = network()
    model.compile(LBFGS(), loss="mse", jit_compile=False)
    with pytest.raises(ERRORS, match=BATCHES):
        full_batch_fit(model, 2, batch_size=10)
    before = loss_at(model)
    full_batch_fit(model, 20)
    assert loss_at(model) < 0.1 * before


def test_other_data_in_a_second_fit_start_a_new_run(float64):
    x, _ = curve()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    trained(LBFGS(), 30, model, (x, 3 * x + 1))
    np.testing.assert_allclose(weights_of(model), [3, 1], rtol=1e-7)
    full_batch_fit(model, 30, (x, 2 - x))
    np.testing.assert_allclose(weights_of(model), [-1, 2], rtol=1e-7)


def test_trials_that_are_not_finite_shorten_the_step(float64):
    # The first trial of unit length leaves the domain of the logarithm.
    problem = Problem(
        "barrier",
        lambda x: tf.reduce_sum(100 * x - tf.math.log(x)),
        np.array([0.02, 0.9]),
    )
    optimizer = LBFGS()
    model = minimized(problem, optimizer, 80)
    np.testing.assert_allclose(model.point.numpy(), [0.01, 0.01], rtol=1e-9)


def test_a_start_that_is_not_finite_is_an_error(float64):
    problem = Problem("nan", lambda x: tf.reduce_sum(tf.sqrt(x)), -np.ones(2))
    model = compiled(problem, LBFGS())
    with pytest.raises(ERRORS, match="not finite at the weights"):
        model.train_on_batch(NOTHING, NOTHING)
    np.testing.assert_array_equal(model.point.numpy(), -np.ones(2))


def test_stops_at_the_precision_of_float32():
    # Regression with noise: the minimum is not zero.
    x = np.linspace(-1, 1, 50)[:, None].astype("float32")
    y = 2 * x + np.random.default_rng(0).normal(size=x.shape)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    optimizer = LBFGS(gradient_tolerance=0.0)
    trained(optimizer, 60, model, (x, y))
    assert optimizer.stop_reason is StopReason.PRECISION
    design = np.hstack([x, np.ones_like(x)]).astype("float64")
    expected = np.linalg.lstsq(design, y, rcond=None)[0].ravel()
    # The loss is flat to rounding within √ε of its minimum.
    np.testing.assert_allclose(weights_of(model), expected, atol=1e-3)


def test_steps_after_convergence_change_nothing(float64):
    problem = problems()[0]
    optimizer = LBFGS(gradient_tolerance=1e-3)
    model = minimized(problem, optimizer)
    point, progress = model.point.numpy(), optimizer.progress
    for _ in range(3):
        model.train_on_batch(NOTHING, NOTHING)
    np.testing.assert_array_equal(model.point.numpy(), point)
    assert optimizer.progress == progress
    assert optimizer.stop_reason is StopReason.GRADIENT_TOLERANCE


def test_stops_where_the_loss_hardly_changes(float64):
    optimizer = LBFGS(loss_tolerance=1e-2)
    minimized(problems()[-1], optimizer)
    assert optimizer.stop_reason is StopReason.LOSS_TOLERANCE
    assert optimizer.progress["gradient_norm"] > 1e-8


def test_weights_set_from_outside_start_a_new_run(float64):
    problem = problems()[0]
    optimizer = LBFGS()
    model = compiled(problem, optimizer)
    for _ in range(10):
        model.train_on_batch(NOTHING, NOTHING)
    model.point.assign([-3.0, 2.0])
    for _ in range(150):
        model.train_on_batch(NOTHING, NOTHING)
    optimizer.finalize_variable_values(model.trainable_variables)
    np.testing.assert_allclose(model.point.numpy(), [1, 1], rtol=1e-7)


def test_is_traced_once(float64):
    traces = []
    problem = problems()[0]

    def function(x):
        traces.append(1)
        return problem.function(x)

    model = compiled(problem._replace(function=function), LBFGS())
    for _ in range(5):
        model.train_on_batch(NOTHING, NOTHING)
    assert len(traces) == 1


class WithUnusedWeight(keras.layers.Layer):
    """The identity, with a weight that nothing depends on."""

    def build(self, shape):
        self.unused = self.add_weight(shape=(3,), initializer="ones")

    def call(self, x):
        return x


def test_frozen_and_unused_weights_stay(float64):
    model = network(WithUnusedWeight())
    model.layers[0].trainable = False
    frozen, before = model.layers[0].kernel.numpy(), loss_at(model)
    with pytest.warns(UserWarning, match="no gradient"):
        trained(LBFGS(), 20, model)
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), frozen)
    np.testing.assert_array_equal(model.layers[1].unused.numpy(), np.ones(3))
    assert loss_at(model) < 0.5 * before


def test_fits_an_embedding_to_its_mean(float64):
    tokens = np.array([[0], [1], [1], [2], [2], [2]])
    y = np.array([[1.0], [2.0], [4.0], [1.0], [2.0], [6.0]])
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="int32"),
            keras.layers.Embedding(3, 1),
            keras.layers.Flatten(),
        ]
    )
    trained(LBFGS(), 30, model, (tokens, y))
    np.testing.assert_allclose(weights_of(model), [1, 3, 3], rtol=1e-7)


def test_trains_a_physics_informed_network(float64):
    x = np.linspace(0, 1, 30)[:, None]
    model = PoissonResidual()
    model.compile(LBFGS(history_size=20), loss="mse")
    full_batch_fit(model, 300, (x, np.pi**2 * np.sin(np.pi * x)))
    u = model.field(tf.constant(x)).numpy()
    assert np.max(np.abs(u - np.sin(np.pi * x))) < 1e-3


def test_progress_is_in_the_history_and_ends_fit(float64, tmp_path):
    x, y = curve()
    design = np.hstack([x, x**2])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(LBFGS(), loss="mse", jit_compile=False)
    path = tmp_path / "model.keras"
    history = model.fit(
        design,
        y,
        batch_size=len(x),
        shuffle=False,
        epochs=100,
        validation_data=(design, y),
        callbacks=[SolverProgress(), keras.callbacks.ModelCheckpoint(path)],
        verbose=0,
    ).history
    assert len(history["loss"]) < 100
    assert history["stop_reason"] == [StopReason.GRADIENT_TOLERANCE]
    assert history["gradient_norm"][-1] <= 1e-8
    assert history["evaluations"][-1] == len(history["loss"])
    # Validation, on the same data, saw the accepted points.
    np.testing.assert_allclose(
        history["val_loss"], history["accepted_loss"], rtol=1e-12
    )
    saved = keras.saving.load_model(path)
    np.testing.assert_array_equal(weights_of(saved), weights_of(model))


def test_progress_does_not_change_the_path(float64):
    model = network()
    model.compile(LBFGS(), loss="mse", jit_compile=False)
    full_batch_fit(model, 12, callbacks=[SolverProgress()])
    # One evaluation is spent on the accepted point.
    full_batch_fit(model, 9, callbacks=[SolverProgress()])
    np.testing.assert_array_equal(weights_of(model), plain_path(LBFGS, 20))


def test_progress_needs_a_solver():
    model = network()
    model.compile("sgd", loss="mse")
    with pytest.raises(TypeError, match="LBFGS"):
        full_batch_fit(model, 1, callbacks=[SolverProgress()])


@pytest.mark.parametrize(
    "option, value",
    [
        ("learning_rate", 0.1),
        ("weight_decay", 0.1),
        ("clipnorm", 1.0),
        ("clipvalue", 1.0),
        ("global_clipnorm", 1.0),
        ("use_ema", True),
    ],
)
def test_options_without_a_meaning_are_refused(option, value):
    with pytest.raises(ValueError, match=f"`{option}` is not an option"):
        LBFGS(**{option: value})


@pytest.mark.parametrize(
    "option, value",
    [
        ("history_size", 0),
        ("line_search", "exact"),
        ("sufficient_decrease", 0.5),
        ("wolfe_curvature", 1.0),
        ("line_search_evaluations", 1),
        ("gradient_tolerance", -1.0),
        ("loss_tolerance", 1.0),
        ("gradient_accumulation_steps", 1),
    ],
)
def test_settings_are_checked(option, value):
    with pytest.raises(ValueError, match=f"`{option}` must"):
        LBFGS(**{option: value})


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="momentum"):
        LBFGS(momentum=0.9)


def test_a_learning_rate_schedule_is_refused():
    with pytest.raises(ValueError, match="learning_rate"):
        LBFGS().learning_rate = 0.1


def test_constraints_are_refused():
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, kernel_constraint="non_neg"),
        ]
    )
    with pytest.raises(ValueError, match="constraint"):
        trained(LBFGS(), 1, model)


def test_half_precision_is_refused():
    keras.config.set_dtype_policy("mixed_float16")
    with pytest.raises(RuntimeError, match="mixed_float16"):
        trained(LBFGS(), 1)
    keras.config.set_dtype_policy("bfloat16")
    with pytest.raises(ValueError, match="float32 or float64"):
        trained(LBFGS(), 1)


def test_a_loop_that_hides_the_loss_is_told_so():
    variable = keras.Variable([1.0, 2.0])
    with pytest.raises(RuntimeError, match="scale_loss"):
        LBFGS().apply([tf.ones(2)], [variable])


def test_a_loop_of_ones_own_shows_the_loss(float64):
    variable = keras.Variable([1.0, 2.0])
    optimizer = LBFGS()
    optimizer.build([variable])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((variable.value - 3) ** 4)
            loss = optimizer.scale_loss(loss)
        optimizer.apply([tape.gradient(loss, variable.value)], [variable])

    for _ in range(60):
        step()
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(variable.numpy(), [3, 3], atol=3e-3)
