"""The two moments of scores of drawn labels."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.losses import LossTerm, sampled_score
from tests.losses.helpers import difference_hessian, term_of

L = keras.losses
LOGITS = {"from_logits": True}
REAL = np.array([[0.3, -1.2, 0.8]])
SHARES = np.array([[0.2, 0.5, 0.3]])
SMOOTH = {"label_smoothing": 0.3}


def signs(output):
    return [((0.25, 0.75), (0.5, 0.5))] * output.size


def coins(output):
    """Numbers for a 1 and a 0 of each entry, with their probabilities."""
    return [((p / 2, (1 + p) / 2), (p, 1 - p)) for p in np.ravel(output)]


def wheel(output):
    """A number for each class of the row, with its probability."""
    p = np.ravel(output) / output.sum()
    return [(np.cumsum(p) - p / 2, p)]


def sigmoid(f):
    return 1 / (1 + np.exp(-f))


def softmax(f):
    return np.exp(f) / np.exp(f).sum()


# Loss, arguments, output, the numbers to draw, targets of the Hessian.
CASES = {
    "squares": (L.MeanSquaredError, {}, REAL, signs(REAL), REAL),
    "bits": (L.BinaryCrossentropy, LOGITS, REAL, coins(sigmoid(REAL)), SHARES),
    "bits, smooth": (
        L.BinaryCrossentropy,
        {**LOGITS, **SMOOTH},
        REAL,
        coins(sigmoid(REAL)),
        SHARES,
    ),
    "probabilities of bits": (
        L.BinaryCrossentropy,
        {},
        SHARES,
        coins(SHARES),
        SHARES,
    ),
    "distributions": (
        L.CategoricalCrossentropy,
        LOGITS,
        REAL,
        wheel(softmax(REAL)),
        SHARES,
    ),
    "distributions, smooth": (
        L.CategoricalCrossentropy,
        {**LOGITS, **SMOOTH},
        REAL,
        wheel(softmax(REAL)),
        SHARES,
    ),
    "classes": (
        L.SparseCategoricalCrossentropy,
        LOGITS,
        REAL,
        wheel(softmax(REAL)),
        [1],
    ),
    # At labels that are the probabilities the Hessian is its expectation.
    "probabilities of distributions": (
        L.CategoricalCrossentropy,
        {},
        SHARES,
        wheel(SHARES),
        SHARES,
    ),
    "probabilities that add up to 2": (
        L.CategoricalCrossentropy,
        {},
        2 * SHARES,
        wheel(SHARES),
        SHARES,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_scores_have_mean_0_and_the_hessian_as_covariance(name, float64):
    loss, arguments, output, numbers, target = CASES[name]
    term = term_of(loss(**arguments), np.array(target), output)
    score = sampled_score(term)
    mean, covariance = np.zeros(3), np.zeros((3, 3))
    for drawn in itertools.product(
        *(zip(*entry, strict=True) for entry in numbers)
    ):
        values, probabilities = zip(*drawn, strict=True)

        def draws(shape, dtype, values=values):
            return tf.reshape(tf.constant(values, dtype), shape)

        row = score(term.output, draws).numpy()[0]
        mean += np.prod(probabilities) * row
        covariance += np.prod(probabilities) * np.outer(row, row)
    expected = difference_hessian(term)[0]
    np.testing.assert_allclose(mean, 0, atol=1e-14)
    np.testing.assert_allclose(covariance, expected, rtol=1e-7, atol=1e-9)


def test_a_number_next_to_1_draws_the_last_class():
    # In float32 the probabilities add up to less than the number drawn.
    output = tf.fill((1, 7), tf.constant(1 / 7))
    loss = L.CategoricalCrossentropy()
    score = sampled_score(LossTerm(loss, output, output))
    below_1 = np.nextafter(np.float32(1), np.float32(0))
    row = score(output, lambda shape, dtype: tf.fill(shape, below_1))[0]
    assert np.argmin(row) == 6 and np.isfinite(row).all()


@pytest.mark.parametrize("loss", [L.Huber(), L.Poisson()])
def test_a_loss_without_known_likelihood_is_refused_by_name(loss):
    term = LossTerm(loss, tf.zeros((2, 1)), tf.ones((2, 1)))
    message = f"binary_crossentropy.*Received: {loss.fn.__name__}"
    with pytest.raises(ValueError, match=message):
        sampled_score(term)


def test_another_axis_of_the_classes_is_refused():
    loss = L.CategoricalCrossentropy(axis=1)
    term = LossTerm(loss, tf.ones((2, 3, 2)) / 3, tf.ones((2, 3, 2)) / 3)
    with pytest.raises(ValueError, match="axis=1"):
        sampled_score(term)(term.output, tf.random.uniform)
