"""Calibration against scikit-learn, SciPy and counts by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from keras_curvature.uncertainty import (
    Prediction,
    coverage,
    negative_log_likelihood,
    reliability,
)


def classes(probabilities):
    nothing = np.zeros((*probabilities.shape, probabilities.shape[1]))
    return Prediction(np.log(probabilities), nothing, None, probabilities)


def test_bins_hold_what_scikit_learn_finds(rng):
    second = rng.uniform(0.5, 1, 400)
    labels = (rng.uniform(size=400) < second**2).astype(int)
    found = reliability(second, labels, bins=8)
    # Where the second class is the likelier one, its share is the accuracy.
    accuracy, confidence = calibration_curve(labels, second, n_bins=8)
    filled = found.counts > 0
    np.testing.assert_allclose(found.accuracy[filled], accuracy)
    np.testing.assert_allclose(found.confidence[filled], confidence)
    error = np.average(np.abs(accuracy - confidence), weights=found.counts[4:])
    np.testing.assert_allclose(found.expected_calibration_error, error)


def test_errors_are_those_counted_by_hand():
    probabilities = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]
    found = reliability(probabilities, [0, 1, 1], bins=5)
    np.testing.assert_array_equal(found.counts, [0, 0, 0, 1, 2])
    np.testing.assert_allclose(found.gaps, [0, 0, 0, 0.3, 0.35])
    np.testing.assert_allclose(found.expected_calibration_error, 1 / 3)
    np.testing.assert_allclose(found.maximum_calibration_error, 0.35)


def test_certain_predictions_lie_in_the_last_bin():
    found = reliability([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    assert found.counts[-1] == 2
    assert found.expected_calibration_error == 0


def test_log_likelihood_of_classes(rng):
    probabilities = rng.dirichlet(np.ones(3), 50)
    labels = np.repeat([0, 1, 2, 1, 0], 10)
    np.testing.assert_allclose(
        negative_log_likelihood(classes(probabilities), labels),
        log_loss(labels, probabilities),
    )


def test_log_likelihood_and_coverage_of_normal_errors(rng):
    mean = rng.normal(size=(200, 2))
    covariance = 0.3 * np.tile(np.eye(2), (200, 1, 1))
    prediction = Prediction(mean, covariance, 0.7, None)
    y = mean + rng.normal(size=mean.shape)
    np.testing.assert_allclose(
        negative_log_likelihood(prediction, y),
        -stats.norm(mean, 1).logpdf(y).sum(1).mean(),
    )
    inside = np.abs(y - mean) <= stats.norm.ppf(0.9)
    assert coverage(prediction, y, 0.8) == inside.mean()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: reliability([[0.5, 0.5]], [0, 1]), "shape"),
        (lambda: reliability([[0.5, 1.5]], [0]), "from 0 to 1"),
        (lambda: reliability([[0.5, np.nan]], [0]), "from 0 to 1"),
        (lambda: reliability([[0.5, 0.5]], [2]), "classes"),
        (lambda: reliability([[0.5, 0.5]], [np.nan]), "classes"),
        (lambda: reliability([[0.5, 0.5]], ["a"]), "classes"),
        (lambda: reliability([[0.5, 0.2]], [0]), "add up to 1"),
        (lambda: reliability(np.ones((0, 2)), []), "one or more"),
        (
            lambda: negative_log_likelihood(
                classes(np.array([[0.9, 0.8]])), [0]
            ),
            "one output at a time",
        ),
        (
            lambda: coverage(
                Prediction(np.zeros((1, 1)), np.zeros((1, 1, 1)), 1.0, None),
                [[np.nan]],
            ),
            "finite",
        ),
        (lambda: reliability([[0.5, 0.5]], [0], bins=0), "bins"),
        (
            lambda: coverage(classes(np.ones((1, 2)) / 2), np.zeros((1, 2))),
            "probabilities",
        ),
        (
            lambda: negative_log_likelihood(
                Prediction(np.zeros((3, 1)), np.zeros((3, 1, 1)), 1.0, None),
                np.zeros(3),
            ),
            "shape of the means",
        ),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
