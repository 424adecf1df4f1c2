"""The Huber loss."""

import keras
import tensorflow as tf

from keras_curvature.losses.known_loss import register_loss
from keras_curvature.losses.pointwise_loss import PointwiseLoss


@register_loss(keras.losses.huber)
class Huber(PointwiseLoss):
    """ρ = e²/2 up to |e| = δ, beyond it δ|e| − δ²/2."""

    def curvature(self, error, term):
        # ρ′(e)/e: ρ″ is 0 for outliers, whose gradient would be lost.
        delta = keras.ops.convert_to_tensor(
            term.arguments.get("delta", 1.0), dtype=error.dtype
        )
        return delta / tf.maximum(tf.abs(error), delta)
