"""The scales D of LevenbergMarquardt in networks of several layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt
from keras_curvature.optimizers._least_squares.scaling import scaling_of
from tests.optimizers.least_squares.helpers import fit, flat_weights

X = np.linspace(-1, 1.3, 40)[:, None]
Y = np.sin(6 * X)


class WithCoefficient(keras_curvature.Model):
    """A network of dense layers, and a number of the model's own."""

    def __init__(self, depth=3):
        super().__init__()
        self.inner = [
            keras.layers.Dense(4, activation="tanh") for _ in range(depth - 1)
        ]
        self.last = keras.layers.Dense(1)
        self.coefficient = self.add_weight(shape=(), name="coefficient")
        self.coefficient.assign(0.3)

    def call(self, x):
        outputs = x
        for layer in self.inner:
            outputs = layer(outputs)
        return self.last(outputs) + 1e-2 * self.coefficient * x


def built(depth=3, seed=0, **options):
    keras.utils.set_random_seed(seed)
    model = WithCoefficient(depth)
    model(X)
    model.compile(
        LevenbergMarquardt(geodesic_acceleration=False, **options), "mse"
    )
    return model


def rows_and_residuals(model, x, y):
    """A and r of the mean squared error, by TensorFlow's own Jacobian."""
    variables = [v.value for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        residuals = np.sqrt(2 / len(x)) * (model(x) - y)[:, 0]
    jacobians = tape.jacobian(residuals, variables)
    return (
        np.concatenate([np.reshape(j, (len(x), -1)) for j in jacobians], 1),
        residuals.numpy(),
    )


def of_each_weight(model, value):
    """Array of what `value` gives for the variable of each weight."""
    return np.concatenate(
        [np.full(np.size(v), value(v)) for v in model.trainable_variables]
    )


def shares_of(model):
    """The sizes of the layers' variables over their mean, 1 for others."""
    is_inside = of_each_weight(model, lambda v: v.name != "coefficient")
    assert (~is_inside).sum() == 1
    sizes = of_each_weight(model, np.size)
    return np.where(is_inside, sizes / sizes[is_inside].mean(), 1.0)


def assert_damped_step(model, x, y, scales):
    """That the next step is that of D; returns ‖D·d‖/‖D·w‖ of it."""
    rows, residuals = rows_and_residuals(model, x, y)
    weights = flat_weights(model)
    fit(model, x, y, 1)
    assert model.optimizer.progress["gain_ratio"] > 0
    damping = model.optimizer.progress["damping"]
    assert damping > 1e-6
    step = flat_weights(model) - weights
    damped = rows.T @ rows + damping * np.diag(scales**2)
    np.testing.assert_allclose(
        step, -np.linalg.solve(damped, rows.T @ residuals), rtol=1e-6
    )
    return np.linalg.norm(scales * step) / np.linalg.norm(scales * weights)


@pytest.mark.parametrize("count", [40, 20])
def test_scales_blend_while_steps_are_long(count, float64):
    # A short first step, so that the share of the mean changes.
    model = built(initial_trust_radius=0.1, scaling="blended")
    x, y = X[:count], Y[:count]
    is_inside = of_each_weight(model, lambda v: v.name != "coefficient")
    # With fewer rows than its 34 weights each variable has an equal part.
    shares = shares_of(model) if count < len(is_inside) else 1.0
    norms, longest, parts = 0.0, None, []
    for _ in range(3):
        rows, _ = rows_and_residuals(model, x, y)
        norms = np.maximum(0.99 * norms, np.linalg.norm(rows, axis=0))
        parts.append(1.0 if longest is None else min(1.0, 3 * longest))
        mean = np.mean(norms[is_inside] ** 2)
        squares = norms**2 + parts[-1] ** 2 * mean * is_inside
        length = assert_damped_step(model, x, y, np.sqrt(shares * squares))
        longest = max(length, 0.9 * (longest or 0.0))
    assert parts[0] == 1 and parts[1] < 0.5


def test_shared_scales_give_each_variable_an_equal_part(float64):
    model = built(initial_trust_radius=0.1, scaling="shared")
    rows, _ = rows_and_residuals(model, X, Y)
    norms = np.linalg.norm(rows, axis=0)
    scales = np.sqrt(shares_of(model)) * norms
    parts = np.square(norms / scales)
    names = of_each_weight(model, lambda v: v.path)
    of_variables = [
        parts[names == v.path].sum()
        for v in model.trainable_variables
        if v.name != "coefficient"
    ]
    assert len(of_variables) == 6
    np.testing.assert_allclose(of_variables, of_variables[0])
    assert_damped_step(model, X, Y, scales)


@pytest.mark.parametrize(
    "norms", [[1e-30, 3e-30], [1e30, 3e30], [1e-30, 1e30]], ids=str
)
def test_columns_may_be_very_short_and_very_long(norms):
    scales = scaling_of(
        tf.constant(norms), "blended", relative_length=tf.constant(0.0)
    )
    squares = np.square(norms)
    np.testing.assert_allclose(
        scales, np.sqrt(squares + squares.mean()), rtol=1e-6
    )


@pytest.mark.parametrize("depth, rule", [(2, "marquardt"), (3, "blended")])
def test_auto_blends_from_three_kernels_on(depth, rule, float64):
    weights = {}
    for scaling in ("auto", "marquardt", "blended"):
        model = built(depth, scaling=scaling)
        fit(model, X, Y, 4)
        weights[scaling] = flat_weights(model)
    np.testing.assert_array_equal(weights["auto"], weights[rule])
    assert np.any(weights["marquardt"] != weights["blended"])


def test_a_matrix_of_a_fit_is_no_kernel(float64):
    class Peaks(keras_curvature.Model):
        """Three peaks: heights, places and widths."""

        def __init__(self):
            super().__init__()
            self.peaks = self.add_weight(shape=(3, 3), name="peaks")
            self.peaks.assign([[0.9, 1, 1], [-0.6, 0, 0.6], [0.2, 0.2, 0.2]])

        def call(self, x):
            height, place, width = tf.unstack(self.peaks.value)
            bells = tf.exp(-(((x - place) / width) ** 2))
            return tf.reduce_sum(height * bells, axis=1, keepdims=True)

    weights = {}
    for scaling in ("auto", "marquardt"):
        model = Peaks()
        model.compile(LevenbergMarquardt(scaling=scaling), "mse")
        fit(model, X, Y, 4)
        weights[scaling] = flat_weights(model)
    np.testing.assert_array_equal(weights["auto"], weights["marquardt"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_deep_network_leaves_the_plateau_of_its_start(seed, float64):
    # With each weight on a scale of its own from the start the losses are
    # 0.3, 0.7 and 0.09 here, of 0.5 for a constant.
    keras.utils.set_random_seed(seed)
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(LevenbergMarquardt(), "mse")
    x = np.linspace(-1, 1, 500)[:, None]
    y = np.sin(12 * x) * np.exp(x)
    result = keras_curvature.solve(model, x, y, max_steps=50, verbose=0)
    assert result.loss < 0.02
