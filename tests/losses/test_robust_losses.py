"""Soft L1, Cauchy and arctan losses: formulas, form, and SciPy's minima."""

import keras
import mpmath
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

import keras_curvature
from keras_curvature.losses import Arctan, Cauchy, LossTerm, SoftL1
from tests.losses.helpers import (
    difference_gradient,
    form_of,
    tape_gradient,
    term_of,
)

LOSSES = {"soft_l1": SoftL1, "cauchy": Cauchy, "arctan": Arctan}
# φ(z) of the squares z = u², half of what SciPy's manual calls rho.
PHI = {
    "soft_l1": lambda z: mpmath.sqrt(1 + z) - 1,
    "cauchy": lambda z: mpmath.log1p(z) / 2,
    "arctan": lambda z: mpmath.atan(z) / 2,
}
SCALE = 0.7


def exact(name, error, order, scale=SCALE):
    """ρ, ρ′ or ρ″ in 700 digits, which hold 1e150 and its square beside 1."""
    with mpmath.workdps(700):
        c, e = mpmath.mpf(scale), mpmath.mpf(error)

        def rho(e):
            return c**2 * PHI[name]((e / c) ** 2)

        h = mpmath.mpf(10) ** -100 * max(1, abs(e))
        if order == 0:
            return float(rho(e))
        if order == 1:
            return float((rho(e + h) - rho(e - h)) / (2 * h))
        return float((rho(e + h) - 2 * rho(e) + rho(e - h)) / h**2)


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_derivatives_are_exact_for_small_and_large_errors(
    name, float64
):
    errors = np.array([1e-150, 1e-8, 0.1, 0.7, 0.71, -2.0, 30.0, 1e8, 1e150])
    outputs = tf.constant(errors[:, None])
    loss = LOSSES[name](SCALE, reduction=None)
    with tf.GradientTape() as outer:
        outer.watch(outputs)
        with tf.GradientTape() as inner:
            inner.watch(outputs)
            value = loss(tf.zeros_like(outputs), outputs)
        first = inner.gradient(value, outputs)
    second = outer.gradient(first, outputs)
    for order, found in enumerate((value, first[:, 0], second[:, 0])):
        expected = [exact(name, e, order) for e in errors]
        # Of ρ″ a zero lies near 0.7 and near 0.53.
        np.testing.assert_allclose(
            found, expected, rtol=3e-15, atol=1e-15 * (order == 2)
        )


@pytest.mark.parametrize("scale", [1e-150, 1e150])
@pytest.mark.parametrize("name", LOSSES)
def test_a_scale_may_be_very_small_or_large(name, scale, float64):
    loss = LOSSES[name](scale)
    for error in (1.0, scale):
        found = loss([[0.0]], [[error]])
        expected = exact(name, error, 0, scale)
        np.testing.assert_allclose(found, expected, rtol=3e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_form_weighs_like_reweighted_least_squares(name, float64, rng):
    target, output = rng.normal(size=4), rng.normal(size=(4, 1)) * 3
    loss = LOSSES[name](SCALE, reduction="sum")
    term = term_of(loss, target, output, rng.uniform(0.5, 2, 4), 0.7)
    form = form_of(term)
    gradient = difference_gradient(term)
    np.testing.assert_allclose(
        form.pull(form.residuals), gradient, rtol=1e-7, atol=1e-10
    )
    ratio = gradient / (output - target[:, None])
    np.testing.assert_allclose(np.square(form.scale), ratio, rtol=1e-7)
    assert not form.is_indefinite


@pytest.mark.parametrize("name", LOSSES)
def test_a_far_outlier_keeps_its_gradient_in_float32(name):
    output = tf.constant([[1e15], [0.0]])
    term = LossTerm(LOSSES[name](), tf.zeros((2, 1)), output)
    form = form_of(term)
    assert not form.is_indefinite
    np.testing.assert_allclose(
        form.pull(form.residuals), tape_gradient(term), rtol=1e-6
    )


@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size", None])
def test_reductions_weights_and_ranks_are_those_of_keras(reduction, float64):
    target = np.array([0.3, -1.0])
    output = np.array([[0.4], [-0.8]])
    weight = np.array([0.5, 3.0])
    # Far below the scale, both losses are half of the squares.
    ours = SoftL1(1e9, reduction=reduction)
    huber = keras.losses.Huber(1e9, reduction=reduction)
    np.testing.assert_allclose(
        ours(target, output, weight), huber(target, output, weight), 1e-14
    )
    assert ours(target, output).dtype == "float64"


@pytest.mark.parametrize("name", LOSSES)
def test_a_saved_loss_is_the_same(name):
    loss = LOSSES[name](0.25, reduction="sum", name="mine")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is LOSSES[name]
    assert again.get_config() == loss.get_config()
    assert again.scale == 0.25 and again.name == "mine"


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, "1", True])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="`scale` must be a finite number > 0"):
        SoftL1(scale)


def decay(b, x):
    return b[0] * np.exp(-b[1] * x) + b[2]


class Decays(keras_curvature.Model):
    """b₀·exp(−b₁x) + b₂ for each loss, with parameters of its own."""

    def __init__(self, start):
        super().__init__()
        self.b = {
            name: self.add_weight(shape=(3,), name=name) for name in LOSSES
        }
        for b in self.b.values():
            b.assign(start)

    def call(self, x):
        return {
            name: b[0] * tf.exp(-b[1] * x) + b[2] for name, b in self.b.items()
        }


def test_levenberg_marquardt_finds_the_minima_of_scipy(float64, rng):
    x = np.linspace(0, 10, 40)
    truth = [3, 0.7, 0.5]
    y = decay(truth, x) + 0.05 * rng.normal(size=40)
    y[rng.choice(40, 10, replace=False)] += 1 + 2 * rng.normal(size=10)
    model = Decays([2.0, 0.5, 0.0])
    model.compile(
        keras_curvature.optimizers.LevenbergMarquardt(gradient_tolerance=1e-12),
        {name: loss(0.1, reduction="sum") for name, loss in LOSSES.items()},
        jit_compile=False,
    )
    targets = dict.fromkeys(LOSSES, y)
    model.fit(
        tf.data.Dataset.from_tensors((x[:, None], targets)).repeat(),
        steps_per_epoch=100,
        shuffle=False,
        verbose=0,
    )
    cost = 0
    for name, b in model.b.items():
        # From where we start, SciPy loses the minimum of arctan.
        scipys = scipy.optimize.least_squares(
            lambda b: decay(b, x) - y,
            truth,
            loss=name,
            f_scale=0.1,
            jac="3-point",
            **dict.fromkeys(("xtol", "ftol", "gtol"), 1e-15),
        )
        np.testing.assert_allclose(b.numpy(), scipys.x, rtol=1e-6)
        cost += scipys.cost
    loss = model.optimizer.progress["accepted_loss"]
    np.testing.assert_allclose(loss, cost, rtol=1e-10)
