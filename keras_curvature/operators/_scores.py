"""Derivatives of log-likelihoods by the outputs, for each sample."""

import tensorflow as tf

from keras_curvature._random import Draws
from keras_curvature.losses.known_loss import (
    KnownLoss,
    known_loss,
    known_names,
)
from keras_curvature.losses.probabilities import refuse_other_axis
from keras_curvature.losses.sampled_scores import sampled_score


def observed_gradients(terms):
    """∂L/∂output for each term, tensors in the shapes of the outputs."""
    outputs = [term.output for term in terms]
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        losses = [term.value() for term in terms]
        total = tf.add_n([tf.cast(loss, losses[0].dtype) for loss in losses])
    gradients = tape.gradient(total, outputs, unconnected_gradients="zero")
    return [tf.convert_to_tensor(g) for g in gradients]


def observed_scores(terms):
    """√c·∂ℓ/∂output with the losses ℓ of rows and their coefficients c."""
    return [
        tf.math.divide_no_nan(gradient, _root_of_coefficients(term))
        for term, gradient in zip(terms, observed_gradients(terms), strict=True)
    ]


def drawn_scores(terms, number, seed, before):
    """The same for targets that are drawn from what the outputs describe.

    Args:
        terms: List of `LossTerm`s.
        number: Int, how many draws.
        seed: Int.
        before: Scalar int64 tensor, the number of samples in earlier batches,
            so that a sample has the same draws in batches of any size.

    Returns:
        List, one for each term, of tensors of shape `(batch, number, ...)`.
    """
    scores = []
    for place, term in enumerate(terms):
        score, root = sampled_score(term), _root_of_coefficients(term)

        def draw(k, place=place, term=term, score=score):
            draws = Draws((seed, place), k, before)
            return tf.cast(score(term.output, draws), term.output.dtype)

        drawn = tf.map_fn(
            draw,
            tf.range(number),
            fn_output_signature=tf.TensorSpec(
                term.output.shape, term.output.dtype
            ),
        )
        order = (1, 0, *range(2, drawn.shape.rank))
        drawn = tf.ensure_shape(
            tf.transpose(drawn, order),
            (term.output.shape[0], number, *term.output.shape[1:]),
        )
        scores.append(drawn * root[:, tf.newaxis] / number**0.5)
    return scores


def refuse_without_likelihood(term):
    """Raises where the information of a loss is not known."""
    known = known_loss(term)
    if known is None or (
        type(known).sampled_score is KnownLoss.sampled_score
        and not known.uses_information(term)
    ):
        names = ", ".join(known_names("sampled_score"))
        raise ValueError(
            "`loss` must be the negative logarithm of a likelihood for "
            f'Fisher(kind="exact"): {names}. Received: {term.name}. Use one of '
            'these, kind="empirical" or GaussNewton, or describe the loss '
            "with keras_curvature.losses.register_loss."
        )


def _root_of_coefficients(term):
    """√c, a tensor that broadcasts to the shape of the output."""
    refuse_other_axis(term)
    coefficients = term.coefficients_of(term.output)
    return tf.sqrt(tf.cast(coefficients, term.output.dtype))
