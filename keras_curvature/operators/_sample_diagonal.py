"""Diagonals of Jᵀ·B·J from the Jacobian of each sample."""

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.per_sample import per_sample_jacobian

# The entries of Jacobians that are held at once.
_ENTRIES = 2**25


def samples_at_once(survey, size):
    """For how many samples their Jacobians by the weights are held at once.

    Args:
        survey: `Survey`.
        size: Int, the number of weights.

    Returns:
        Int, or None where products with unit vectors serve better, or where a
        sample has no outputs of its own.
    """
    if None in survey.widths or sum(survey.widths) > size:
        return None
    return samples_held_at_once(survey, size)


def samples_held_at_once(survey, size):
    """As `samples_at_once`, also where products would be faster."""
    if not survey.by_samples or None in survey.widths:
        return None
    return max(1, _ENTRIES // max(1, sum(survey.widths) * size))


def sample_jacobians(outputs_fn, batch, rows, outputs, variables):
    """The Jacobian of each sample, or its products with rows.

    Args:
        outputs_fn: Callable that maps a batch to a list of outputs.
        batch: Structure of tensors of shape `(batch, ...)` and None.
        rows: Tensor of shape `(batch, rows, outputs)`, or None for all rows
            of the Jacobian itself.
        outputs: What `outputs_fn` returns for the batch as a whole.
        variables: List of variables.

    Returns:
        List of tensors of shape `(batch, rows, size)`, one for each variable,
        and by how much the outputs of samples alone differ from `outputs`,
        relative to the largest.
    """
    flat = tf.nest.flatten(batch)
    is_given = [t is not None for t in flat]

    def of_samples(given):
        tensors, rows = given
        tensors = iter(tensors)
        filled = [next(tensors) if g else None for g in is_given]
        joined = _joined(outputs_fn(tf.nest.pack_sequence_as(batch, filled)))
        return _times(rows, joined)

    given = [t for t in flat if t is not None]
    rows = [] if rows is None else [rows]
    alone, jacobians = per_sample_jacobian(of_samples, (given, rows), variables)
    together = _times(rows, _joined(outputs))
    largest = tf.reduce_max(tf.abs(together))
    difference = tf.reduce_max(tf.abs(alone - together))
    shape = tf.shape(alone)
    jacobians = [
        tf.reshape(j, (shape[0], shape[1], np.prod(v.shape, dtype=int)))
        for j, v in zip(jacobians, variables, strict=True)
    ]
    return jacobians, tf.math.divide_no_nan(difference, largest)


def _joined(outputs):
    """Outputs of shapes (batch, ...) as one of shape (batch, outputs)."""
    flat = [
        tf.reshape(o, (tf.shape(o)[0], np.prod(o.shape[1:], dtype=int)))
        for o in outputs
    ]
    return tf.concat([tf.cast(f, flat[0].dtype) for f in flat], 1)


def _times(rows, outputs):
    for matrix in rows:
        outputs = tf.einsum("bko,bo->bk", matrix, outputs)
    return outputs
