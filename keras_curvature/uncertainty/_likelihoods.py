"""What the loss of a model says of the distribution of its targets."""

import keras
import numpy as np
import tensorflow as tf


class Normal:
    """Targets with normal errors of one variance, from `mean_squared_error`."""

    classes = False
    compares_entries = True

    def __init__(self, width):
        # Keras averages squares over the outputs; a likelihood has halves.
        self.factor = width / 2

    def latent(self, outputs):
        """The outputs, whose errors are normal."""
        return outputs

    def scale(self, noise):
        """By what the curvature for a noise of 1 is multiplied."""
        return 1 / noise**2

    def log_likelihood(self, loss, count, noise):
        """log p(targets) of a summed loss of `count` targets."""
        squares = 2 * self.factor * loss
        normalization = np.log(2 * np.pi * noise**2)
        return -0.5 * (squares / noise**2 + count * normalization)


class _Classes:
    """Targets that are classes; there is no noise but theirs."""

    classes = True
    compares_entries = False
    factor = 1.0

    def scale(self, noise):
        return 1.0

    def log_likelihood(self, loss, count, noise):
        return -self.factor * loss


class Categorical(_Classes):
    """One of several classes, from the crossentropies of these.

    Args:
        from_logits: Bool, whether the model returns logits.
    """

    def __init__(self, from_logits):
        self._from_logits = from_logits

    def latent(self, outputs):
        """Logits: those of the model, or such that add up to zero."""
        if self._from_logits:
            return outputs
        known = _known_logits(outputs)
        if known is not None:
            return known
        logits = tf.math.log(tf.maximum(outputs, _least(outputs)))
        return logits - tf.reduce_mean(logits, -1, keepdims=True)


class Bernoulli(_Classes):
    """Yes or no for each output, from `binary_crossentropy`."""

    compares_entries = True

    def __init__(self, from_logits, width):
        self._from_logits = from_logits
        # Keras averages over the outputs.
        self.factor = float(width)

    def latent(self, outputs):
        """Logits."""
        if self._from_logits:
            return outputs
        known = _known_logits(outputs)
        if known is not None:
            return known
        least = _least(outputs)
        outputs = tf.clip_by_value(outputs, least, 1 - least)
        return tf.math.log(outputs / (1 - outputs))


def _known_logits(outputs):
    """What a softmax or sigmoid was applied to, which Keras notes down.

    For its losses, which take these logits in place of probabilities.
    """
    return getattr(outputs, "_keras_logits", None)


def _least(tensor):
    return tf.constant(np.finfo(tensor.dtype.as_numpy_dtype).eps, tensor.dtype)


_LOSSES = {
    keras.losses.mean_squared_error: keras.losses.MeanSquaredError,
    keras.losses.categorical_crossentropy: keras.losses.CategoricalCrossentropy,
    keras.losses.sparse_categorical_crossentropy: (
        keras.losses.SparseCategoricalCrossentropy
    ),
    keras.losses.binary_crossentropy: keras.losses.BinaryCrossentropy,
}


def summed_loss(model):
    """The loss of a compiled model, as the sum over all samples.

    Raises:
        ValueError: if the model has none, several, or one that is no negative
            log-likelihood.
    """
    given = getattr(model, "loss", None)
    if given is None or keras.tree.is_nested(given):
        raise ValueError(
            "A Laplace posterior needs a model compiled with one loss. "
            f"Received: loss={given!r}. Call model.compile(loss=...)."
        )
    loss = keras.losses.get(given)
    function = getattr(loss, "fn", loss)
    if function not in _LOSSES:
        names = ", ".join(f.__name__ for f in _LOSSES)
        raise ValueError(
            "The loss must be the negative logarithm of a likelihood: "
            f"{names}. Received: {given!r}."
        )
    if function is loss:
        return _LOSSES[function](reduction="sum")
    config = loss.get_config()
    if config.get("label_smoothing"):
        raise ValueError(
            "The loss must be a likelihood of the targets. Received: "
            f"label_smoothing={config['label_smoothing']} in {given!r}. "
            "Compile the trained model with a loss without it."
        )
    return type(loss).from_config({**config, "reduction": "sum"})


def likelihood_of(loss, width):
    """The likelihood that a loss of `summed_loss` stands for.

    Args:
        loss: `keras.losses.Loss`.
        width: Int, the outputs of the model for a sample.
    """
    if isinstance(loss, keras.losses.MeanSquaredError):
        return Normal(width)
    from_logits = bool(loss.get_config().get("from_logits"))
    if isinstance(loss, keras.losses.BinaryCrossentropy):
        return Bernoulli(from_logits, width)
    if width < 2:
        raise ValueError(
            "A crossentropy of classes that exclude each other needs two "
            "outputs or more. Received: a model with one, which is always "
            "sure. Use binary_crossentropy for yes or no."
        )
    return Categorical(from_logits)
