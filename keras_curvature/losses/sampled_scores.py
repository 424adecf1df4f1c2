"""Labels drawn from a model's outputs, as derivatives of their losses."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_curvature.losses.known_loss import (
    KnownLoss,
    known_loss,
    known_names,
)
from keras_curvature.losses.term import LossTerm


def sampled_score(
    term: LossTerm,
) -> Callable[[tf.Tensor, Callable[[Any, tf.DType], tf.Tensor]], tf.Tensor]:
    """∂ℓ/∂output for labels drawn from the output itself.

    ℓ is the loss of one row of the output. Its scores have mean 0 and, as
    covariance, the second derivative of ℓ by the output.

    Args:
        term: A `keras_curvature.losses.LossTerm`.

    Returns:
        Callable that takes the output and a source of uniform numbers
        `draws(shape, dtype)`, and returns a tensor in the output's shape.

    Raises:
        ValueError: if the loss describes no likelihood that is known here.

    Example:

    ```python
    import keras
    import tensorflow as tf
    from keras_curvature.losses import LossTerm, sampled_score

    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    logits = tf.constant([[0.5], [-2.0]])
    score = sampled_score(LossTerm(loss, tf.zeros((2, 1)), logits))

    def draws(shape, dtype):
        return tf.random.uniform(shape, dtype=dtype)

    print(score(logits, draws))
    ```
    """
    known = known_loss(term)
    if known is None or (type(known).sampled_score is KnownLoss.sampled_score):
        names = ", ".join(known_names("sampled_score"))
        raise ValueError(
            f"`loss` must be one of {names} where labels are drawn from the "
            f"model's outputs. Received: {term.name}. Use one of these losses, "
            'what draws no labels (estimator="hutchinson" of Sophia, '
            'fisher="exact" or "empirical" of KFAC), or describe the loss '
            "with keras_curvature.losses.register_loss."
        )

    def score(output, draws):
        return known.sampled_score(
            dataclasses.replace(term, output=output), draws
        )

    return score
