"""Rows that are cut out of a table, as those of the first positions."""

import tensorflow as tf

from keras_curvature.operators.kronecker.elementwise import is_sum
from keras_curvature.operators.kronecker.layer_use import LayerUse

_MASKS = (
    "begin_mask",
    "end_mask",
    "ellipsis_mask",
    "new_axis_mask",
    "shrink_axis_mask",
)


class SlicedTable(LayerUse):
    """z = a + W[start:stop], or these rows for each sample.

    As an embedding: A is diagonal, and the rows share G.
    """

    has_dense_inputs = False
    takes_bias = False

    def __init__(self, layout, output, slicing):
        super().__init__(layout, output)
        self._slicing = slicing

    @classmethod
    def match(cls, use, forward):
        slicing, shape = use.operation, use.layout.viewed_shape
        if slicing.type not in ("Slice", "StridedSlice") or use.position:
            return None
        rows = slicing.outputs[0]
        if len(shape) != 2 or rows.shape.rank != 2 or rows.shape[1] != shape[1]:
            return None
        output = _of_samples(rows, forward)
        if output is None or not _keeps_the_order(slicing):
            return None
        return cls(use.layout.reshape(1, *shape), output, slicing)

    def indices(self):
        """Which row each position adds, `(batch, positions)`."""
        _, count, width = self.layout.viewed_shape
        numbers = tf.broadcast_to(tf.range(count)[:, None], (count, width))
        rows = _sliced(numbers, self._slicing)[:, 0]
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
    same = output.shape[1] == rows.shape[0] and output.shape[0] != 1
    return output if same and output.shape[2] == rows.shape[1] else None


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
