"""Rows of a table that all samples share, as those of their positions."""

import tensorflow as tf

from keras_curvature.operators.kronecker.elementwise import is_sum
from keras_curvature.operators.kronecker.embedding import looks_up_rows
from keras_curvature.operators.kronecker.layer_use import LayerUse

_LOOKUPS = ("GatherV2", "ResourceGather")
_MASKS = (
    "begin_mask",
    "end_mask",
    "ellipsis_mask",
    "new_axis_mask",
    "shrink_axis_mask",
)


class SharedRows(LayerUse):
    """z = a + W[rows] with the same rows of W for all samples.

    As slices `W[start:stop]`, or looked up by the numbers of positions. As an
    embedding: A is diagonal, and the rows share G.
    """

    has_dense_inputs = False
    takes_bias = False

    def __init__(self, layout, output, picking):
        super().__init__(layout, output)
        self._picking = picking

    @classmethod
    def match(cls, use, forward):
        picking, shape = use.operation, use.layout.viewed_shape
        if use.position or len(shape) != 2 or not _picks_rows(picking):
            return None
        rows = picking.outputs[0]
        if rows.shape.rank not in (2, 3) or rows.shape[-1] != shape[1]:
            return None
        output = _of_samples(rows, forward)
        if output is None:
            return None
        return cls(use.layout.reshape(1, *shape), output, picking)

    def has_samples(self):
        # By its rank, also where it holds nothing but repeated rows.
        return True

    def indices(self):
        """Which row each position adds, `(batch, positions)`."""
        if self._picking.type in _LOOKUPS:
            rows = tf.reshape(self._picking.inputs[1], [-1])
        else:
            _, count, width = self.layout.viewed_shape
            numbers = tf.broadcast_to(tf.range(count)[:, None], (count, width))
            rows = _sliced(numbers, self._picking)
            rows = tf.reshape(rows, (-1, width))[:, 0]
        shape = (tf.shape(self.output)[0], tf.shape(rows)[0])
        return tf.broadcast_to(rows, shape)

    def signals(self, cotangent):
        batch, width = tf.shape(cotangent)[0], self.layout.viewed_shape[2]
        return tf.reshape(cotangent, (batch, -1, 1, width))


def _of_samples(rows, forward):
    """What the rows become where the samples come in, or None."""
    operation = forward.only_consumer(rows)
    if operation is None:
        return None
    output = operation.outputs[0]
    repeats = operation.type == "BroadcastTo"
    if not (repeats or is_sum(operation)) or output.shape.rank != 3:
        return None
    is_shared = rows.shape.rank == 2 or rows.shape[0] == 1
    same = output.shape[1] == rows.shape[-2] and output.shape[0] != 1
    same &= output.shape[2] == rows.shape[-1]
    return output if is_shared and same else None


def _picks_rows(operation):
    if operation.type in _LOOKUPS:
        return looks_up_rows(operation)
    is_slice = operation.type in ("Slice", "StridedSlice")
    return is_slice and _keeps_the_order(operation)


def _keeps_the_order(slicing):
    """Whether no axis is turned around or thinned out."""
    if slicing.type == "Slice":
        return True
    strides = tf.get_static_value(slicing.inputs[3])
    return strides is not None and (strides == 1).all()


def _sliced(tensor, operation):
    """The same slice of another tensor."""
    if operation.type == "Slice":
        return tf.slice(tensor, operation.inputs[1], operation.inputs[2])
    return tf.raw_ops.StridedSlice(
        input=tensor,
        begin=operation.inputs[1],
        end=operation.inputs[2],
        strides=operation.inputs[3],
        **{name: operation.get_attr(name) for name in _MASKS},
    )
