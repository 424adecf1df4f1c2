"""Matrix products: Dense on any rank, and most of EinsumDense."""

import math

import tensorflow as tf

from keras_curvature.operators.kronecker.layer_use import LayerUse, as_rows


class MatrixProduct(LayerUse):
    """z = a·W with a of shape `(..., inputs)`."""

    def __init__(self, layout, output, rows, batch_of):
        super().__init__(layout, output)
        self._rows = rows
        self._batch_of = batch_of

    @classmethod
    def match(cls, use, forward):
        operation = use.operation
        kinds = {"MatMul": "transpose", "BatchMatMulV2": "adj"}
        kind = kinds.get(operation.type)
        shape = use.layout.viewed_shape
        if kind is None or use.position != 1 or len(shape) != 2:
            return None
        flags = ("_a", "_b") if kind == "transpose" else ("_x", "_y")
        turned, weight_turned = (operation.get_attr(kind + f) for f in flags)
        if turned:
            return None
        layout = use.layout
        if weight_turned:
            layout, shape = layout.transpose(1, 0), shape[::-1]
        rows = operation.inputs[0]
        return cls(
            layout.reshape(1, *shape),
            operation.outputs[0],
            rows,
            _before_flattening(rows, shape[0]),
        )

    @property
    def positions(self):
        between = self._batch_of.shape[1:-1]
        return None if None in between else math.prod(between)

    def inputs(self):
        rows = tf.ensure_shape(
            self._rows,
            [*[None] * (self._rows.shape.rank - 1), self._width],
        )
        return self._as_rows(rows)

    def signals(self, cotangent):
        return self._as_rows(cotangent)

    @property
    def _width(self):
        return self.layout.viewed_shape[1]

    def _as_rows(self, tensor):
        batch = tf.shape(self._batch_of)[0]
        is_flat = self._batch_of is self._rows and self._rows.shape.rank == 2
        return as_rows(tensor, batch, 1 if is_flat else -1, groups=1)


def _before_flattening(rows, width):
    """The tensor whose leading axes were made one for the product."""
    source = rows
    while source.op.type in ("Reshape", "Transpose", "Identity"):
        if source.op.type == "Transpose":
            # tf.tensordot transposes by the identity.
            same = source.op.inputs[0].shape == source.shape
            if source.op.name.split("/")[-1] != "transpose" or not same:
                break
        source = source.op.inputs[0]
        rank = source.shape.rank
        if rank is not None and rank > 2 and source.shape[-1] == width:
            return source
    return rows
