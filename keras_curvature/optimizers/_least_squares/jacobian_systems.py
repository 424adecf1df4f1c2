"""The least-squares system of a batch, from Jacobians of its samples."""

import tensorflow as tf

from keras_curvature._control_flow import cond
from keras_curvature.autodiff.per_sample import per_sample_jacobian
from keras_curvature.linalg import (
    DualEquations,
    NormalEquations,
    StackedQR,
)
from keras_curvature.optimizers._least_squares.slices import sum_over_slices

# Below so many, the size of the matrix to factorize matters little, nor that
# it is made in float64.
_DUAL_WEIGHTS = 256
# Above so many, AᵀA has 8 GiB and more in float32, and where there are as many
# residuals A has too. To trace a step that no machine takes costs as much as
# to trace the other.
_CHOLESKY_WEIGHTS = 46340
# By rounding, outputs of a sample alone differ from those within a batch:
# much where an output is a small difference of large numbers.
_MISMATCH = 0.05


def by_numbers(objective, step):
    """`step(solver)` by the solver that suits the numbers of rows and weights.

    Args:
        objective: `Objective`.
        step: Callable that maps `"cholesky"`, `"qr"` or `"dual"` to tensors.
    """
    size = objective.weights.shape[0]
    # Of so few QR costs little beside the rest of a step.
    if objective.is_fit:
        return step("qr")
    # A penalty adds a row for each weight.
    if size < _DUAL_WEIGHTS or objective.penalty is not None:
        return step("cholesky")
    if size > _CHOLESKY_WEIGHTS:
        return step("dual")
    is_dual = objective.has_fewer_residuals
    if isinstance(is_dual, bool):
        # Each form that is traced holds the model and its derivatives.
        return step("dual" if is_dual else "cholesky")
    return cond(
        is_dual,
        lambda: step("dual"),
        lambda: step("cholesky"),
    )


def jacobian_system(objective, variables, solver, slice_size):
    """A with AᵀA the Gauss–Newton matrix, and r with ∇L = Aᵀr.

    Args:
        objective: `Objective`.
        variables: List of the trainable variables.
        solver: `"cholesky"`, `"qr"` or `"dual"`.
        slice_size: Int, samples whose Jacobian is held at once; `"dual"`
            holds all of them.

    Returns:
        Tuple `(system, is_mixed)`: a `LeastSquaresSystem`, and a scalar bool
        tensor, whether outputs depend on other samples.
    """
    weights = objective.weights
    if solver == "dual":
        system, is_mixed = _dual_equations(objective, variables)
    else:
        if solver == "qr":
            empty = StackedQR.zeros(weights.shape[0], weights.dtype)
        else:
            size = weights.shape[0]
            # In float32 normal equations would keep three digits.
            dtype = "float64" if size < _DUAL_WEIGHTS else weights.dtype
            empty = _no_equations(weights, dtype)
        system, is_mixed = _summed(objective, variables, empty, slice_size)
    if objective.penalty is not None:
        # The rows and residuals of a penalty ½ Σ p·w²: diag(√p) and √p·w.
        root = tf.sqrt(objective.penalty)
        system = system.with_diagonal(
            *(tf.cast(t, system.gradient.dtype) for t in (root, root * weights))
        )
    return system, is_mixed


def _no_equations(weights, dtype):
    """`NormalEquations.zeros`, made only where it is used.

    TensorFlow computes constants when a graph is loaded, also those of a
    branch that is never taken, and n×n numbers of a large model have no room.
    """
    size = weights.shape[0]
    # 1 for NaN, of which no step is taken.
    largest = tf.reduce_max(weights)
    zero = tf.cast(largest != largest, dtype)
    return NormalEquations(tf.fill((size, size), zero), tf.fill((size,), zero))


def _dual_equations(objective, variables):
    """`jacobian_system` with all rows at once."""
    rows, is_mixed = [], tf.constant(False)
    for part in objective.parts:
        columns, is_mixed_here = _columns(objective, variables, *part)
        rows.append(_joined(columns))
        is_mixed |= is_mixed_here
    matrix = rows[0] if len(rows) == 1 else tf.concat(rows, axis=0)
    residuals = tf.reshape(objective.form.residuals, (-1,))
    return DualEquations.from_rows(matrix, residuals), is_mixed


def _summed(objective, variables, empty, slice_size):
    """`jacobian_system` from slices whose rows are added to `empty`."""

    def add(state, inputs, outputs, form):
        system, is_mixed = state
        columns, is_mixed_here = _columns(
            objective, variables, inputs, outputs, form
        )
        # In one go: to append r to a large A would copy it.
        rows = _joined([*columns, tf.expand_dims(form.residuals, -1)])
        rows = tf.cast(rows, system.gradient.dtype)
        return system.with_rows(rows), is_mixed | is_mixed_here

    return sum_over_slices(
        add, (empty, tf.constant(False)), objective, slice_size
    )


def _columns(objective, variables, inputs, outputs, form):
    """A for some samples, and whether they are mixed with others.

    A is a list of tensors of shape `(samples, m, size)`, one a variable that
    is not empty.
    """
    chain = objective.chain_of(inputs)
    if chain is not None:
        unit_vectors = tf.eye(outputs.shape[1], dtype=outputs.dtype)
        cotangents = form.push(tf.expand_dims(unit_vectors, 0))
        # Its samples are not mixed.
        return chain.rows(cotangents), tf.constant(False)
    variables = [v for v in variables if v.value.shape.num_elements()]
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
