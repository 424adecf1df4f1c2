"""The Poisson loss."""

import keras

from keras_curvature.losses.known_loss import KnownLoss, register_loss


@register_loss(keras.losses.poisson)
class Poisson(KnownLoss):
    """ℓ = rate − count·log(rate), the outputs being rates."""

    def squared_scale(self, term):
        # The Fisher information; Keras adds ε under the logarithm.
        return term.entry_weights() / (term.output + keras.config.epsilon())

    def uses_information(self, term):
        return True
