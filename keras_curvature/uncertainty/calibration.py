"""Whether probabilities and intervals hold as often as they say."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from keras_curvature._checks import checked_integer, checked_number
from keras_curvature.uncertainty._quantiles import normal_quantile
from keras_curvature.uncertainty.prediction import Prediction


@dataclasses.dataclass(frozen=True)
class Reliability:
    """How often predictions are right, beside how sure they are.

    Predictions are sorted into bins of equal width by their confidence, the
    largest probability. All arrays have shape `(bins,)`, with NaN for the
    mean confidence and the accuracy of empty bins.

    Attributes:
        edges: Array of shape `(bins + 1,)`.
        counts: Predictions in each bin.
        confidence: Their mean confidence.
        accuracy: The share of them that is right.

    Example:

    ```python
    import numpy as np
    from keras_curvature.uncertainty import reliability

    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    found = reliability(probabilities, [0, 1, 1], bins=5)
    found.expected_calibration_error  # (2·0.35 + 1·0.3) / 3
    ```
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def gaps(self) -> np.ndarray:
        """|accuracy − confidence| of each bin, 0 for empty ones."""
        gaps = np.abs(self.accuracy - self.confidence)
        return np.where(self.counts > 0, gaps, 0.0)

    @property
    def expected_calibration_error(self) -> float:
        """The mean gap over all predictions (Naeini et al. 2015)."""
        return float(np.sum(self.counts * self.gaps) / np.sum(self.counts))

    @property
    def maximum_calibration_error(self) -> float:
        """The largest gap."""
        return float(np.max(self.gaps))


def reliability(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    bins: int = 15,
) -> Reliability:
    """The `Reliability` of predicted probabilities.

    Args:
        probabilities: Array of shape `(samples, classes)`, such as
            `Prediction.probabilities`; `(samples,)` or `(samples, 1)` for the
            second of two classes.
        labels: Array of shape `(samples,)`, the numbers of the true classes.
        bins: Int, of equal width from 0 to 1. Defaults to 15.

    Returns:
        `Reliability`.

    Raises:
        ValueError: for shapes that do not fit, labels that are no classes, and
            probabilities that are no numbers from 0 to 1.

    Example:

    ```python
    import numpy as np
    from keras_curvature.uncertainty import reliability

    sure = np.random.default_rng(0).uniform(size=500)
    # As often the second class as was said.
    labels = np.random.default_rng(1).uniform(size=500) < sure
    found = reliability(sure, labels, bins=10)
    found.counts, found.accuracy
    ```

    References:
        Guo, Pleiss, Sun, Weinberger, 2017, "On calibration of modern neural
        networks", ICML.
    """
    bins = checked_integer("bins", bins, 1)
    probabilities, labels = _checked(probabilities, labels)
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(places, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            np.linspace(0, 1, bins + 1),
            counts,
            np.bincount(places, confidence, bins) / counts,
            np.bincount(places, right, bins) / counts,
        )


def negative_log_likelihood(prediction: Prediction, y: ArrayLike) -> float:
    """The mean of −log p(target), the smaller the better.

    Args:
        prediction: `Prediction`: probabilities of classes, or means and
            variances of normal distributions, whose outputs add up.
        y: Targets: numbers of classes, or an array in the shape of the means.

    Returns:
        Float, in nats for each sample.

    Example:

    ```python
    import numpy as np
    from keras_curvature.uncertainty import Prediction
    from keras_curvature.uncertainty import negative_log_likelihood

    prediction = Prediction(np.zeros((1, 1)), np.zeros((1, 1, 1)), 1.0, None)
    negative_log_likelihood(prediction, [[0.0]])  # ½·log 2π = 0.92
    ```
    """
    if prediction.probabilities is not None:
        probabilities, labels = _checked(prediction.probabilities, y)
        with np.errstate(divide="ignore"):
            chosen = np.log(probabilities[np.arange(len(labels)), labels])
        return float(-np.mean(chosen))
    y = _targets(prediction, y)
    variance = prediction.variance
    squares = (y - prediction.mean) ** 2 / variance
    terms = 0.5 * (squares + np.log(2 * np.pi * variance))
    return float(np.mean(np.sum(terms, 1)))


def coverage(
    prediction: Prediction, y: ArrayLike, level: float = 0.95
) -> float:
    """The share of targets within their intervals, `level` at best.

    Args:
        prediction: `Prediction` of a regression.
        y: Targets, an array in the shape of the means.
        level: Float between 0 and 1, what the intervals, of normal
            distributions, should hold. Defaults to 0.95.

    Returns:
        Float between 0 and 1.

    Raises:
        ImportError: if SciPy is missing.

    Example:

    ```python
    import numpy as np
    from keras_curvature.uncertainty import Prediction, coverage

    prediction = Prediction(np.zeros((2, 1)), np.zeros((2, 1, 1)), 1.0, None)
    coverage(prediction, [[0.5], [3.0]])  # 0.5
    ```
    """
    level = checked_number("level", level, above=0, below=1)
    error = np.abs(_targets(prediction, y) - prediction.mean)
    reach = normal_quantile(0.5 + level / 2) * np.sqrt(prediction.variance)
    return float(np.mean(error <= reach))


def _targets(prediction, y):
    y = np.asarray(y, float)
    if y.shape != prediction.mean.shape:
        raise ValueError(
            "`y` must have the shape of the means. Received: targets of shape "
            f"{y.shape} and means of shape {prediction.mean.shape}."
        )
    if not y.size or not np.isfinite(y).all():
        raise ValueError(
            "`y` must hold finite numbers, one or more. Received: "
            f"{y.size} numbers, {np.sum(~np.isfinite(y))} of them not finite."
        )
    return y


def _checked(probabilities, labels):
    """Probabilities of all classes and labels, as arrays."""
    probabilities = np.asarray(probabilities, float)
    if probabilities.ndim == 1 or probabilities.shape[1:] == (1,):
        second = probabilities.reshape(-1)
        probabilities = np.stack([1 - second, second], 1)
    labels = np.asarray(labels)
    if labels.shape[1:] == (1,):
        labels = labels[:, 0]
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            "`probabilities` must have shape (samples, classes) and `labels` "
            f"(samples,). Received: {probabilities.shape} and {labels.shape}."
        )
    if not len(labels):
        raise ValueError("`labels` must hold one or more. Received: none.")
    if not np.all((probabilities >= 0) & (probabilities <= 1)):
        raise ValueError(
            "`probabilities` must be numbers from 0 to 1. Received: from "
            f"{probabilities.min()} to {probabilities.max()}."
        )
    sums = probabilities.sum(1)
    # As far as rounding of many classes in half precision goes.
    if not np.all(np.abs(sums - 1) < 1e-2):
        raise ValueError(
            "`probabilities` must add up to 1 over the classes of a sample. "
            f"Received: sums from {sums.min():.3g} to {sums.max():.3g}. For "
            "outputs that are yes or no each, give one output at a time."
        )
    classes = probabilities.shape[1]
    if labels.dtype == bool:
        labels = labels.astype(int)
    if not np.isin(labels, np.arange(classes)).all():
        raise ValueError(
            f"`labels` must be numbers of classes, 0 to {classes - 1}. "
            f"Received: {labels.dtype} such as {labels[:3]}."
        )
    return probabilities, labels.astype(int)
