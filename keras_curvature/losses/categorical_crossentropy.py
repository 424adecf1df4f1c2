"""The categorical cross-entropy, with labels as vectors or as integers."""

import keras
import tensorflow as tf

from keras_curvature.losses.known_loss import KnownLoss, register_loss
from keras_curvature.losses.probabilities import (
    clipped,
    refuse_other_axis,
    weighted,
)


@register_loss(keras.losses.categorical_crossentropy)
class CategoricalCrossentropy(KnownLoss):
    """ℓ = −Σ y·log p, the outputs being p or its logits.

    Of logits the Hessian (diag p − p·pᵀ)·Σy; of probabilities diag(1/p)·Σy,
    the Fisher information in directions in which the outputs add up to 1.
    """

    def squared_scale(self, term):
        refuse_other_axis(term)
        weights = self._counts(term) * _row_weights(term)
        if term.from_logits:
            return weighted(weights, tf.nn.softmax(term.output))
        # Keras divides the outputs by their sum before the logarithm.
        total = tf.reduce_sum(term.output, axis=-1, keepdims=True)
        return weights / (clipped(term.output / total) * total**2)

    def probabilities(self, term):
        return tf.nn.softmax(term.output) if term.from_logits else None

    def uses_information(self, term):
        return not term.from_logits

    def sampled_score(self, term, draws):
        refuse_other_axis(term)
        output = term.output
        if term.from_logits:
            p = tf.nn.softmax(output)
            return p - _drawn_class(p, draws)
        total = tf.reduce_sum(output, axis=-1, keepdims=True)
        drawn = _drawn_class(output / total, draws)
        return 1 / total - tf.math.divide_no_nan(drawn, output)

    def _counts(self, term):
        """Σy: 1 for a distribution, more or less for counts of the classes."""
        dtype = term.output.dtype
        y = keras.ops.convert_to_tensor(term.target, dtype=dtype)
        smoothing = keras.ops.convert_to_tensor(
            term.arguments.get("label_smoothing", 0.0), dtype=dtype
        )
        total = tf.reduce_sum(y, axis=-1, keepdims=True)
        return total * (1 - smoothing) + smoothing


@register_loss(keras.losses.sparse_categorical_crossentropy)
class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """The same with each label an integer."""

    def squared_scale(self, term):
        ignored = term.arguments.get("ignore_class")
        if ignored is not None:
            raise ValueError(
                "`ignore_class` must be None for an optimizer that needs the "
                "Gauss-Newton form of the loss. Received: ignore_class="
                f"{ignored}. Give these samples a sample_weight of 0."
            )
        return super().squared_scale(term)

    def _counts(self, term):
        return tf.ones((), term.output.dtype)


def _row_weights(term):
    """The coefficient of each row of outputs, for all its classes."""
    coefficients, shape = term.coefficients(), term.output.shape
    if not shape[:-1].is_compatible_with(coefficients.shape):
        raise ValueError(
            f"`y` of the loss {term.name} must have a label for each row of "
            f"the output. Received: an output of shape {tuple(shape)} and "
            f"losses of shape {tuple(coefficients.shape)}. Bring the targets "
            "into the shape of the outputs, or of their rows for integers."
        )
    return tf.cast(coefficients, term.output.dtype)[..., tf.newaxis]


def _drawn_class(probabilities, draws):
    """One-hot labels by inversion of the distribution function."""
    uniforms = draws(tf.shape(probabilities)[:-1], probabilities.dtype)
    reached = tf.cumsum(probabilities, axis=-1) > uniforms[..., None]
    # Rounding may leave the last of the sums below the number drawn.
    classes = probabilities.shape[-1]
    missed = classes - tf.reduce_sum(tf.cast(reached, tf.int32), axis=-1)
    return tf.one_hot(
        tf.minimum(missed, classes - 1), classes, dtype=probabilities.dtype
    )
