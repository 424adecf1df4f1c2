"""The least-squares system of a batch, from Jacobians of its samples."""

import tensorflow as tf

from keras_curvature.autodiff.per_sample import per_sample_jacobian
from keras_curvature.linalg import (
    DualEquations,
    NormalEquations,
    StackedQR,
)

_SLICED = {"cholesky": NormalEquations, "qr": StackedQR}
# By rounding, outputs of a sample alone differ from those within a batch:
# much where an output is a small difference of large numbers.
_MISMATCH = 0.05


def jacobian_system(objective, variables, solver, slice_size):
    """A with AᵀA the Gauss–Newton matrix, and r with ∇L = Aᵀr.

    Args:
        objective: `Objective`.
        variables: List of the trainable variables.
        solver: `"cholesky"`, `"qr"` or `"dual"`.
        slice_size: Int, samples whose Jacobian is held at once; `"dual"`
            holds all of them.

    Returns:
        Tuple `(system, is_mixed)`: an object of `keras_curvature.linalg`, and
        a scalar bool tensor, whether outputs depend on other samples.
    """
    form = objective.form
    samples = tf.shape(form.residuals)[0]
    if solver == "dual":
        rows, is_mixed = _rows(
            objective, variables, objective.inputs, objective.outputs, form
        )
        return DualEquations(rows, _flat(form.residuals)), is_mixed
    kind = _SLICED[solver]
    size = tf.minimum(slice_size, samples)

    def add_slice(start, is_mixed, state):
        positions = start + tf.range(size)
        is_within = tf.cast(positions < samples, form.residuals.dtype)
        positions = tf.minimum(positions, samples - 1)
        inputs, outputs = tf.nest.map_structure(
            lambda t: tf.gather(t, positions),
            (objective.inputs, objective.outputs),
        )
        part = form.gather(positions, is_within)
        rows, is_mixed_here = _rows(
            objective, variables, inputs, outputs, part
        )
        state = kind.add_rows(state, rows, _flat(part.residuals))
        return start + size, is_mixed | is_mixed_here, state

    _, is_mixed, state = tf.while_loop(
        lambda start, is_mixed, state: start < samples,
        add_slice,
        (
            tf.constant(0),
            tf.constant(False),
            kind.empty(objective.weights.shape[0], objective.weights.dtype),
        ),
        parallel_iterations=1,
    )
    return kind(*state), is_mixed


def _rows(objective, variables, inputs, outputs, form):
    """A for some samples, and whether they are mixed with others."""
    alone, jacobians = per_sample_jacobian(
        objective.outputs_of, inputs, variables, unconnected_gradients="zero"
    )
    width = outputs.shape[1]
    jacobian = tf.concat(
        [
            tf.reshape(j, (-1, width, v.value.shape.num_elements()))
            for j, v in zip(jacobians, variables, strict=True)
        ],
        axis=2,
    )
    difference = tf.reduce_max(tf.abs(outputs - alone))
    is_mixed = difference > _MISMATCH * tf.reduce_max(tf.abs(outputs))
    rows = tf.reshape(form.push(jacobian), (-1, jacobian.shape[2]))
    return rows, is_mixed


def _flat(tensor):
    return tf.reshape(tensor, (-1,))
