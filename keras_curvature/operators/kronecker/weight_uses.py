"""The operations of a model's graph that combine a weight with its inputs."""

from typing import NamedTuple

import tensorflow as tf

from keras_curvature.autodiff.variables import as_tf_variable
from keras_curvature.operators.kronecker.layout import Layout

# What passes a weight on as it is.
_SAME = (
    "Identity",
    "Cast",
    "ReadVariableOp",
    "StopGradient",
    "Reshape",
    "ExpandDims",
    "Squeeze",
    "Transpose",
)
# What looks at no value of the weight.
_SHAPES = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")


class WeightUse(NamedTuple):
    """An operation that a weight enters.

    Attributes:
        operation: `tf.Operation`.
        position: Int, which of its inputs is the weight.
        layout: `Layout`, what was done to the weight before.
    """

    operation: tf.Operation
    position: int
    layout: Layout


class ForwardGraph:
    """The part of a function graph that computes the outputs of a model.

    Gradients, regularizers and metrics, which read weights too, are no part
    of it.

    Args:
        outputs: List of symbolic tensors of one graph.
    """

    def __init__(self, outputs):
        self.graph = outputs[0].graph
        self.outputs = list(outputs)
        self._operations = ancestors(outputs)

    def consumers(self, tensor):
        """The operations of this part that a tensor enters."""
        return [
            operation
            for operation in tensor.consumers()
            if operation in self._operations and operation.type not in _SHAPES
        ]

    def only_consumer(self, tensor):
        """The one operation that a tensor enters, or None."""
        consumers = self.consumers(tensor)
        return consumers[0] if len(consumers) == 1 else None

    def handle(self, variable):
        """The tensor of this graph that stands for a variable, or None."""
        handle = as_tf_variable(variable).handle
        for outer, inner in self.graph.captures:
            if outer is handle:
                return inner
        return handle if getattr(handle, "graph", None) is self.graph else None

    def uses(self, variable):
        """List of the `WeightUse`s of a variable."""
        handle = self.handle(variable)
        if handle is None:
            return []
        found = []
        pending = [(handle, Layout(tuple(variable.shape)))]
        while pending:
            tensor, layout = pending.pop()
            for operation in self.consumers(tensor):
                position = [t is tensor for t in operation.inputs].index(True)
                after = _followed(operation, position, layout)
                if after is None:
                    found.append(WeightUse(operation, position, layout))
                else:
                    pending.append((operation.outputs[0], after))
        return found


def ancestors(outputs):
    """The operations that the tensors are computed by."""
    found = set()
    pending = [output.op for output in outputs]
    while pending:
        operation = pending.pop()
        if operation not in found:
            found.add(operation)
            pending += [tensor.op for tensor in operation.inputs]
    return found


def _followed(operation, position, layout):
    """The layout behind an operation that passes the weight on, or None."""
    if operation.type not in _SAME or position != 0:
        return None
    output = operation.outputs[0]
    if operation.type == "Transpose":
        permutation = tf.get_static_value(operation.inputs[1])
        return None if permutation is None else layout.transpose(*permutation)
    shape = tuple(output.shape) if output.shape.rank is not None else (None,)
    if None in shape:
        return None
    return layout if shape == layout.viewed_shape else layout.reshape(*shape)
