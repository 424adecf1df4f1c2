"""The least-squares system of a batch, from Jacobians of its samples."""

import tensorflow as tf

from keras_curvature.autodiff.per_sample import per_sample_jacobian
from keras_curvature.linalg import (
    DualEquations,
    NormalEquations,
    StackedQR,
)
from keras_curvature.optimizers._least_squares.slices import sum_over_slices

_SLICED = {"cholesky": NormalEquations, "qr": StackedQR}
# By rounding, outputs of a sample alone differ from those within a batch:
# much where an output is a small difference of large numbers.
_MISMATCH = 0.05


def jacobian_system(objective, variables, solver, slice_size, dtype):
    """A with AᵀA the Gauss–Newton matrix, and r with ∇L = Aᵀr.

    Args:
        objective: `Objective`.
        variables: List of the trainable variables.
        solver: `"cholesky"`, `"qr"` or `"dual"`.
        slice_size: Int, samples whose Jacobian is held at once; `"dual"`
            holds all of them.
        dtype: Name of the float type in which normal equations are held.

    Returns:
        Tuple `(system, is_mixed)`: an object of `keras_curvature.linalg`, and
        a scalar bool tensor, whether outputs depend on other samples.
    """
    form = objective.form
    if solver == "dual":
        columns, is_mixed = _columns(
            objective, variables, objective.inputs, objective.outputs, form
        )
        rows = _joined(columns)
        residuals = tf.reshape(form.residuals, (-1,))
        if objective.penalty is not None:
            root, more = _penalty_rows(objective)
            rows = tf.concat([rows, tf.linalg.diag(root)], axis=0)
            residuals = tf.concat([residuals, more], axis=0)
        return DualEquations(rows, residuals), is_mixed
    kind = _SLICED[solver]
    if solver != "cholesky":
        dtype = objective.weights.dtype
    empty = kind.empty(objective.weights.shape[0], dtype)

    def add(state, inputs, outputs, form):
        rows, is_mixed = state
        columns, is_mixed_here = _columns(
            objective, variables, inputs, outputs, form
        )
        # In one go: to append r to a large A would copy it.
        new = _joined([*columns, form.residuals[..., tf.newaxis]])
        rows = kind.add_rows(rows, tf.cast(new, dtype))
        return rows, is_mixed | is_mixed_here

    state, is_mixed = sum_over_slices(
        add, (empty, tf.constant(False)), objective, slice_size
    )
    if objective.penalty is not None:
        diagonal, residuals = (
            tf.cast(t, dtype) for t in _penalty_rows(objective)
        )
        state = kind.add_diagonal(state, diagonal, residuals)
    return kind(*state), is_mixed


def _penalty_rows(objective):
    """The diagonal of A and the r of a penalty ½ Σ c·w²: √c and √c·w."""
    root = tf.sqrt(objective.penalty)
    return root, root * objective.weights


def _columns(objective, variables, inputs, outputs, form):
    """A for some samples, and whether they are mixed with others.

    A is a list of tensors of shape `(samples, m, size)`, one a variable.
    """
    alone, jacobians = per_sample_jacobian(
        objective.outputs_of, inputs, variables, unconnected_gradients="zero"
    )
    width = outputs.shape[1]
    columns = [
        form.push(tf.reshape(j, (-1, width, v.value.shape.num_elements())))
        for j, v in zip(jacobians, variables, strict=True)
    ]
    difference = tf.reduce_max(tf.abs(outputs - alone))
    return columns, difference > _MISMATCH * tf.reduce_max(tf.abs(outputs))


def _joined(columns):
    """One matrix with a row for each output of each sample."""
    rows = tf.concat(columns, axis=2)
    return tf.reshape(rows, (-1, rows.shape[2]))
