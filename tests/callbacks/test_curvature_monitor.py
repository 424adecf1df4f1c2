"""CurvatureMonitor: what it measures, and that it changes nothing."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from keras_curvature.callbacks import CurvatureMonitor
from keras_curvature.optimizers import LBFGS, AdaHessian

layers = keras.layers
SAMPLES = 24


@pytest.fixture
def line(float64):
    """A line, whose Hessian 2·XᵀX/N is known, with X and that matrix."""
    x = np.random.default_rng(0).normal(size=(SAMPLES, 2))
    one = np.column_stack([x, np.ones(SAMPLES)])
    return x, x[:, :1] - 2, 2 * one.T @ one / SAMPLES


def linear(optimizer, **options):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile(optimizer, "mse", **options)
    return model


def fit(model, x, y, monitor, **options):
    options = {"epochs": 3, "batch_size": 4, "verbose": 0} | options
    return model.fit(x, y, callbacks=[monitor], **options).history


def test_numbers_are_those_of_the_matrix(line):
    x, y, matrix = line
    rates = keras.optimizers.schedules.ExponentialDecay(0.1, 6, 0.5)
    monitor = CurvatureMonitor(x, y, tolerance=1e-8)
    history = fit(linear(keras.optimizers.SGD(rates)), x, y, monitor)
    largest = np.linalg.eigvalsh(matrix)[-1]
    np.testing.assert_allclose(history["sharpness"], [largest] * 3)
    np.testing.assert_allclose(history["hessian_trace"], [matrix.trace()] * 3)
    assert history["hessian_trace_error"] == [0.0] * 3
    np.testing.assert_allclose(
        history["two_over_learning_rate"], [40, 80, 160], rtol=1e-6
    )
    # The first measurement is of the weights before the first step.
    assert monitor.history["step"] == [0, 6, 12, 18]
    assert monitor.history["sharpness"][1:] == history["sharpness"]


@pytest.mark.parametrize(("share", "converges"), [(0.9, True), (1.1, False)])
def test_gradient_descent_diverges_beyond_the_limit(share, converges, line):
    x, y, matrix = line
    rate = share * 2 / np.linalg.eigvalsh(matrix)[-1]
    model = linear(keras.optimizers.SGD(rate))
    monitor = CurvatureMonitor(x, y, every_epochs=15, probes=0)
    history = fit(model, x, y, monitor, epochs=15, batch_size=SAMPLES)
    is_below = history["sharpness"][0] < history["two_over_learning_rate"][0]
    assert is_below == converges
    assert (history["loss"][-1] < history["loss"][0]) == converges
    assert "hessian_trace" not in history


def noisy(rate=0.5):
    """With statistics and, unless the rate is 0, random numbers."""
    return keras.Sequential(
        [
            keras.Input((2,)),
            layers.Dense(4, "tanh"),
            layers.BatchNormalization(),
            layers.Dropout(rate),
            layers.Dense(1),
        ]
    )


def everything(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [v.numpy() for v in variables]


def states_of_generators():
    return (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        tf.random.get_global_generator().state.numpy().tolist(),
        float(tf.random.uniform(())),
        np.asarray(keras.random.uniform(())).item(),
    )


def trained(monitors, make_optimizer, **options):
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(3)
    tf.random.set_global_generator(tf.random.Generator.from_seed(1))
    # XLA takes ten seconds for the random numbers alone.
    model = noisy(0.0 if "jit_compile" in options else 0.5)
    model.compile(make_optimizer(), "mse", **options)
    # Keras traces a step twice that creates the state of its optimizer.
    model.optimizer.build(model.trainable_variables)
    x = np.random.default_rng(0).normal(size=(SAMPLES, 2)).astype("float32")
    model.fit(
        x,
        x[:, :1],
        epochs=2,
        batch_size=4,
        callbacks=[make(x, x[:, :1]) for make in monitors],
        verbose=0,
    )
    return everything(model), states_of_generators()


EVERYTHING = {"activations": True, "density_steps": 3, "probes": 4}


@pytest.mark.parametrize(
    ("make_optimizer", "options", "measured"),
    [
        (
            lambda: keras.optimizers.Adam(use_ema=True),
            {"jit_compile": True, "steps_per_execution": 2},
            {"probes": 0},
        ),
        (AdaHessian, {}, EVERYTHING),
    ],
    ids=["jit", "adahessian"],
)
def test_the_training_is_the_same_bit_by_bit(make_optimizer, options, measured):
    def monitor(x, y):
        return CurvatureMonitor(x, y, every_steps=2, batch_size=16, **measured)

    plain, generators = trained([], make_optimizer, **options)
    watched, after = trained([monitor], make_optimizer, **options)
    assert len(plain) == len(watched)
    for expected, found in zip(plain, watched, strict=True):
        np.testing.assert_array_equal(expected, found)
    assert generators == after


def test_steps_between_measurements(line):
    x, y, _ = line
    model = linear("sgd", steps_per_execution=3)
    monitor = CurvatureMonitor(x, y, every_steps=4, probes=0)
    history = fit(model, x, y, monitor)
    # Six steps an epoch, looked at after each three of them.
    assert monitor.history["step"] == [0, 6, 12, 18]
    assert len(history["sharpness"]) == 3
    fit(model, x, y, monitor, epochs=1)
    assert monitor.history["step"] == [0, 6, 12, 18, 24]


def test_reports_name_the_layers_in_history():
    x = np.ones((SAMPLES, 2), "float32")
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(3, "relu", name="hidden")]
    )
    model.compile("sgd", "mse")
    model.layers[0].bias.assign([-1e3, 0, 1e3])
    monitor = CurvatureMonitor(x, x[:, :1], probes=0, activations=True)
    history = fit(model, x, x[:, :1], monitor, epochs=1)
    report = monitor.reports[-1]
    assert history["hidden/dead"] == [report["hidden"].dead]
    assert history["hidden/gradient_passed"] == [report["hidden"].passed]
    assert monitor.reports[0]["hidden"].dead >= 1 / 3


def events(folder):
    for path in folder.glob("*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            for value in event.summary.value:
                yield event.step, value


def test_tensorboard_gets_scalars_and_the_density_as_an_image(line, tmp_path):
    x, y, _ = line
    monitor = CurvatureMonitor(
        x, y, probes=0, density_steps=3, log_dir=tmp_path
    )
    history = fit(linear("sgd"), x, y, monitor, epochs=1)
    found = {(step, v.tag): v.tensor for step, v in events(tmp_path)}
    sharpness = found[6, "curvature/sharpness"]
    np.testing.assert_allclose(
        tf.make_ndarray(sharpness), history["sharpness"][0], rtol=1e-6
    )
    picture = found[6, "curvature/spectral_density"].string_val
    pixels = tf.io.decode_png(picture[2]).numpy()
    assert pixels.shape == (400, 600, 4)
    # More than a blank page.
    assert 0.01 < np.mean(pixels[..., :3].min(-1) < 200) < 0.5
    assert monitor.densities[-1].size == 3


def test_a_training_that_diverges_goes_on_with_numbers_that_are_none(line):
    x, y, _ = line
    model = linear(keras.optimizers.SGD(1e200))
    monitor = CurvatureMonitor(x, y, probes=0)
    with pytest.warns(UserWarning, match="could not measure"):
        history = fit(model, x, y, monitor, epochs=2)
    assert np.isnan(history["sharpness"]).all()
    assert len(history["loss"]) == 2


def test_a_solver_has_no_learning_rate_to_compare_with(line):
    x, y, _ = line
    monitor = CurvatureMonitor(x, y, probes=0)
    monitor.set_model(linear(LBFGS()))
    monitor.on_train_begin()
    assert list(monitor.history) == ["step", "sharpness"]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"every_epochs": 0}, ValueError, "`every_epochs` must be"),
        ({"every_steps": 0.5}, ValueError, "`every_steps` must be"),
        ({"every_steps": 1, "every_epochs": 1}, ValueError, "must be None"),
        ({"probes": 1}, ValueError, "`probes` must be"),
        ({"tolerance": 0}, ValueError, "`tolerance` must be"),
        ({"density": True}, TypeError, "Received: density"),
    ],
)
def test_bad_options_are_refused_by_name(options, error, match):
    with pytest.raises(error, match=match):
        CurvatureMonitor(np.ones((2, 2)), **options)


def test_what_the_operator_refuses_is_refused_before_the_first_step(line):
    x, y, _ = line
    model = noisy()
    model.compile("sgd", "mse")
    monitor = CurvatureMonitor(x, y, training=True)
    with pytest.raises(ValueError, match="training=False"):
        fit(model, x, y, monitor)
    assert int(model.optimizer.iterations) == 0
