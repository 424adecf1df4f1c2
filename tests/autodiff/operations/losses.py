"""Losses where targets are met, and where logits are zero or far."""

import keras
import tensorflow as tf

losses, nn = keras.losses, tf.nn
_NONE, _FAR = [0.0, 0.0, 0.0], [800.0, -800.0, 30.0]
_LOGITS = [0.3, 0.7, -0.2]
_PARTS = [0.5, 0.2, 0.3]


def _constant(x):
    return tf.constant(x, tf.float64)


def _weighted(w):
    return nn.weighted_cross_entropy_with_logits(
        _constant([0.0, 1.0, 0.5]), w, _constant(1.7)
    )


def _sigmoid(w):
    return nn.sigmoid_cross_entropy_with_logits(_constant([0.0, 1.0, 0.5]), w)


def _softmax(labels):
    return lambda w: nn.softmax_cross_entropy_with_logits(
        _constant([labels]), w[None]
    )


def _keras(name, target, **options):
    """A loss of Keras, of this target."""
    return lambda w: getattr(losses, name)(
        _constant([target]), w[None], **options
    )


def rows():
    met = [1.0, 0.0, 1.0]
    of_tensorflow = {
        "weighted_cross_entropy_with_logits": (_weighted, _LOGITS),
        "weighted_cross_entropy_with_logits, 0": (_weighted, _NONE),
        "weighted_cross_entropy_with_logits, far": (_weighted, _FAR),
        "sigmoid_cross_entropy_with_logits, 0": (_sigmoid, _NONE),
        "sigmoid_cross_entropy_with_logits, far": (_sigmoid, _FAR),
        "softmax_cross_entropy_with_logits, one label": (
            _softmax([0.0, 1.0, 0.0]),
            _NONE,
        ),
        "softmax_cross_entropy_with_logits, labels not of sum 1": (
            _softmax([1.0, 2.0, 0.0]),
            _LOGITS,
        ),
        "log_poisson_loss, full": (
            lambda w: nn.log_poisson_loss(w + 2, w, compute_full_loss=True),
            _LOGITS,
        ),
        "isotonic_regression, of a batch": (
            lambda w: nn.isotonic_regression(w[None] ** 2)[0],
            [1.7, 1.0, 1.4, 0.1],
        ),
    }
    far = _keras("log_cosh", [1.0, 0.0, 2.0])
    of_keras = {
        "categorical_crossentropy, counts": (
            _keras(
                "categorical_crossentropy", [1.0, 1.0, 0.0], from_logits=True
            ),
            _LOGITS,
        ),
        "categorical_crossentropy, counts and probabilities": (
            _keras("categorical_crossentropy", [1.0, 1.0, 0.0]),
            _PARTS,
        ),
        "binary_crossentropy, logits 0": (
            _keras("binary_crossentropy", met, from_logits=True),
            _NONE,
        ),
        "binary_focal_crossentropy, logits 0": (
            _keras("binary_focal_crossentropy", met, from_logits=True),
            _NONE,
        ),
        "categorical_focal_crossentropy": (
            _keras(
                "categorical_focal_crossentropy",
                [1.0, 0.0, 0.0],
                from_logits=True,
            ),
            _NONE,
        ),
        "kl_divergence, met": (_keras("kl_divergence", _PARTS), _PARTS),
        "cosine_similarity, met": (_keras("cosine_similarity", met), met),
        "log_cosh, met": (_keras("log_cosh", met), met),
        "log_cosh, far": (far, _FAR),
        "huber, met": (_keras("huber", met), met),
        "dice, met": (_keras("dice", met), met),
        "tversky, met": (_keras("tversky", met), met),
        "poisson": (_keras("poisson", [0.0, 2.0, 1.0]), _PARTS),
        "mean_squared_logarithmic_error, met": (
            _keras("mean_squared_logarithmic_error", _PARTS),
            _PARTS,
        ),
        "squared_hinge": (
            _keras("squared_hinge", [1.0, -1.0, 1.0]),
            _LOGITS,
        ),
    }
    return {f"nn.{name}": row for name, row in of_tensorflow.items()} | {
        f"keras.losses.{name}": row for name, row in of_keras.items()
    }
