"""The form of a loss against the loss itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.losses import LossTerm, gauss_newton_form
from tests.losses.helpers import (
    dense_factor,
    difference_gradient,
    difference_hessian,
    form_of,
    squared_factor,
    tape_gradient,
    term_of,
)

L = keras.losses
LOGITS = {"from_logits": True}
EPSILON = 1e-7


def real(*shape):
    return np.random.default_rng(5).normal(size=shape)


def distributions(*shape):
    return np.random.default_rng(6).dirichlet(np.ones(shape[-1]), shape[:-1])


def bits(*shape):
    return np.random.default_rng(7).integers(0, 2, shape)


def classes(*shape):
    return np.random.default_rng(8).integers(0, 3, shape)


# Loss, its arguments, targets, outputs: the form is the Hessian.
HESSIANS = {
    "squares": (L.MeanSquaredError, {}, real(4, 3), real(4, 3) + 1),
    "squares of rank 3": (L.MeanSquaredError, {}, real(4, 2, 3), real(4, 2, 3)),
    "squares, rank 1 of targets": (
        L.MeanSquaredError,
        {},
        real(4),
        real(4, 1) + 1,
    ),
    "squares, rank 2 of targets": (
        L.MeanSquaredError,
        {},
        real(4, 2),
        real(4, 2, 1) + 1,
    ),
    "squares of rank 1": (L.MeanSquaredError, {}, real(4), real(4) + 1),
    "squares, one target": (
        L.MeanSquaredError,
        {},
        real(4, 1),
        real(4, 3) + 1,
    ),
    "squares, one output": (
        L.MeanSquaredError,
        {},
        real(4, 3),
        real(4, 1) + 1,
    ),
    "near huber": (L.Huber, {"delta": 20.0}, real(4, 3), real(4, 3) + 1),
    "bits": (L.BinaryCrossentropy, LOGITS, bits(4, 2), real(4, 2)),
    "bits, smooth": (
        L.BinaryCrossentropy,
        {**LOGITS, "label_smoothing": 0.3},
        bits(4, 2),
        real(4, 2),
    ),
    "bits, rank 2 of targets": (
        L.BinaryCrossentropy,
        LOGITS,
        bits(4, 2),
        real(4, 2, 1),
    ),
    "distributions": (
        L.CategoricalCrossentropy,
        LOGITS,
        distributions(4, 3),
        real(4, 3),
    ),
    "distributions, smooth": (
        L.CategoricalCrossentropy,
        {**LOGITS, "label_smoothing": 0.3},
        distributions(4, 2, 3),
        real(4, 2, 3),
    ),
    "classes": (
        L.SparseCategoricalCrossentropy,
        LOGITS,
        classes(4),
        real(4, 3),
    ),
    "classes of rank 3": (
        L.SparseCategoricalCrossentropy,
        LOGITS,
        classes(4, 2, 1),
        real(4, 2, 3),
    ),
}


def diagonal(values):
    return np.stack([np.diag(row) for row in values.reshape(len(values), -1)])


P, RATES = (distributions(4, 3) + 0.2) / 1.6, real(4, 3) ** 2 + 0.2
FAR = np.array([[0.05], [-3.0], [7.0], [-0.2]])
# The same, and what stands in for the Hessian, times batch·entries.
OTHERS = {
    "probabilities of bits": (
        L.BinaryCrossentropy,
        {},
        bits(4, 3),
        P,
        1 / (P * (1 - P)),
    ),
    "probabilities of classes": (
        L.CategoricalCrossentropy,
        {},
        np.eye(3)[classes(4)],
        P,
        3 / P,
    ),
    "probabilities of smooth classes": (
        L.CategoricalCrossentropy,
        {"label_smoothing": 0.2},
        np.eye(3)[classes(4)],
        P,
        3 / P,
    ),
    "probabilities of integers": (
        L.SparseCategoricalCrossentropy,
        {},
        classes(4, 1),
        P,
        3 / P,
    ),
    "rates": (L.Poisson, {}, bits(4, 3), RATES, 1 / (RATES + EPSILON)),
    "far huber": (
        L.Huber,
        {"delta": 0.1},
        np.zeros((4, 1)),
        FAR,
        0.1 / np.maximum(np.abs(FAR), 0.1),
    ),
    "far huber, rank 1 of targets": (
        L.Huber,
        {"delta": 0.1},
        np.zeros(4),
        FAR,
        0.1 / np.maximum(np.abs(FAR), 0.1),
    ),
    "far huber, one target": (
        L.Huber,
        {"delta": 0.1},
        np.zeros((4, 1)),
        np.tile(FAR, (1, 3)),
        np.tile(0.1 / np.maximum(np.abs(FAR), 0.1), (1, 3)),
    ),
}
ALL = {**HESSIANS, **OTHERS}


def make(name):
    loss, arguments, target, output = ALL[name][:4]
    weight = np.linspace(0.5, 2, len(output))
    rows = weight
    if output.ndim == 3 and output.shape[-1] > 1:
        rows = np.tile(weight[:, None], (1, output.shape[1]))
    return term_of(loss(**arguments), target, output, rows, 0.7), weight * 0.7


@pytest.mark.parametrize("name", HESSIANS)
def test_factor_is_a_root_of_the_hessian(name, float64):
    term, _ = make(name)
    expected = difference_hessian(term)
    found = squared_factor(form_of(term))
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", OTHERS)
def test_factor_is_a_root_of_what_the_docstring_says(name, float64):
    term, weights = make(name)
    output, scaled = OTHERS[name][3:]
    expected = diagonal(weights[:, None] * scaled / output.size)
    found = squared_factor(form_of(term))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("name", ALL)
def test_factor_times_residuals_is_the_gradient(name, float64):
    term, _ = make(name)
    form = form_of(term)
    expected = difference_gradient(term).reshape(form.residuals.shape)
    found = form.pull(form.residuals)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    assert not form.is_indefinite


def several():
    return [make(name)[0] for name in ("squares", "classes of rank 3", "rates")]


def test_push_and_pull_are_adjoint(float64, rng):
    form = form_of(*several())
    u, v = tf.constant(rng.normal(size=(2, *form.residuals.shape)))
    np.testing.assert_allclose(
        np.sum(form.pull(v) * u), np.sum(v * form.push(u)), rtol=1e-13
    )


def test_push_takes_each_column_of_a_jacobian(float64, rng):
    form = form_of(*several())
    jacobian = tf.constant(rng.normal(size=(*form.residuals.shape, 2)))
    pushed = form.push(jacobian)
    for column in range(2):
        np.testing.assert_allclose(
            pushed[..., column], form.push(jacobian[..., column]), rtol=1e-14
        )


def test_forms_of_several_outputs_stand_side_by_side(float64):
    terms = several()
    factor, start = dense_factor(form_of(*terms)), 0
    for term in terms:
        alone = dense_factor(form_of(term))
        end = start + alone.shape[1]
        np.testing.assert_array_equal(factor[:, start:end, start:end], alone)
        factor[:, start:end, start:end] = 0
        start = end
    assert not factor.any()


def test_gathered_samples_are_those_of_a_smaller_batch(float64):
    form = form_of(*several())
    indices = tf.constant([2, 0, 3])
    gathered = form.gather(indices, tf.constant([1.0, 1.0, 0.0], "float64"))
    expected = dense_factor(form)[indices.numpy()]
    expected[2] = 0
    np.testing.assert_array_equal(dense_factor(gathered), expected)
    residuals = form.residuals.numpy()[indices.numpy()]
    residuals[2] = 0
    np.testing.assert_array_equal(gathered.residuals, residuals)


@pytest.mark.parametrize("count", [0.0, 0.5, 4.0])
def test_counts_of_classes_weigh_like_as_many_samples(count, float64, rng):
    # TensorFlow's own gradient of logits supposes that labels add up to 1.
    logits, y = rng.normal(size=(3, 3)), count * distributions(3, 3)
    term = term_of(L.CategoricalCrossentropy(**LOGITS), y, logits)
    form = form_of(term)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    hessian = diagonal(p) - p[:, :, None] * p[:, None, :]
    np.testing.assert_allclose(
        squared_factor(form), count * hessian / 3, rtol=1e-12, atol=1e-16
    )
    np.testing.assert_allclose(
        form.pull(form.residuals),
        difference_gradient(term),
        rtol=1e-7,
        atol=1e-10,
    )


@pytest.mark.parametrize("name", ["bits", "distributions"])
def test_surely_wrong_samples_keep_their_gradient_in_float32(name):
    logits = np.array([[-95.0, 95.0]], "float32")
    if name == "bits":
        loss = L.BinaryCrossentropy(**LOGITS)
        expected = [[-0.5e-3, 0.5e-3]]
    else:
        loss = L.CategoricalCrossentropy(**LOGITS)
        expected = [[-1e-3, 1e-3]]
    target, weight = tf.constant([[1.0, 0.0]]), tf.constant([1e-3])
    form = form_of(LossTerm(loss, target, tf.constant(logits), weight))
    np.testing.assert_allclose(form.pull(form.residuals), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "name, compiled",
    [
        ("squares", True),
        ("squares", False),
        ("rates", False),
        ("classes", False),
    ],
)
def test_negative_weights_are_said_to_be_indefinite(name, compiled, float64):
    term, _ = make(name)

    def is_indefinite(*weights):
        changed = LossTerm(term.loss, term.target, term.output, *weights)
        return form_of(changed).is_indefinite

    if compiled:
        is_indefinite = tf.function(is_indefinite)
    ones = tf.ones(4, "float64")
    assert not is_indefinite(ones)
    assert not is_indefinite(tf.constant([1.0, 0, 0, 2]))
    assert is_indefinite(tf.constant([1.0, 1, -0.1, 2]))
    assert is_indefinite(ones, -1.0)


def test_no_number_hides_an_indefinite_loss(float64):
    loss, target, output = L.MeanSquaredError(), np.zeros((2, 1)), [[1.0], [2]]
    form = form_of(term_of(loss, target, output, [1.0, -1.0]))
    np.testing.assert_array_equal(np.isnan(form.residuals), [[0], [1]])
    np.testing.assert_array_equal(np.isnan(form.scale), [[0], [1]])


def test_delta_keeps_its_digits_in_float64(float64):
    loss = L.Huber(delta=0.1, reduction="sum")
    form = form_of(term_of(loss, np.zeros((1, 1)), np.ones((1, 1))))
    assert abs(float(form.scale[0, 0]) ** 2 - 0.1) <= 1e-15


@pytest.mark.parametrize("name", ["squares", "distributions", "rates"])
def test_a_batch_may_be_empty(name, float64):
    term, _ = make(name)
    empty = LossTerm(term.loss, term.target[:0], term.output[:0])
    form = gauss_newton_form([empty], [tape_gradient(empty)])
    assert form.residuals.shape == (0, 3)
    assert form.pull(form.push(form.residuals)).shape == (0, 3)
    assert not form.is_indefinite


@pytest.mark.parametrize("name", HESSIANS)
def test_the_size_of_the_batch_may_be_unknown(name, float64):
    term, _ = make(name)
    shape = [None, *term.output.shape[1:]]

    @tf.function(input_signature=[tf.TensorSpec(shape, "float64")])
    def of_output(output):
        changed = LossTerm(term.loss, term.target, output)
        form = form_of(changed)
        return form.residuals, form.pull(form.residuals)

    expected = form_of(LossTerm(term.loss, term.target, term.output))
    residuals, _ = of_output(term.output)
    np.testing.assert_allclose(
        residuals, expected.residuals, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("shape", [(4, 0), (4, None, 1), None])
def test_outputs_of_unknown_or_no_size_are_refused(shape):
    spec = tf.TensorSpec(shape, "float32")

    def of_output(output):
        term = LossTerm(L.MeanSquaredError(), tf.zeros(()), output)
        return gauss_newton_form([term], [output]).residuals

    with pytest.raises(ValueError, match="axes of known size > 0"):
        tf.function(of_output).get_concrete_function(spec)


def test_a_loss_that_no_output_reaches_has_residuals_of_0(float64):
    term, _ = make("squares")
    form = gauss_newton_form([term], [None])
    np.testing.assert_array_equal(form.residuals, np.zeros((4, 3)))


REFUSED = {
    "ignored class": (
        L.SparseCategoricalCrossentropy,
        {"ignore_class": 1},
        "`ignore_class` must be None.*ignore_class=1",
    ),
    "other axis": (
        L.CategoricalCrossentropy,
        {"axis": 1},
        r"`axis` of the loss categorical_crossentropy must be -1.*axis=1",
    ),
    "absolute error": (
        L.MeanAbsoluteError,
        {},
        "huber, mean_squared_error.*mean_absolute_error",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_is_refused_by_name(name):
    loss, arguments, message = REFUSED[name]
    term = LossTerm(
        loss(**arguments), tf.zeros((4, 2, 3)), tf.ones((4, 2, 3)) / 3
    )
    if name == "ignored class":
        term = LossTerm(term.loss, tf.zeros((4, 2)), term.output)
    with pytest.raises(ValueError, match=message):
        gauss_newton_form([term], [term.output])


def test_labels_for_something_else_than_rows_are_refused():
    # Keras drops the last axis here and takes the second for the classes.
    loss = L.CategoricalCrossentropy(**LOGITS)
    term = LossTerm(loss, tf.zeros((3, 2)), tf.ones((3, 2, 1)))
    with pytest.raises(ValueError, match="a label for each row"):
        gauss_newton_form([term], [term.output])
