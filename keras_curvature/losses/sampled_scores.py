"""Labels drawn from a model's outputs, as derivatives of their losses."""

import keras
import tensorflow as tf


def sampled_score(term):
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
    """
    scores = _SCORES.get(term.function)
    if scores is None:
        raise ValueError(
            f"`loss` must be one of {', '.join(_names())} for the "
            "Gauss-Newton-Bartlett estimator, which draws labels from the "
            f"model's outputs. Received: {_name(term)}. Use one of these "
            'losses, or estimator="hutchinson".'
        )
    options = term.loss.get_config()
    if options.get("axis", -1) != -1:
        raise ValueError(
            f"`axis` of the loss {_name(term)} must be -1 for the "
            f"Gauss-Newton-Bartlett estimator. Received: {options['axis']}."
        )
    from_outputs, from_logits = scores
    return from_logits if term.from_logits else from_outputs


def _squared_error(output, draws):
    # ℓ = mean (y − f)² over n entries is, up to a constant, the negative
    # log-likelihood of a normal y with variance n/2; its score, 2(f − y)/n,
    # has the variance 2/n. Only that moment enters: signs in place of normal
    # numbers give the estimate the least variance.
    signs = tf.sign(draws(tf.shape(output), output.dtype) - 0.5)
    return signs * tf.sqrt(2 / _entries(output))


def _bernoulli_logits(output, draws):
    probability = tf.sigmoid(output)
    drawn = draws(tf.shape(output), output.dtype) < probability
    score = probability - tf.cast(drawn, output.dtype)
    return score / tf.sqrt(_entries(output))


def _bernoulli(output, draws):
    drawn = draws(tf.shape(output), output.dtype) < output
    score = tf.where(drawn, -1 / output, 1 / (1 - output))
    return score / tf.sqrt(_entries(output))


def _categorical_logits(output, draws):
    probabilities = tf.nn.softmax(output)
    return probabilities - _drawn_class(probabilities, draws)


def _categorical(output, draws):
    # Keras divides the outputs by their sum before the logarithm.
    total = tf.reduce_sum(output, axis=-1, keepdims=True)
    drawn = _drawn_class(output / total, draws)
    return 1 / total - tf.math.divide_no_nan(drawn, output)


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


def _entries(output):
    """Number of entries that Keras takes the mean over in one row."""
    return tf.cast(tf.shape(output)[-1], output.dtype)


# By loss function: the score for probabilities (or values), and for logits.
_SCORES = {
    keras.losses.mean_squared_error: (_squared_error, _squared_error),
    keras.losses.binary_crossentropy: (_bernoulli, _bernoulli_logits),
    keras.losses.categorical_crossentropy: (_categorical, _categorical_logits),
    keras.losses.sparse_categorical_crossentropy: (
        _categorical,
        _categorical_logits,
    ),
}


def _names():
    return [function.__name__ for function in _SCORES]


def _name(term):
    return getattr(term.function, "__name__", term.loss.name)
