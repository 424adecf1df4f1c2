"""Jacobians of each sample's outputs, weight after weight."""

import functools

import numpy as np
import tensorflow as tf

from keras_curvature._control_flow import cond
from keras_curvature.autodiff.hessian import refuse_unconnected
from keras_curvature.autodiff.repairs.context import differentiated_twice
from keras_curvature.autodiff.repairs.errors import SecondDerivativeError

# A backward pass over the batch, for a weight, takes longer than one of a
# sample, for an output, but seldom by more than this where loops are slow.
_WEIGHTS_FOR_AN_OUTPUT = 64


def columns_or_rows(outputs_fn, inputs, variables, unconnected, rows):
    """Columns where they take fewer passes and samples are not mixed.

    Args:
        outputs_fn: Callable that maps a batch of inputs to outputs.
        inputs: Tensor of shape `(batch, ...)` or nested structure of such.
        variables: List of `tf.Variable`s.
        unconnected: `"none"` or `"zero"`.
        rows: Callable without arguments that returns the outputs and their
            Jacobians, by one pass for each output of each sample.

    Returns:
        What `rows` returns, and whether columns may have been taken.
    """
    size = sum(v.shape.num_elements() for v in variables)
    ends = [_outputs_of(outputs_fn, inputs, s) for s in _ENDS]
    width = _width(ends[0])
    if (
        width is None
        or size > _WEIGHTS_FOR_AN_OUTPUT * width
        or any(v.dtype != ends[0].dtype for v in variables)
    ):
        return rows(), False
    data = tf.nest.flatten(inputs)[0]
    batch = data.shape[0]
    is_fewer = (
        size + 1 < (tf.shape(data)[0] if batch is None else batch) * width
    )
    if is_fewer is False:
        return rows(), False
    try:
        columns = _Columns(outputs_fn, inputs, variables, unconnected)
        is_alone = _is_alone(columns.outputs, ends)
        return cond(is_fewer & is_alone, columns.results, rows), True
    except (LookupError, NotImplementedError, SecondDerivativeError):
        # No derivative of the gradient; rows need none.
        return rows(), False


# Of samples that are mixed, one of these differs from itself alone.
_ENDS = (slice(None, 1), slice(-1, None))


def _outputs_of(outputs_fn, inputs, samples):
    inputs = tf.nest.map_structure(lambda t: t[samples], inputs)
    return tf.convert_to_tensor(outputs_fn(inputs))


def _width(outputs):
    """The number of outputs of a sample, None where there is no batch."""
    if not outputs.shape.rank or outputs.shape[0] not in (None, 1):
        return None
    return outputs.shape[1:].num_elements()


def _is_alone(outputs, ends):
    """Whether the first and the last sample have the outputs they had alone."""
    epsilon = np.finfo(outputs.dtype.as_numpy_dtype).eps
    differences = [
        tf.reduce_max(tf.abs(outputs[s] - end))
        for s, end in zip(_ENDS, ends, strict=True)
    ]
    largest = tf.reduce_max(tf.abs(outputs))
    return tf.reduce_max(differences) <= float(np.sqrt(epsilon)) * largest


class _Columns:
    """J·e of each unit vector e, from the derivative of Jᵀ·u by u.

    Jᵀ·u is linear in u, so that it is taken once, at u = 0, and each column
    is one more pass.
    """

    def __init__(self, outputs_fn, inputs, variables, unconnected):
        self._variables = variables
        self._tape = tf.GradientTape(persistent=True)
        with differentiated_twice(), self._tape:
            with tf.GradientTape() as tape:
                tape.watch(variables)
                self.outputs = tf.convert_to_tensor(outputs_fn(inputs))
            self._cotangents = tf.zeros_like(self.outputs)
            self._tape.watch(self._cotangents)
            pulled = tape.gradient(
                self.outputs, variables, self._cotangents, unconnected
            )
            refuse_unconnected(pulled, variables, "The outputs")
            self._pulled = tf.concat(
                [tf.reshape(tf.convert_to_tensor(p), (-1,)) for p in pulled], 0
            )

    def results(self):
        """The outputs and their Jacobians, one tensor for each variable."""
        size = self._pulled.shape[0]
        outputs = self.outputs
        with differentiated_twice():
            columns = tf.map_fn(
                functools.partial(self._column, size),
                tf.range(size),
                fn_output_signature=tf.TensorSpec(outputs.shape, outputs.dtype),
            )
        order = [*range(1, columns.shape.rank), 0]
        parts = tf.split(
            tf.transpose(columns, order),
            [v.shape.num_elements() for v in self._variables],
            axis=-1,
        )
        return outputs, [
            tf.reshape(p, tf.concat([tf.shape(outputs), v.shape], 0))
            for p, v in zip(parts, self._variables, strict=True)
        ]

    def _column(self, size, k):
        return self._tape.gradient(
            self._pulled,
            self._cotangents,
            tf.one_hot(k, size, dtype=self._pulled.dtype),
            "zero",
        )
