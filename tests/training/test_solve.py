"""`solve`: what it reaches, returns, shows, and what it refuses."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature import solve
from keras_curvature.optimizers import (
    LBFGS,
    GaussNewton,
    LevenbergMarquardt,
    NewtonCG,
    SolverError,
    StopReason,
)
from keras_curvature.training import _solver_steps
from keras_curvature.training._whole_batch import whole_batch
from tests.training.helpers import decay, decay_data, decay_residuals

X = np.linspace(-1, 1, 20)[:, None]
Y = 3 * X + 1
SOLVERS = [LBFGS, NewtonCG, LevenbergMarquardt, GaussNewton]


def line(optimizer, kind=keras_curvature.Sequential, **options):
    keras.utils.set_random_seed(2)
    model = kind([keras.Input((1,)), keras.layers.Dense(1)])
    options = {"loss": "mse", "jit_compile": False} | options
    model.compile(optimizer, **options)
    return model


def weights(model):
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


def tanh_network(optimizer, **options):
    keras.utils.set_random_seed(2)
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(3, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, "mse", jit_compile=False, **options)
    return model


@pytest.fixture(scope="module")
def bent():
    """A model whose fit takes longer than the tests have steps for."""
    return tanh_network(LBFGS(), metrics=["mae"])


def begin(model):
    """Sets the weights where every run of the tests begins."""
    rng = np.random.default_rng(2)
    model.set_weights([0.3 * rng.normal(size=w.shape) for w in model.weights])
    model.optimizer.reset()


@pytest.fixture
def begun(bent):
    """The same, as it was before its first step."""
    begin(bent)
    return bent


def bend(model, **options):
    return solve(model, X, np.sin(4 * X), **({"verbose": 0} | options))


@pytest.mark.parametrize("kind", [keras_curvature.Sequential, keras.Sequential])
def test_a_run_ends_at_the_minimum_and_says_so(float64, kind):
    model = line(LBFGS(), kind)
    result = solve(model, X, Y, verbose=0)
    assert result.converged
    assert result.stop_reason == StopReason.GRADIENT_TOLERANCE
    assert result.steps < 60
    np.testing.assert_allclose(weights(model), [3, 1], rtol=1e-7)
    assert result.history["stop_reason"] == [result.stop_reason]
    printed = str(result)
    assert str(result.stop_reason) in printed
    assert f"steps          {result.steps}" in printed


def test_run_eagerly_takes_the_same_steps(float64):
    eager = line(LevenbergMarquardt(), run_eagerly=True)
    result = solve(eager, X, Y, max_steps=20, verbose=0)
    np.testing.assert_allclose(weights(eager), [3, 1], rtol=1e-7)
    assert result.converged


def test_the_model_has_the_accepted_point_and_logs_its_loss(begun):
    result = bend(begun, max_steps=23, steps_per_epoch=10)
    loss = np.mean((begun.predict(X, verbose=0) - np.sin(4 * X)) ** 2)
    np.testing.assert_allclose(result.loss, loss, rtol=1e-5)
    history = result.history
    assert result.status == "max_steps"
    assert result.steps == history["evaluations"][-1] == 23
    assert len(history["loss"]) == len(history["mae"]) == 3
    assert history["loss"] == history["accepted_loss"]


def test_a_second_call_goes_on_where_the_first_ended(begun):
    evaluations = begun.optimizer.progress["evaluations"]
    at_once = bend(begun, max_steps=31).loss
    begin(begun)
    steps = begun._keras_curvature_solver_steps
    bend(begun, max_steps=15)
    # One evaluation sees that the point is still the accepted one.
    parts = bend(begun, max_steps=17)
    assert begun._keras_curvature_solver_steps is steps
    np.testing.assert_allclose(parts.loss, at_once, rtol=1e-4)
    assert parts.evaluations == 17
    assert begun.optimizer.progress["evaluations"] > evaluations


def test_the_loop_in_tensorflow_takes_the_same_steps(begun, monkeypatch):
    by_python = bend(begun, max_steps=30, steps_per_epoch=30).loss
    begin(begun)
    monkeypatch.setattr(_solver_steps, "_LONG_RUN", -1.0)
    monkeypatch.setattr(_solver_steps, "_SHORT_STEP", 1e9)
    in_loop = bend(begun, max_steps=30, steps_per_epoch=30)
    np.testing.assert_allclose(in_loop.loss, by_python, rtol=1e-4)
    assert in_loop.steps == 30


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C after some steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_interrupted_it_returns_with_the_accepted_point(begun):
    result = bend(begun, callbacks=[Interrupt(7)])
    assert result.status == "interrupted"
    assert result.steps == 7
    loss = np.mean((begun.predict(X, verbose=0) - np.sin(4 * X)) ** 2)
    np.testing.assert_allclose(result.loss, loss, rtol=1e-5)


def test_callbacks_of_keras_work_between_epochs(begun, tmp_path):
    stopping = keras.callbacks.EarlyStopping("val_loss", min_delta=1e9)
    callbacks = [
        stopping,
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.weights.h5",
            monitor="loss",
            save_best_only=True,
            save_weights_only=True,
        ),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    result = bend(
        begun,
        steps_per_epoch=6,
        callbacks=callbacks,
        validation_data=(X[:5], np.sin(4 * X[:5])),
    )
    assert result.status == "callback"
    assert stopping.stopped_epoch == 1
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert {"loss", "gradient_norm", "mae", "val_mae"} <= {*header.split(",")}
    assert len(rows) == 2
    error = begun.predict(X[:5], verbose=0) - np.sin(4 * X[:5])
    np.testing.assert_allclose(
        result.history["val_loss"][-1], np.mean(error**2), rtol=1e-5
    )
    begun.load_weights(tmp_path / "best.weights.h5")


def test_the_bar_ends_with_the_loss_of_the_result(begun, capsys):
    result = bend(begun, max_steps=5, verbose=1)
    last = capsys.readouterr().out.rpartition(" loss: ")[2]
    # The bar shows four decimals.
    assert abs(float(last.split()[0]) - result.loss) < 1e-4


def test_the_bar_shows_step_loss_and_gradient(begun, capsys):
    bend(begun, max_steps=5, verbose="auto")
    shown = capsys.readouterr().out
    assert "5/5" in shown
    assert "loss" in shown
    assert "gradient_norm" in shown


@pytest.mark.parametrize("split", [20, 8])
def test_a_dataset_is_put_together(begun, split):
    bend(begun, max_steps=8)
    expected = weights(begun)
    begin(begun)
    y = np.sin(4 * X).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((X.astype("float32"), y))
    solve(begun, data.batch(split), max_steps=8, verbose=0)
    np.testing.assert_allclose(weights(begun), expected, rtol=1e-4, atol=1e-6)


def test_a_run_that_cannot_go_on_raises(float64):
    model = line(LevenbergMarquardt(), run_eagerly=True)
    with pytest.raises(SolverError, match="not finite"):
        solve(model, X, np.nan * Y, verbose=0)


def test_what_is_no_model_with_a_solver_is_refused(mirrored_strategy):
    with pytest.raises(TypeError, match=r"compiled keras\.Model"):
        solve(None, X, Y)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="must be compiled"):
        solve(model, X, Y)
    with pytest.raises(ValueError, match="Received: Adam"):
        solve(line("adam"), X, Y)
    accumulating = line(LBFGS(gradient_accumulation_steps=2))
    with pytest.raises(ValueError, match="gradient_accumulation_steps"):
        solve(accumulating, X, Y)
    with mirrored_strategy.scope():
        model = line(LBFGS())
    with pytest.raises(ValueError, match="2 replicas"):
        solve(model, X, Y)


@pytest.mark.parametrize(
    "data, message",
    [
        ((X, Y[:5]), "y of length 5 and x of length 20"),
        ((X, Y, np.ones(3)), "sample_weight of length 3"),
        ((X,), "`y` must be given"),
        ((X[:0], Y[:0]), "length 0"),
        ((list(X[:, 0]), Y), "list of numbers"),
        (({"a": X, "b": X[:2]}, {"a": Y, "b": Y}), r"y\['b'\] of length 20"),
        ((tf.data.Dataset.from_tensors((X, Y)).repeat(),), "infinite"),
        ((tf.data.Dataset.from_tensors((X, Y)), Y), "must be None"),
    ],
)
def test_data_that_make_no_batch_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        solve(line(LBFGS()), *data)


def test_float64_keeps_the_digits_of_data(float64):
    seconds = 1.7e9 + np.arange(20.0)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, _, _ = whole_batch(seconds, Y)
    np.testing.assert_array_equal(x, seconds)


def test_other_bad_arguments_are_refused():
    model = line(LBFGS())
    with pytest.raises(ValueError, match="`max_steps` must be an integer ≥ 1"):
        solve(model, X, Y, max_steps=0)
    with pytest.raises(ValueError, match="`resample_period`"):
        solve(model, X, Y, resample_period=0)
    with pytest.raises(TypeError, match="`resample` must be a callable"):
        solve(model, X, Y, resample=3)
    with pytest.raises(TypeError, match="generator"):
        solve(model, (batch for batch in [X]))


@pytest.fixture(scope="module", params=SOLVERS, ids=lambda s: s.__name__)
def solved(request):
    """`(model, result, draws)` of conditions whose points are drawn anew."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    model, (t, y, sample_weight) = decay(request.param()), decay_data()
    draws = []

    def resample(model):
        draws.append(model.optimizer.progress)
        new = decay_data(seed=len(draws))
        return t | {"equation": new[0]["equation"]}

    result = solve(
        model,
        t,
        y,
        sample_weight,
        max_steps=90,
        resample=resample,
        resample_period=30,
        verbose=0,
    )
    yield model, result, draws
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def test_a_coefficient_is_found_from_conditions_of_their_own_points(solved):
    model, _, _ = solved
    # What a network of four units can do.
    np.testing.assert_allclose(model.k.numpy(), 2, rtol=1e-2)


def test_points_drawn_anew_are_no_error_and_no_new_run(solved):
    model, result, draws = solved
    assert result.steps == 90
    assert len(draws) == 2
    # Steps are counted in a run, and would begin anew with it.
    counts = [draw["accepted_steps"] for draw in draws]
    assert 0 < counts[0] < counts[1]
    assert model.optimizer.progress["accepted_steps"] > counts[1]
    steps = model._keras_curvature_solver_steps
    assert steps._one.experimental_get_tracing_count() == 1


def test_the_loss_is_that_of_the_last_points(solved):
    model, result, _ = solved
    t, y, sample_weight = decay_data()
    t["equation"] = decay_data(seed=2)[0]["equation"]
    residuals = decay_residuals(model, t, y, sample_weight)
    np.testing.assert_allclose(result.loss, np.sum(residuals**2) / 2, rtol=1e-9)


def test_new_points_of_another_shape_are_refused():
    model = line(LBFGS())
    with pytest.raises(ValueError, match="`resample` must return data of the"):
        solve(
            model,
            X,
            Y,
            resample=lambda model: (X[:5], Y[:5]),
            resample_period=2,
            verbose=0,
        )


def test_a_run_ends_where_it_converges_on_two_draws_in_succession(float64):
    model = line(LevenbergMarquardt())
    rng = np.random.default_rng(0)
    draws = []

    def resample(model):
        draws.append(1)
        x = rng.uniform(-1, 1, X.shape)
        return x, 3 * x + 1

    result = solve(model, X, Y, resample=resample, verbose=0)
    assert result.converged
    assert len(draws) == 1
    np.testing.assert_allclose(weights(model), [3, 1], rtol=1e-12)


def test_fit_takes_point_sets_too(float64):
    model, data = decay(LevenbergMarquardt()), decay_data()
    model.fit(
        tf.data.Dataset.from_tensors(data).repeat(),
        steps_per_epoch=40,
        shuffle=False,
        verbose=0,
    )
    np.testing.assert_allclose(model.k.numpy(), 2, rtol=1e-2)


def test_errors_are_those_of_the_straight_line(float64):
    noisy = Y + np.where(np.arange(20) % 3 == 0, 0.1, -0.05)[:, None]
    model = line(LevenbergMarquardt())
    result = solve(model, X + 0.5, noisy, errors=True, verbose=0)
    rows = np.concatenate([X + 0.5, np.ones_like(X)], 1)
    fitted, (squares,), *_ = np.linalg.lstsq(rows, noisy)
    expected = np.linalg.inv(rows.T @ rows) * squares / 18
    np.testing.assert_allclose(result.errors.covariance, expected, rtol=1e-8)
    np.testing.assert_allclose(result.errors.estimates, fitted[:, 0], rtol=1e-8)
    assert str(result.errors) in str(result)


def test_errors_of_another_loss_are_refused_before_training():
    model = line(LBFGS(), loss="mae")
    before = weights(model)
    with pytest.raises(ValueError, match="mean squared error"):
        solve(model, X, Y, errors=True, verbose=0)
    np.testing.assert_array_equal(weights(model), before)
