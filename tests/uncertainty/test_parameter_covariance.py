"""Errors of fitted weights, against NIST, SciPy and closed forms."""

import keras
import numpy as np
import pytest
from scipy import linalg, optimize, stats

import keras_curvature
from keras_curvature.constraints import Box
from keras_curvature.uncertainty import parameter_covariance


class Curve(keras_curvature.Model):
    """A model whose weights are the parameters of a formula."""

    def __init__(self, formula, start):
        super().__init__()
        self.formula = formula
        self.b = self.add_weight(shape=(len(start),), name="b")
        self.b.assign(start)

    def call(self, x):
        return self.formula(self.b, x)


def decay(b, x):
    return b[0] * keras.ops.exp(-b[1] * x)


@pytest.fixture
def line(float64, rng):
    """A fitted straight line, its data, and the design matrix."""
    x = rng.uniform(-1, 2, (23, 1))
    y = 3 * x - 1 + 0.3 * rng.normal(size=x.shape)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    design = np.hstack([x, np.ones_like(x)])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    model.set_weights([solution[:1], solution[1]])
    return model, x, y, design


def test_linear_regression_is_exact(line):
    model, x, y, design = line
    errors = parameter_covariance(model, x, y, batch_size=5)
    residuals = y[:, 0] - model(x).numpy()[:, 0]
    variance = residuals @ residuals / 21
    inverse = np.linalg.inv(design.T @ design)
    np.testing.assert_allclose(errors.covariance, variance * inverse, 1e-10)
    np.testing.assert_allclose(errors.residual_standard_error**2, variance)
    assert errors.degrees_of_freedom == 21
    scale = np.sqrt(np.diag(inverse))
    np.testing.assert_allclose(
        errors.correlations, inverse / np.outer(scale, scale), 1e-10
    )
    reach = stats.t(21).ppf(0.95) * np.sqrt(variance)
    low, high = errors.confidence_intervals(0.9).T
    np.testing.assert_allclose((high - low) / 2, reach * scale, 1e-10)

    new = np.linspace(-3, 3, 7)[:, None]
    rows = np.hstack([new, np.ones_like(new)])
    share = np.einsum("ij,jk,ik->i", rows, inverse, rows)
    for band, variances in (
        (errors.confidence_band(new, 0.9), share),
        (errors.prediction_band(new, 0.9), share + 1),
        (errors.prediction_band(new, 0.9, np.full(7, 4.0)), share + 0.25),
    ):
        middle, half = (band[0] + band[1]) / 2, (band[1] - band[0]) / 2
        np.testing.assert_allclose(middle, model(new), 1e-10)
        np.testing.assert_allclose(half[:, 0], reach * variances**0.5, 1e-10)


def test_table_shows_estimates_as_far_as_they_are_known(line):
    model, x, y, _ = line
    text = str(parameter_covariance(model, x, y))
    slope = model.get_weights()[0][0, 0]
    assert f"dense/kernel[0,0] {slope:.5g}" in " ".join(text.split())
    assert "21 degrees of freedom" in text


@pytest.mark.parametrize("absolute", [False, True])
def test_weighted_fit_is_that_of_curve_fit(absolute, float64, rng):
    x = np.linspace(0, 4, 30)
    sigma = 0.02 + 0.05 * rng.random(30)
    y = 2 * np.exp(-0.7 * x) + sigma * rng.normal(size=30)
    best, covariance = optimize.curve_fit(
        lambda x, a, b: a * np.exp(-b * x),
        x,
        y,
        (1, 1),
        sigma=sigma,
        absolute_sigma=absolute,
        xtol=1e-14,
        ftol=1e-14,
    )
    model = Curve(decay, best)
    model.compile(loss="mse")
    errors = parameter_covariance(
        model, x[:, None], y[:, None], sigma**-2, absolute_errors=absolute
    )
    # SciPy's Jacobian is that of finite differences.
    np.testing.assert_allclose(errors.covariance, covariance, rtol=1e-5)
    distribution = stats.norm() if absolute else stats.t(28)
    low, high = errors.confidence_intervals().T
    reach = distribution.ppf(0.975) * np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(high - low, 2 * reach, rtol=1e-5)


def test_samples_without_weight_do_not_count(line):
    model, x, y, _ = line
    apart = np.concatenate([y, y + 100])
    weights = np.repeat([1.0, 0.0], 23)
    errors = parameter_covariance(model, np.tile(x, (2, 1)), apart, weights)
    alone = parameter_covariance(model, x, y)
    np.testing.assert_allclose(errors.covariance, alone.covariance, 1e-10)
    assert errors.degrees_of_freedom == 21


def test_each_of_several_outputs_counts(float64, rng):
    x, y = rng.normal(size=(9, 2)), rng.normal(size=(9, 3))
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, use_bias=False)]
    )
    model.compile(loss="mse")
    solution = np.linalg.lstsq(x, y, rcond=None)[0]
    model.set_weights([solution])
    errors = parameter_covariance(model, x, y)
    assert errors.degrees_of_freedom == 27 - 6
    variance = np.sum((y - x @ solution) ** 2) / 21
    inverse = np.linalg.inv(x.T @ x)
    expected = variance * np.kron(inverse, np.eye(3))
    np.testing.assert_allclose(errors.covariance, expected, atol=1e-12)
    low, high = errors.prediction_band(x, 0.5)
    share = np.einsum("ij,jk,ik->i", x, inverse, x)[:, None]
    half = stats.t(21).ppf(0.75) * np.sqrt(variance * (1 + share))
    np.testing.assert_allclose(high - low, 2 * np.tile(half, 3), 1e-10)


def test_what_the_data_do_not_determine_is_named(float64, rng):
    x = rng.normal(size=(12, 1))
    y = 2 * x + 0.1 * rng.normal(size=(12, 1))
    model = Curve(lambda b, x: (b[0] + b[1]) * x + b[2], np.zeros(3))
    model.compile(loss="mse")
    design = np.hstack([x, x, np.ones_like(x)])
    model.b.assign(np.linalg.lstsq(design, y, rcond=None)[0][:, 0])
    with pytest.warns(UserWarning, match="0.71·b.0. - 0.71·b.1."):
        errors = parameter_covariance(model, x, y)
    residuals = y - design @ model.b.numpy()[:, None]
    variance = np.sum(residuals**2) / (12 - 2)
    expected = variance * linalg.pinvh(design.T @ design)
    np.testing.assert_allclose(errors.covariance, expected, atol=1e-10)
    assert len(errors.undetermined) == 1
    assert errors.undetermined[0] in str(errors)
    # Only the sum of the first two is known.
    last = np.sqrt(expected[2, 2])
    np.testing.assert_allclose(errors.standard_errors, [np.inf, np.inf, last])
    assert np.isnan(errors.correlations[:2]).all()
    assert str(errors).count("  not determined  ") == 2
    assert np.isinf(errors.confidence_intervals()[:2]).all()


def test_a_weight_without_effect_has_no_small_error(float64, rng):
    x = rng.normal(size=(12, 1))
    model = Curve(lambda b, x: b[0] * x + 0 * b[1], np.ones(2))
    model.compile(loss="mse")
    y = x + 0.1 * rng.normal(size=(12, 1))
    slope = np.sum(x * y) / np.sum(x * x)
    model.b.assign([slope, 1.0])
    with pytest.warns(UserWarning, match="1.00·b.1."):
        errors = parameter_covariance(model, x, y)
    variance = np.sum((y - slope * x) ** 2) / 11
    expected = [np.sqrt(variance / np.sum(x * x)), np.inf]
    np.testing.assert_allclose(errors.standard_errors, expected)


def test_many_undetermined_directions_make_one_warning(float64, rng):
    model = keras.Sequential([keras.Input((9,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.set_weights([np.zeros((9, 1)), np.zeros(1)])
    with pytest.warns(UserWarning, match="directions, see") as warnings:
        errors = parameter_covariance(
            model, np.ones((20, 9)), rng.normal(size=(20, 1))
        )
    assert len(errors.undetermined) == 9
    told = [w for w in warnings if "do not determine" in str(w.message)]
    assert len(told) == 1
    assert "and 6 more" in str(told[0].message)


def test_units_of_a_weight_do_not_make_it_undetermined(float64, rng):
    x = rng.normal(size=(12, 1))
    y = 2 * x + 0.1 * rng.normal(size=(12, 1))
    model = Curve(lambda b, x: 1e-12 * b[0] * x + 1e12 * b[1], np.zeros(2))
    model.compile(loss="mse")
    design = np.hstack([x, np.ones_like(x)])
    slope, height = np.linalg.lstsq(design, y, rcond=None)[0][:, 0]
    model.b.assign([slope * 1e12, height * 1e-12])
    errors = parameter_covariance(model, x, y)
    variance = np.sum((y - model(x).numpy()) ** 2) / 10
    plain = variance * np.linalg.inv(design.T @ design)
    units = np.array([1e12, 1e-12])
    np.testing.assert_allclose(
        errors.covariance / np.outer(units, units), plain, rtol=1e-8
    )


def test_a_weight_at_a_bound_counts_as_known(line):
    model, x, y, _ = line
    layer = model.layers[0]
    layer.bias.constraint = Box(lower=-0.5)
    slope = np.sum(x * (y + 0.5)) / np.sum(x * x)
    model.set_weights([np.array([[slope]]), np.array([-0.5])])
    errors = parameter_covariance(model, x, y)
    variance = np.sum((y - slope * x + 0.5) ** 2) / 22
    expected = np.diag([variance / np.sum(x * x), 0])
    np.testing.assert_allclose(errors.covariance, expected, atol=1e-12)
    assert "at a bound" in str(errors)
    layer.bias.constraint = keras.constraints.UnitNorm()
    with pytest.raises(ValueError, match="Box"):
        parameter_covariance(model, x, y)


def test_weights_off_the_minimum_are_noticed(line):
    model, x, y, _ = line
    model.layers[0].bias.assign_add([0.2])
    with pytest.warns(UserWarning, match="not at a minimum"):
        parameter_covariance(model, x, y)


def test_chosen_layers_are_fitted_and_the_others_known(line):
    model, x, y, _ = line
    errors = parameter_covariance(model, x, y, layers="*/bias")
    variance = np.sum((y - model(x).numpy()) ** 2) / 22
    np.testing.assert_allclose(errors.covariance, [[variance / 23]], 1e-10)


def refused(case, line):
    model, x, y, _ = line
    if case == "loss":
        model.compile(loss="mae")
    elif case == "regularizer":
        model.layers[0].kernel.regularizer = keras.regularizers.L2(0.1)
    elif case == "few":
        x, y = x[:2], y[:2]
    elif case == "repeated":
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
        model.compile(loss="mse")
    elif case == "flat":
        model, x, y = Curve(decay, [1.0, 1.0]), x[:, 0], y[:, 0]
        model.compile(loss="mse")
    elif case == "negative":
        return parameter_covariance(model, x, y, -np.ones(23))
    return parameter_covariance(model, x, y)


@pytest.mark.parametrize(
    "case, message",
    [
        ("loss", "loss='mse'"),
        ("regularizer", "without regularizers"),
        ("few", "more targets than fitted weights"),
        ("repeated", "a target for each output"),
        ("flat", r"an axis of their own, \(batch, 1\)"),
        ("negative", "sum of squares"),
    ],
)
def test_fits_without_a_covariance_are_refused(case, message, line):
    with pytest.raises(ValueError, match=message):
        refused(case, line)


def test_errors_of_absolute_errors_for_several_losses(float64):
    inputs = keras.Input((1,))
    outputs = [keras.layers.Dense(1)(inputs) for _ in range(2)]
    model = keras.Model(inputs, outputs)
    model.compile(loss=["mse", "mse"], loss_weights=[1.0, 3.0])
    x = np.linspace(0, 1, 5)[:, None]
    with pytest.raises(ValueError, match="one loss"):
        parameter_covariance(model, x, [x, x], absolute_errors=True)


def test_bands_need_the_weights_of_the_fit(line):
    model, x, y, _ = line
    errors = parameter_covariance(model, x, y)
    with pytest.raises(ValueError, match="> 0 and < 1"):
        errors.confidence_intervals(1.0)
    with pytest.raises(ValueError, match="a sample or more"):
        errors.confidence_band(x[:0])
    for weight in (0.0, -1.0, np.nan, [1.0, 2.0]):
        with pytest.raises(ValueError, match="sample_weight"):
            errors.prediction_band(x, sample_weight=weight)
    model.layers[0].bias.assign_add([0.1])
    with pytest.raises(ValueError, match="fitted with"):
        errors.confidence_band(x)


def test_bands_need_frozen_weights_of_the_fit_too(float64, rng):
    x, y = rng.normal(size=(9, 2)), rng.normal(size=(9, 1))
    frozen = keras.layers.Dense(2, trainable=False)
    model = keras.Sequential([keras.Input((2,)), frozen, keras.layers.Dense(1)])
    model.compile(loss="mse")
    with pytest.warns(UserWarning, match="not at a minimum"):
        errors = parameter_covariance(model, x, y)
    frozen.kernel.assign_add(np.ones((2, 2)))
    with pytest.raises(ValueError, match="fitted with"):
        errors.confidence_band(x)
