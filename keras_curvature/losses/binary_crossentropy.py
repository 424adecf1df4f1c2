"""The binary cross-entropy."""

import keras
import tensorflow as tf

from keras_curvature.losses.known_loss import KnownLoss, register_loss
from keras_curvature.losses.probabilities import (
    clipped,
    refuse_other_axis,
    weighted,
)


@register_loss(keras.losses.binary_crossentropy)
class BinaryCrossentropy(KnownLoss):
    """ℓ = −y·log p − (1 − y)·log(1 − p), the outputs being p or its logits.

    Of logits the Hessian p·(1 − p), whatever the labels and their smoothing;
    of probabilities the Fisher information 1/(p·(1 − p)).
    """

    def squared_scale(self, term):
        refuse_other_axis(term)
        weights = term.entry_weights()
        if term.from_logits:
            p = tf.sigmoid(term.output)
            # 1 − p, without cancellation for large logits.
            return weighted(weights, p * tf.sigmoid(-term.output))
        p = clipped(term.output)
        return weights / (p * (1 - p))

    def uses_information(self, term):
        return not term.from_logits

    def sampled_score(self, term, draws):
        refuse_other_axis(term)
        output = term.output
        p = tf.sigmoid(output) if term.from_logits else output
        drawn = draws(tf.shape(p), p.dtype) < p
        if term.from_logits:
            score = p - tf.cast(drawn, p.dtype)
        else:
            score = tf.where(drawn, -1 / p, 1 / (1 - p))
        return score / tf.sqrt(tf.cast(tf.shape(p)[-1], p.dtype))
