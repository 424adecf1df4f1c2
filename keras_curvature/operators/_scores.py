"""Derivatives of log-likelihoods by the outputs, for each sample."""

import itertools

import tensorflow as tf

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
            streams = itertools.count(_STREAMS * place)

            def draws(shape, dtype):
                stream = tf.cast(next(streams), tf.int64)
                # The stream of a draw of a term, one for each of its calls.
                stream += _STREAMS * len(terms) * tf.cast(k, tf.int64)
                return _uniforms(shape, dtype, seed, stream, before)

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


# More numbers than a score ever draws for one row of outputs.
_STREAMS = 64


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
    coefficients, output = term.coefficients(), term.output
    rank = coefficients.shape.rank
    if not output.shape[:rank].is_compatible_with(coefficients.shape):
        raise ValueError(
            f"The loss {term.name} must give one value for each row of its "
            f"output. Received: an output of shape {tuple(output.shape)} and "
            f"losses of shape {tuple(coefficients.shape)}. Bring the targets "
            "into the shape of the outputs."
        )
    for _ in range(output.shape.rank - rank):
        coefficients = coefficients[..., tf.newaxis]
    return tf.sqrt(tf.cast(coefficients, output.dtype))


def _uniforms(shape, dtype, seed, stream, before):
    """Uniform numbers in [0, 1) that depend on the number of the sample.

    SplitMix64 (Steele, Lea, Flood, 2014, "Fast splittable pseudorandom number
    generators"), whose n-th number is a function of n. TensorFlow's own
    generators give others when compiled by XLA.
    """
    width = tf.reduce_prod(shape[1:])
    first = tf.cast(before, tf.int64) * tf.cast(width, tf.int64)
    count = tf.cast(shape[0] * width, tf.int64)
    key = _mixed(_mixed(tf.constant(seed, tf.uint64)) + _unsigned(stream))
    numbers = _mixed(key + _unsigned(first + tf.range(count)))
    # As many bits as the numbers have, so that none is rounded to 1.
    dtype = tf.as_dtype(dtype)
    wide = tf.float64 if dtype == tf.float64 else tf.float32
    bits = 53 if wide == tf.float64 else 24
    numbers = _shifted(numbers, 64 - bits)
    numbers = tf.cast(tf.cast(numbers, tf.int64), wide) * 2.0**-bits
    return tf.cast(tf.reshape(numbers, shape), dtype)


def _mixed(numbers):
    numbers = (numbers + 1) * tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    for shift, factor in (
        (30, 0xBF58476D1CE4E5B9),
        (27, 0x94D049BB133111EB),
    ):
        numbers = tf.bitwise.bitwise_xor(numbers, _shifted(numbers, shift))
        numbers *= tf.constant(factor, tf.uint64)
    return tf.bitwise.bitwise_xor(numbers, _shifted(numbers, 31))


def _shifted(numbers, bits):
    return tf.bitwise.right_shift(numbers, tf.constant(bits, tf.uint64))


def _unsigned(number):
    return tf.cast(number, tf.uint64)
