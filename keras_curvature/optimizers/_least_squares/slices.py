"""Sums over the samples of a batch, some of them at a time."""

import tensorflow as tf


def sum_over_slices(add, empty, objective, slice_size):
    """The state after all samples of the batch were added to it.

    Args:
        add: Callable that maps `(state, inputs, outputs, form)` of some
            samples to the state with them.
        empty: Nested structure of tensors, the state without samples.
        objective: `Objective`.
        slice_size: Int, the most samples to add at once.
    """

    def whole():
        return add(empty, objective.inputs, objective.outputs, objective.form)

    def by_slices():
        return _in_turn(add, empty, objective, slice_size)

    samples = objective.form.residuals.shape[0]
    if samples is None:
        # Rather than a loop of one round: that takes a third longer.
        samples = tf.shape(objective.form.residuals)[0]
        return tf.cond(samples <= slice_size, whole, by_slices)
    return whole() if samples <= slice_size else by_slices()


def _in_turn(add, empty, objective, slice_size):
    """The same slice by slice; the last is filled up with rows of 0."""
    form = objective.form
    samples = tf.shape(form.residuals)[0]

    def add_slice(start, state):
        positions = start + tf.range(slice_size)
        is_within = tf.cast(positions < samples, form.residuals.dtype)
        positions = tf.minimum(positions, samples - 1)
        inputs, outputs = tf.nest.map_structure(
            lambda t: tf.gather(t, positions),
            (objective.inputs, objective.outputs),
        )
        state = add(state, inputs, outputs, form.gather(positions, is_within))
        return start + slice_size, state

    _, state = tf.while_loop(
        lambda start, _: start < samples,
        add_slice,
        (tf.constant(0), empty),
        parallel_iterations=1,
    )
    return state
