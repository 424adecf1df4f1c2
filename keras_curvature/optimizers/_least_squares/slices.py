"""Sums over the samples of a batch, some of them at a time."""

import tensorflow as tf

from keras_curvature._control_flow import cond, while_loop


def sum_over_slices(add, empty, objective, slice_size):
    """A sum over the samples of the batch, added slice by slice.

    Args:
        add: Callable that maps `(total, inputs, outputs, form)` of some
            samples to the total with them.
        empty: Nested structure of tensors, the total without samples.
        objective: `Objective`, for its `parts`.
        slice_size: Int, the most samples to add at once.
    """
    total = empty
    for part in objective.parts:
        total = _sum_over_part(add, total, part, slice_size)
    return total


def are_whole(objective, slice_size):
    """Whether the samples of each part are known to be one slice."""
    counts = [part.form.residuals.shape[0] for part in objective.parts]
    return None not in counts and max(counts) <= slice_size


def _sum_over_part(add, empty, part, slice_size):
    """The sum over the samples of one `Part`."""
    samples = part.form.residuals.shape[0]
    if samples is None:
        add = _traced_once(add, empty, part)

    def whole():
        return add(empty, part.inputs, part.outputs, part.form)

    def by_slices():
        return _loop_over_slices(add, empty, part, slice_size)

    if samples is None:
        # A while loop of one iteration takes a third longer than no loop.
        samples = tf.shape(part.form.residuals)[0]
        return cond(samples <= slice_size, whole, by_slices)
    return whole() if samples <= slice_size else by_slices()


def _traced_once(add, empty, part):
    """`add` for any number of samples, as one function of the graph.

    To trace the model and its derivatives is most of a first step, and both
    branches need them.
    """
    form = part.form

    def any_number(tensor):
        return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)

    @tf.function(
        autograph=False,
        input_signature=[
            tf.nest.map_structure(tf.TensorSpec.from_tensor, empty),
            *tf.nest.map_structure(
                any_number, (part.inputs, part.outputs, form.rows)
            ),
        ],
    )
    def traced(total, inputs, outputs, rows):
        return add(total, inputs, outputs, form.with_rows(*rows))

    return lambda total, inputs, outputs, form: traced(
        total, inputs, outputs, form.rows
    )


def _loop_over_slices(add, empty, part, slice_size):
    """The sum where there are several slices.

    All have `slice_size` samples, so that XLA can compile the loop: the last
    is filled up with the last sample, whose residuals and scale are set to 0.
    """
    form = part.form
    samples = tf.shape(form.residuals)[0]

    def add_slice(start, total):
        positions = start + tf.range(slice_size)
        is_within = tf.cast(positions < samples, form.residuals.dtype)
        positions = tf.minimum(positions, samples - 1)
        inputs, outputs = tf.nest.map_structure(
            lambda t: tf.gather(t, positions),
            (part.inputs, part.outputs),
        )
        total = add(total, inputs, outputs, form.gather(positions, is_within))
        return start + slice_size, total

    _, total = while_loop(
        lambda start, _: start < samples,
        add_slice,
        (tf.constant(0), empty),
    )
    return total
