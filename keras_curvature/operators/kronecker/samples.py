"""Which tensors of a graph may hold a row for each sample."""

import tensorflow as tf

# What has its values from its first input alone.
_VIEWS = (
    "BroadcastTo",
    "ExpandDims",
    "Reshape",
    "Slice",
    "Squeeze",
    "StridedSlice",
    "Tile",
    "Transpose",
)
# What looks at no value of its inputs.
_SHAPES = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")


def may_hold_samples(tensor):
    """False for what is computed from weights, numbers and shapes alone.

    As are the numbers of positions that a table is looked up by, and products
    of two weights. A small constant array may be a batch that a function has
    captured.
    """
    seen, pending = set(), [tensor]
    while pending:
        tensor = pending.pop()
        operation = tensor.op
        is_number = tensor.shape.rank == 0
        if is_number or operation in seen or operation.type in _SHAPES:
            continue
        seen.add(operation)
        if not operation.inputs and tensor.dtype != tf.resource:
            return True
        is_view = operation.type in _VIEWS
        pending += operation.inputs[:1] if is_view else operation.inputs
    return False
