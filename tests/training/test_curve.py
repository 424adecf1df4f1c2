"""`Curve`: formulas with named parameters, beside SciPy's fits of the same."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize

import keras_curvature
from keras_curvature.losses import SoftL1
from keras_curvature.optimizers import LevenbergMarquardt
from keras_curvature.uncertainty import parameter_covariance

START = {"a": 1.0, "tau": 1.0}
TIGHT = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}


@keras.saving.register_keras_serializable(package="tests")
def decay(t, a, tau):
    return a * keras.ops.exp(-t / tau)


def decay_of_scipy(t, a, tau):
    return a * np.exp(-t / tau)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    t = np.linspace(0, 3, 40)
    sigma = 0.02 + 0.05 * rng.random(40)
    return t, decay_of_scipy(t, 2, 1.5) + sigma * rng.normal(size=40), sigma


def fitted(model, x, y, *weights, loss="mse", **options):
    model.compile(LevenbergMarquardt(), loss)
    result = keras_curvature.solve(model, x, y, *weights, verbose=0, **options)
    return np.array(list(model.parameters.values())), result


@pytest.mark.parametrize(
    "floatx, shape", [("float32", (40, 1)), ("float64", (40,))], ids=str
)
def test_values_and_errors_are_those_of_curve_fit(data, floatx, shape):
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    t, y, _ = data
    best, covariance = optimize.curve_fit(
        decay_of_scipy, t, y, (1, 1), jac=jacobian, **TIGHT
    )
    t, y = t.reshape(shape), y.reshape(shape)
    model = keras_curvature.Curve(decay, START)
    found, result = fitted(model, t, y, errors=True)
    tolerance = 2e-6 if floatx == "float32" else 1e-7
    np.testing.assert_allclose(found, best, tolerance)
    # Those of float32 are of weights that are rounded.
    np.testing.assert_allclose(
        result.errors.covariance, covariance, 1e3 * tolerance
    )
    assert result.errors.names == ["a", "tau"]
    assert str(result.errors).splitlines()[2].startswith("tau ")
    assert model.predict(t, verbose=0).shape == (40, 1)
    assert result.errors.prediction_band(t)[0].shape == (40, 1)


def jacobian(t, a, tau):
    fall = np.exp(-t / tau)
    return np.stack([fall, a * t / tau**2 * fall], 1)


def test_weights_and_absolute_errors_are_those_of_curve_fit(data, float64):
    t, y, sigma = data
    model = keras_curvature.Curve(decay, START)
    found, _ = fitted(model, t, y, sigma**-2)
    for absolute in (False, True):
        best, covariance = optimize.curve_fit(
            decay_of_scipy,
            t,
            y,
            (1, 1),
            sigma=sigma,
            absolute_sigma=absolute,
            jac=jacobian,
            **TIGHT,
        )
        errors = parameter_covariance(
            model, t, y, sigma**-2, absolute_errors=absolute
        )
        np.testing.assert_allclose(found, best, 1e-7)
        np.testing.assert_allclose(errors.covariance, covariance, 1e-5)


def test_bounds_and_robust_losses_are_those_of_least_squares(data, float64):
    t, y, _ = data
    for bounds, loss, name in (
        ({"tau": (0, 1.25)}, "mse", "linear"),
        ({"a": (None, 1.9), "tau": (0, 9)}, SoftL1(scale=0.03), "soft_l1"),
    ):
        low, high = [-np.inf, 0], [bounds.get("a", (0, np.inf))[1], 0]
        high[1] = bounds["tau"][1]
        expected = optimize.least_squares(
            lambda p: decay_of_scipy(t, *p) - y,
            (1, 1),
            lambda p: jacobian(t, *p),
            bounds=(low, high),
            method="trf",
            loss=name,
            f_scale=0.03,
            **TIGHT,
        )
        model = keras_curvature.Curve(decay, START, bounds)
        found, _ = fitted(model, t, y, loss=loss)
        # SciPy stays inside of the bounds.
        np.testing.assert_allclose(found, expected.x, 1e-5)
        assert np.any(found == [high[0], high[1]])


def test_fit_trains_it_as_solve_does(data, float64):
    t, y, _ = data
    model = keras_curvature.Curve(decay, START)
    model.compile(LevenbergMarquardt(), "mse")
    model.fit(t, y, batch_size=40, shuffle=False, epochs=30, verbose=0)
    best, _ = optimize.curve_fit(decay_of_scipy, t, y, (1, 1), **TIGHT)
    np.testing.assert_allclose(list(model.parameters.values()), best, 1e-6)


def test_several_columns_and_several_curves(float64, rng):
    x = rng.normal(size=(20, 2))
    design = np.stack([x[:, 0], np.sin(x[:, 1])], 1)
    y = design @ [[2.0, -2.0], [3.0, -3.0]] + rng.normal(size=(20, 2))

    def curves(x, name, dtype, sign=-1.0):
        z = name * x[:, 0] + dtype * keras.ops.sin(x[:, 1])
        return keras.ops.stack([z, sign * z], axis=1)

    # What else means something to Keras is a name as any other.
    model = keras_curvature.Curve(curves, {"name": 1, "dtype": 1}, name="two")
    found, _ = fitted(model, x, y)
    expected = np.linalg.lstsq(design, (y[:, 0] - y[:, 1]) / 2, rcond=None)[0]
    np.testing.assert_allclose(found, expected, 1e-10)
    assert model.name == "two"
    assert model.predict(x, verbose=0).shape == (20, 2)
    assert model.compute_output_shape((None, 2)) == (None, 2)
    assert model.count_params() == 2


def test_numbers_of_numpy_may_stand_before_parameters(float64):
    t = np.linspace(-2, 2, 9)
    model = keras_curvature.Curve(
        lambda t, w: keras.ops.exp(-((t / (np.sqrt(2) * w)) ** 2)), {"w": 0.8}
    )
    with tf.GradientTape() as tape:
        y = model(t)[:, 0]
    slopes = tape.jacobian(y, model.trainable_variables[0].value)
    expected = np.exp(-((t / 0.8) ** 2) / 2)
    np.testing.assert_allclose(y, expected, 1e-14)
    np.testing.assert_allclose(slopes, expected * t**2 / 0.8**3, 1e-13)


def test_integers_are_inputs_too(float64):
    model = keras_curvature.Curve(decay, {"a": 2.0, "tau": 4.0})
    np.testing.assert_allclose(
        model(np.arange(3))[:, 0], decay_of_scipy(np.arange(3), 2, 4)
    )


def test_first_values_have_all_digits_of_float64(float64):
    start = {"a": 0.1, "tau": 1e200}
    model = keras_curvature.Curve(decay, start)
    assert model.parameters == start


def test_first_values_that_the_dtype_cannot_hold_are_refused():
    with pytest.raises(ValueError, match=r"`start\['tau'\]`.*float32.*1e\+200"):
        keras_curvature.Curve(decay, {"a": 0.1, "tau": 1e200})


def test_it_is_saved_with_a_registered_function(tmp_path, data):
    model = keras_curvature.Curve(
        decay,
        {"tau": 1, "a": np.float32(1)},
        {"tau": (np.int64(0), np.inf)},
        name="mine",
    )
    fitted(model, *data[:2], max_steps=5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.parameters == model.parameters
    assert list(loaded.parameters) == ["tau", "a"]
    np.testing.assert_array_equal(loaded(data[0]), model(data[0]))
    again = keras_curvature.Curve.from_config(loaded.get_config())
    assert again.parameters == {"tau": 1.0, "a": 1.0}
    assert again.weights[0].constraint.lower == 0
    assert again.weights[1].constraint is None
    assert again.name == "mine"


@pytest.mark.parametrize(
    "function",
    [lambda x, a: a * x, functools.partial(decay, tau=2.0)],
    ids=["lambda", "partial"],
)
def test_functions_without_a_name_are_not_saved(function, tmp_path):
    model = keras_curvature.Curve(function, {"a": 1.0})
    model(np.ones(3))
    with pytest.raises(ValueError, match="must be a named function"):
        model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")


@pytest.mark.parametrize(
    "function, received",
    [
        (decay_of_scipy, "NumPy"),
        (lambda x, a, tau: a, r"shape \(\)"),
        (lambda x, a, tau: keras.ops.stack([x, x]), r"shape \(2, 5\)"),
        (lambda x, a, tau: keras.ops.cast(a * x, "int32"), "int32"),
        (lambda x, a, tau: np.ones(5), "ndarray"),
        (lambda x, a, tau: [a * x], "list"),
    ],
    ids=["numpy", "constant", "transposed", "integers", "array", "list"],
)
@pytest.mark.parametrize("eager", [False, True], ids=["graph", "eager"])
def test_other_values_of_the_function_are_refused(function, received, eager):
    model = keras_curvature.Curve(function, START)
    model.compile(LevenbergMarquardt(), "mse", run_eagerly=eager)
    with pytest.raises(ValueError, match=f"must return .*{received}"):
        keras_curvature.solve(model, np.ones(5), np.ones(5), verbose=0)


@pytest.mark.parametrize(
    "x, received",
    [
        (np.ones((3, 1, 1)), r"shape \(3, 1, 1\)"),
        ({"t": np.ones(3)}, "a dict of arrays"),
        ([np.ones(3), np.ones(3)], "a list of arrays"),
    ],
    ids=["axes", "dict", "list"],
)
def test_other_inputs_are_refused(x, received):
    model = keras_curvature.Curve(decay, START)
    for _ in ("before it is built", "after that"):
        with pytest.raises(ValueError, match=f"one array of .*{received}"):
            model(x)
        model(np.ones(3))


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        (("decay", START), TypeError, "`function` must be a callable"),
        ((decay, [1.0, 1.0]), TypeError, "`start` must be a dict"),
        ((decay, {}), TypeError, "`start` must be a dict"),
        ((decay, {"a": 1}), ValueError, "argument: 'tau'"),
        ((decay, {**START, "b": 1}), ValueError, "argument 'b'"),
        ((decay, {**START, "t": 1}), ValueError, "argument 't'"),
        ((decay, {**START, "a": np.nan}), ValueError, "finite number"),
        ((decay, {**START, "a": [1.0]}), ValueError, "finite number"),
        ((decay, START, [0, 1]), TypeError, "`bounds` must be a dict"),
        ((decay, START, {"b": (0, 1)}), ValueError, "Received: 'b'"),
        ((decay, START, {"a": 0}), ValueError, "must be a pair"),
        ((decay, START, {"a": ([0, 0], 2)}), ValueError, "bounds.'a'"),
        ((decay, START, {"a": (1, 0)}), ValueError, "bounds.'a'.*below"),
        ((decay, START, {"a": (2, None)}), ValueError, "within its bounds"),
        ((decay, START, {"a": (None, 0)}), ValueError, "within its bounds"),
    ],
    ids=[
        "function",
        "list",
        "nothing",
        "missing",
        "unknown",
        "first",
        "nan",
        "array",
        "bounds",
        "bounds-name",
        "bounds-pair",
        "bounds-array",
        "bounds-order",
        "below",
        "above",
    ],
)
def test_wrong_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        keras_curvature.Curve(*arguments)
