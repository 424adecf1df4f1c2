"""Losses that are added from outside of the package."""

import inspect
import re
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.losses import (
    KnownLoss,
    LossTerm,
    PointwiseLoss,
    gauss_newton_form,
    register_loss,
    sampled_score,
)
from tests.losses.helpers import (
    dense_factor,
    difference_gradient,
    difference_hessian,
    form_of,
    term_of,
)


def example_of(value):
    """The names that the docstring's example leaves behind."""
    text = inspect.getdoc(value)
    (block,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names = {}
    exec(textwrap.dedent(block), names)
    return names


def assert_gives_gradient(form, term):
    np.testing.assert_allclose(
        form.pull(form.residuals),
        difference_gradient(term),
        rtol=1e-7,
        atol=1e-10,
    )


def test_own_function_of_the_docstring(float64, rng):
    deviance = example_of(KnownLoss)["exponential_deviance"]
    model = keras_curvature.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3)]
    )
    model.compile("sgd", deviance)
    x, y = rng.normal(size=(4, 2)), rng.exponential(size=(4, 3))
    outputs = model(x)
    step = keras_curvature.training.TrainingStep(
        model, x, y, outputs, None, model.compute_loss(x, y, outputs)
    )
    (term,) = step.loss_terms()
    assert_gives_gradient(form_of(term), term)
    # At targets that are the means, the Hessian is the Fisher information.
    at_means = LossTerm(term.loss, tf.exp(outputs), outputs)
    factor = dense_factor(form_of(term))
    np.testing.assert_allclose(
        factor**2, difference_hessian(at_means), rtol=1e-7, atol=1e-10
    )


def test_drawn_targets_of_the_docstring_have_the_moments(float64):
    deviance = example_of(KnownLoss)["exponential_deviance"]
    loss = keras.losses.MeanSquaredError()
    loss.fn = deviance
    output = np.array([[0.3, -0.7]])
    term = term_of(loss, np.exp(output), output)
    # The integrals over the uniform number, by the midpoint rule in t with
    # u = exp(−t), where t is the density's own variable.
    t = (np.arange(400000) + 0.5) * 1e-4
    density = np.exp(-t) * 1e-4

    def draws(shape, dtype):
        return tf.tile(tf.constant(np.exp(-t), dtype)[:, None], (1, 2))

    output = tf.tile(term.output, (len(t), 1))
    scores = sampled_score(term)(output, draws).numpy()
    np.testing.assert_allclose(density @ scores, 0, atol=1e-8)
    np.testing.assert_allclose(
        density @ scores**2,
        np.diag(difference_hessian(term)[0]),
        rtol=1e-7,
    )


@pytest.mark.parametrize("weight", [None, 0.1])
def test_own_class_of_the_docstring(weight, float64, rng):
    welsch = example_of(register_loss)["Welsch"]
    target, output = rng.normal(size=(2, 4, 3)) * 3
    term = term_of(welsch(2.0, reduction="sum"), target, output, None, weight)
    form = form_of(term)
    assert_gives_gradient(form, term)
    # ρ′(e)/e, which is not the second derivative: that is negative far out.
    ratio = difference_gradient(term) / (output - target)
    np.testing.assert_allclose(np.square(form.scale), ratio, rtol=1e-7)
    assert np.linalg.eigvalsh(difference_hessian(term)).min() < 0


def test_pointwise_loss_of_the_docstring(float64, rng):
    example_of(PointwiseLoss)
    target, output = rng.normal(size=(2, 4, 3)) * 3
    output[0, 0] = target[0, 0]
    term = term_of(keras.losses.LogCosh(), target, output)
    form = form_of(term)
    assert_gives_gradient(form, term)
    # At an error of 0 ρ′(e)/e is ρ″.
    hessian = difference_hessian(term)[0, 0, 0]
    np.testing.assert_allclose(form.scale[0, 0] ** 2, hessian, rtol=1e-7)


def test_a_subclass_is_known_if_it_computes_the_same(float64):
    class Own(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.mean((y_pred - y_true) ** 2 / 2, axis=-1)

    class Renamed(Own):
        pass

    class Changed(Own):
        def call(self, y_true, y_pred):
            return keras.ops.mean((y_pred - y_true) ** 4, axis=-1)

    @register_loss(Own)
    class Known(PointwiseLoss):
        def curvature(self, error, term):
            return tf.ones_like(error)

    form = form_of(term_of(Renamed(), np.zeros((2, 1)), np.ones((2, 1))))
    np.testing.assert_allclose(np.square(form.scale), 0.5, rtol=1e-15)
    with pytest.raises(ValueError, match="Received: changed"):
        form_of(term_of(Changed(), np.zeros((2, 1)), np.ones((2, 1))))


def test_a_later_registration_replaces_the_earlier(float64):
    def own(y_true, y_pred):
        return keras.ops.mean((y_pred - y_true) ** 2, axis=-1)

    loss = keras.losses.MeanSquaredError(reduction="sum")
    loss.fn = own
    for factor in (1.0, 2.0):

        @register_loss(own)
        class Known(PointwiseLoss):
            value = factor

            def curvature(self, error, term):
                return self.value * tf.ones_like(error)

        form = form_of(term_of(loss, np.zeros((1, 1)), np.ones((1, 1))))
        np.testing.assert_allclose(np.square(form.scale), factor, rtol=1e-15)


def test_a_curvature_of_0_under_a_gradient_is_no_form(float64):
    class Absolute(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.mean(keras.ops.abs(y_pred - y_true), axis=-1)

    @register_loss(Absolute)
    class Known(PointwiseLoss):
        def curvature(self, error, term):
            return tf.zeros_like(error)

    form = form_of(term_of(Absolute(), np.zeros((2, 1)), np.ones((2, 1))))
    assert form.is_indefinite and np.isnan(form.residuals).all()


@pytest.mark.parametrize(
    "loss",
    [keras.losses.Huber, keras.losses.Loss(), 3, "no such loss"],
)
def test_what_cannot_be_registered_is_refused(loss):
    with pytest.raises(ValueError):
        register_loss(loss)


def test_a_loss_that_cannot_be_looked_up_is_unknown():
    class Unhashable:
        __hash__ = None
        __name__ = "unhashable"

        def __call__(self, y_true, y_pred):
            return tf.reduce_mean((y_pred - y_true) ** 2, axis=-1)

    loss = keras.losses.MeanSquaredError()
    loss.fn = Unhashable()
    term = LossTerm(loss, tf.zeros((2, 1)), tf.ones((2, 1)))
    with pytest.raises(ValueError, match="Received: unhashable"):
        gauss_newton_form([term], [term.output])
