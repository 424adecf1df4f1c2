"""How right and how sure a classifier is."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.uncertainty import Reliability

_BINS = 10


class Classification:
    """Sums over the data for a `Reliability`, for `DataPass.sum`.

    Args:
        model_loss: `ModelLoss`.
    """

    def __init__(self, model_loss):
        self._model_loss = model_loss

    def __call__(self, batch, share):
        found = _confidence_and_rightness(self._model_loss, batch)
        loss = self._model_loss.total(batch, share)
        if found is None:
            return loss, [tf.zeros((3, _BINS), "float64")]
        confidence, right = (tf.cast(t, "float64") for t in found)
        # The bins of uncertainty.reliability.
        places = tf.minimum(tf.cast(confidence * _BINS, "int32"), _BINS - 1)
        bins = tf.one_hot(places, _BINS, dtype="float64")
        values = tf.stack([tf.ones_like(confidence), confidence, right])
        return loss, [tf.matmul(values, bins)]

    @staticmethod
    def results(sums):
        """A `Reliability` and the accuracy; twice None for no classifier."""
        counts, confidence, right = sums.numpy()
        if not counts.sum():
            return None, None
        # Float32 may add up to a little more than 1.
        if np.any(confidence > 1.001 * counts) or np.any(confidence < 0):
            raise ValueError(
                "Outputs must be probabilities from 0 to 1 for a cross-entropy "
                "without from_logits=True. Received: others."
            )
        with np.errstate(invalid="ignore"):
            result = Reliability(
                np.linspace(0, 1, _BINS + 1),
                counts.astype(int),
                confidence / counts,
                right / counts,
            )
        return result, float(right.sum() / counts.sum())


def _confidence_and_rightness(model_loss, batch):
    """The largest probability of each sample, and whether it was right.

    None unless the model has one output of shape (samples, classes) and its
    loss is a cross-entropy.
    """
    terms = model_loss.terms(batch, model_loss.outputs(batch[0]))
    if len(terms) != 1 or terms[0].output.shape.rank != 2:
        return None
    (term,) = terms
    losses = keras.losses
    output, target = term.output, tf.convert_to_tensor(term.target)
    if term.function is losses.binary_crossentropy and output.shape[1] == 1:
        second = tf.sigmoid(output) if term.from_logits else output
        probabilities = tf.concat([1 - second, second], 1)
        labels = tf.reshape(target, (-1,))
    elif term.function is losses.sparse_categorical_crossentropy:
        probabilities = tf.nn.softmax(output) if term.from_logits else output
        labels = tf.reshape(target, (-1,))
    elif term.function is losses.categorical_crossentropy:
        probabilities = tf.nn.softmax(output) if term.from_logits else output
        labels = tf.argmax(target, 1)
    else:
        return None
    predicted = tf.argmax(probabilities, 1)
    return tf.reduce_max(probabilities, 1), predicted == tf.cast(
        labels, predicted.dtype
    )
