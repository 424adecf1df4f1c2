"""Rows for losses, as classes and as functions."""

import dataclasses

import numpy as np
import tensorflow as tf
from keras import losses

from tests.autodiff.table.case import REFUSED, Case, no_numbers, option_of

_REAL = np.array([[0.2, -0.4, 0.7], [1.1, 0.3, -0.6], [-0.9, 0.5, 0.1]])
_SIGNS = np.sign(_REAL)
_BINARY = (_SIGNS + 1) / 2
_SHARES = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3], [0.0, 1.0, 0.0]])
_CLASSES = np.array([[2], [0], [1]])
_POSITIVE = np.array([[0.2, 1.4, 2.7], [1.1, 0.3, 3.6], [0.9, 0.5, 0.1]])
_SHARE, _LOGITS = (0.05, 0.95), (-2.0, 2.0)


def rows():
    classes = [
        *_cross_entropies(),
        *_sparse_cross_entropies(),
        *_distances(),
        *_divergences(),
        *_margins(),
        *_sequences_and_embeddings(),
    ]
    nothing = ("deserialize", "serialize", "get", "Loss")
    return [
        *classes,
        *(_function(row) for row in classes if not row.option),
        *no_numbers("losses", dict.fromkeys(nothing, "computes nothing")),
    ]


def _loss(name, labels, range=(-1.0, 1.0), settings=None, **kwargs):
    return Case(
        f"losses.{name}",
        option_of(kwargs),
        lambda: getattr(losses, name)(**kwargs),
        ((3,),),
        lambda f, t, training: f(labels, t[0]),
        range=range,
        **(settings or {}),
    )


def _cross_entropies():
    labels = {"Binary": _BINARY, "Categorical": _SHARES}
    for kind in ("Crossentropy", "FocalCrossentropy"):
        for prefix, y in labels.items():
            name = prefix + kind
            yield _loss(name, y, _SHARE)
            yield _loss(name, y, _LOGITS, from_logits=True)
            yield _loss(name, y, _SHARE, label_smoothing=0.1)
    yield _loss("CategoricalGeneralizedCrossEntropy", _SHARES, _SHARE)
    yield Case(
        "losses.CategoricalCrossentropy",
        "labels that depend on the weights, from_logits=True",
        lambda: losses.CategoricalCrossentropy(from_logits=True),
        ((3,), (3,)),
        lambda f, t, training: f(tf.nn.softmax(t[0]), t[1]),
    )


def _sparse_cross_entropies():
    name, logits = "SparseCategoricalCrossentropy", {"from_logits": True}
    yield _loss(name, _CLASSES, _SHARE)
    yield _loss(name, _CLASSES, _LOGITS, **logits)
    yield _loss(name, _CLASSES, _LOGITS, **logits, ignore_class=1)


def _distances():
    yield _loss("CosineSimilarity", _REAL)
    yield _loss("Huber", _REAL)
    yield _loss("Huber", _REAL, delta=0.3)
    yield _loss("LogCosh", _REAL)
    yield _loss("MeanAbsoluteError", _REAL)
    yield _loss("MeanAbsolutePercentageError", _REAL, settings={"size": 200.0})
    yield _loss("MeanSquaredError", _REAL)
    yield _loss("MeanSquaredError", _REAL, reduction="sum")
    yield _loss("MeanSquaredLogarithmicError", _POSITIVE, (0.1, 2.0))


def _divergences():
    yield _loss("Dice", _BINARY, _SHARE)
    yield _loss("Tversky", _BINARY, _SHARE)
    yield _loss("KLDivergence", _SHARES, _SHARE)
    yield _loss("Poisson", _POSITIVE, (0.1, 2.0))


def _margins():
    yield _loss("CategoricalHinge", _SHARES)
    yield _loss("Hinge", _SIGNS)
    yield _loss("SquaredHinge", _SIGNS)


def _sequences_and_embeddings():
    yield Case(
        "losses.CTC",
        "",
        losses.CTC,
        ((5, 4),),
        lambda f, t, training: f(np.array([[1, 2], [2, 1], [3, 1]]), t[0]),
        expected=REFUSED,
        reason="TensorFlow has no derivative of its gradient",
        dtype="float32",
    )
    yield _circle("", [0, 1, 0, 0, 1, 0])
    yield _circle("a sample without partner", [0, 1, 0, 0, 2, 0])


def _circle(option, labels):
    return Case(
        "losses.Circle",
        option,
        losses.Circle,
        ((3,),),
        lambda f, t, training: f(
            np.array(labels), tf.concat([t[0], 0.5 * t[0] + 0.1], 0)
        ),
        size=100.0,
    )


_FUNCTIONS = {
    "BinaryCrossentropy": "binary_crossentropy",
    "BinaryFocalCrossentropy": "binary_focal_crossentropy",
    "CTC": "ctc",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "CategoricalFocalCrossentropy": "categorical_focal_crossentropy",
    "CategoricalGeneralizedCrossEntropy": (
        "categorical_generalized_cross_entropy"
    ),
    "CategoricalHinge": "categorical_hinge",
    "Circle": "circle",
    "CosineSimilarity": "cosine_similarity",
    "Dice": "dice",
    "Hinge": "hinge",
    "Huber": "huber",
    "KLDivergence": "kl_divergence",
    "LogCosh": "log_cosh",
    "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanSquaredError": "mean_squared_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "Poisson": "poisson",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "SquaredHinge": "squared_hinge",
    "Tversky": "tversky",
}


def _function(row):
    """The row of the function that a class of losses calls."""
    name = _FUNCTIONS[row.export.removeprefix("losses.")]

    def make():
        if name == "categorical_generalized_cross_entropy":
            return lambda y, x: losses.categorical_generalized_cross_entropy(
                y, x, q=0.5
            )
        return getattr(losses, name)

    return dataclasses.replace(row, export=f"losses.{name}", make=make)
