"""What Keras makes of a loss, from one of its terms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.losses import LossTerm
from tests.losses.helpers import difference_gradient, term_of

REDUCTIONS = [
    "sum",
    "sum_over_batch_size",
    "mean",
    "mean_with_sample_weight",
    None,
]
SHAPES = {"rank 2": (4, 3), "rank 3": (4, 2, 3)}


def weights_and_mask(shape, is_weighted, is_masked, rng):
    weight = rng.uniform(0.5, 2, shape[:-1]) if is_weighted else None
    mask = np.ones(shape[:-1], bool)
    mask.flat[1] = False
    return weight, tf.constant(mask) if is_masked else None


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_coefficients_are_what_each_loss_counts(
    reduction, shape, is_weighted, is_masked, float64, rng
):
    shape = SHAPES[shape]
    weight, mask = weights_and_mask(shape, is_weighted, is_masked, rng)
    target, output = rng.normal(size=(2, *shape))
    loss = keras.losses.MeanSquaredError(reduction=reduction)
    term = term_of(loss, target, output, weight, 0.3)
    if mask is not None:
        term.output._keras_mask = mask
    coefficients = term.coefficients()
    assert coefficients.shape == shape[:-1]
    gradient = coefficients[..., None] * 2 * (output - target) / shape[-1]
    expected = difference_gradient(term)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(
        term.entry_weights(), coefficients[..., None] / shape[-1], rtol=1e-15
    )


def test_class_weights_of_fit_are_in_the_coefficients(float64):
    seen = []

    class Watched(keras_curvature.Sequential):
        def train_step(self, data):
            with keras_curvature.autodiff.CurvatureTape() as tape:
                logs = super().train_step(data)
                (term,) = tape.training_step.loss_terms()
                seen.append(term.coefficients().numpy())
            return logs

    model = Watched([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    y = np.array([0, 1, 1, 0])
    model.fit(
        np.ones((4, 2)),
        y,
        class_weight={0: 0.5, 1: 3.0},
        shuffle=False,
        verbose=0,
    )
    np.testing.assert_allclose(seen, [np.where(y, 3.0, 0.5) / 4], rtol=1e-15)


@pytest.mark.parametrize("weight", [None, 0.1])
def test_value_is_that_of_keras_times_the_loss_weight(weight, float64, rng):
    target, output = rng.normal(size=(2, 5, 3))
    sample_weight = rng.uniform(size=5)
    term = term_of(
        keras.losses.MeanSquaredError(), target, output, sample_weight, weight
    )
    losses = ((output - target) ** 2).mean(1) * sample_weight
    expected = losses.mean() * (1 if weight is None else weight)
    np.testing.assert_allclose(term.value(), expected, rtol=1e-14)


def test_value_without_reduction_is_the_sum_that_keras_differentiates(
    float64, rng
):
    target, output = rng.normal(size=(2, 5, 3))
    loss = keras.losses.MeanSquaredError(reduction=None)
    value = term_of(loss, target, output).value()
    expected = ((output - target) ** 2).mean(1).sum()
    np.testing.assert_allclose(value, expected, rtol=1e-14)


def test_loss_weights_keep_their_digits_in_float64(float64):
    loss = keras.losses.MeanSquaredError(reduction="sum")
    term = term_of(loss, np.zeros((1, 1)), np.ones((1, 1)), None, 0.1)
    assert abs(float(term.coefficients()[0]) - 0.1) <= 1e-15 * 0.1
    assert abs(float(term.value()) - 0.1) <= 1e-15 * 0.1


class OwnCall(keras.losses.MeanSquaredError):
    def call(self, y_true, y_pred):
        return keras.ops.mean((y_pred - y_true) ** 4, axis=-1)


class OwnReduction(keras.losses.MeanSquaredError):
    def __call__(self, y_true, y_pred, sample_weight=None):
        return 2 * super().__call__(y_true, y_pred, sample_weight)


FUNCTIONS = {
    "mse": "mean_squared_error",
    "MeanSquaredError": "mean_squared_error",
    "huber": "huber",
    "poisson": "poisson",
    "BinaryCrossentropy": "binary_crossentropy",
    "sparse_categorical_crossentropy": "sparse_categorical_crossentropy",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_of_a_loss_by_name_function_class_or_instance(name):
    function = getattr(keras.losses, FUNCTIONS[name])
    loss = keras.losses.get(name)
    given = [name, loss] + [type(loss)] * isinstance(loss, keras.losses.Loss)
    for loss in given:
        model = keras_curvature.Sequential(
            [keras.Input((2,)), keras.layers.Dense(1, "sigmoid")]
        )
        model.compile("sgd", loss)
        x, y = np.ones((4, 2)), np.zeros((4, 1))
        outputs = model(x)
        value = model.compute_loss(x, y, outputs)
        step = keras_curvature.training.TrainingStep(
            model, x, y, outputs, None, value
        )
        (term,) = step.loss_terms()
        assert term.function is function
        assert term.name == FUNCTIONS[name]


@pytest.mark.parametrize("loss", [OwnCall, OwnReduction])
def test_a_loss_with_methods_of_its_own_calls_no_known_function(loss):
    term = LossTerm(loss(), tf.zeros((2, 1)), tf.ones((2, 1)))
    assert term.function is None and term.arguments == {}
    assert term.name == "mean_squared_error"


def test_arguments_and_logits_are_those_of_the_loss():
    loss = keras.losses.BinaryCrossentropy(
        from_logits=True, label_smoothing=0.2
    )
    term = LossTerm(loss, tf.zeros((2, 1)), tf.ones((2, 1)))
    assert term.arguments["label_smoothing"] == 0.2
    assert term.from_logits
    assert not LossTerm(keras.losses.Huber(), None, None).from_logits


def test_error_has_the_ranks_that_keras_compares(float64, rng):
    function = keras.losses.mean_squared_error
    for target, output in [
        ((4,), (4, 1)),
        ((4, 1), (4,)),
        ((4, 2), (4, 2, 1)),
        ((4, 2, 1), (4, 2)),
        ((4, 1), (4, 3)),
    ]:
        target, output = rng.normal(size=target), rng.normal(size=output)
        loss = keras.losses.MeanSquaredError()
        error = term_of(loss, target, output).error()
        np.testing.assert_allclose(
            np.mean(np.square(error)), loss(target, output), rtol=1e-14
        )
        assert function is loss.fn


def test_a_loss_of_another_shape_has_no_entry_weights(float64, rng):
    class Mixed(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.mean((y_pred - y_true) ** 2, axis=0)

    term = term_of(Mixed(), np.zeros((4, 3)), np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"one value for each row.*\(3,\)"):
        term.entry_weights()
