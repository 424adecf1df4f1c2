"""A loss that holds derivatives which TensorFlow differentiates wrongly.

In the graph of a training step each operation knows where it was created. One
that a tape created for a gradient lies in the scope "gradient_tape", and its
traceback holds the line that asked for that gradient. So an operation of a
gradient that another line asked for than the one that asked for the
gradients of the loss belongs to a derivative inside the loss.
"""

import re

import tensorflow as tf

from keras_curvature.autodiff.repairs.context import is_exact
from keras_curvature.autodiff.repairs.errors import (
    SecondDerivativeError,
    place,
)
from keras_curvature.autodiff.repairs.max_pooling import is_wrong_by_kernel
from keras_curvature.autodiff.repairs.moments import stops_mean_of_moments
from keras_curvature.autodiff.repairs.operations import (
    captured_tensor,
    created_in,
)
from keras_curvature.autodiff.repairs.table import SILENTLY_WRONG
from keras_curvature.autodiff.tensorflow_private import (
    functions_called_by,
    line_that_differentiates,
    operations_within,
    source_of_moments_gradient,
)

_TWICE = re.compile(r"gradient_tape/(.*/)?gradient(_tape|s)(_\d+)?/")
# No derivative passes through these.
_CONSTANT = ("StopGradient", "PreventGradient", "Sign")


def refuse_inexact_nested_derivatives(gradients):
    """Raises where the loss of these gradients holds a wrong derivative.

    Args:
        gradients: List of tensors, `tf.IndexedSlices` or None. Those that are
            eager are not looked at: they have no graph.
    """
    operations = [
        getattr(g, "values", g).op
        for g in gradients
        if g is not None and tf.is_symbolic_tensor(getattr(g, "values", g))
    ]
    if not operations or is_exact():
        return
    outermost = _lines(operations)
    suspects = {
        operation
        for graph in _with_outer_graphs(operations[0].graph)
        for operation in operations_within(graph)
        if _is_differentiated_wrongly(operation)
        and line_that_differentiates(operation) not in outermost
    }
    if not suspects:
        return
    before = _ancestors(operations)
    is_taken = {
        _kind_of_second_derivative(operation, outermost) for operation in before
    }
    found = suspects & before if "of operations" in is_taken else set()
    if "of functions" in is_taken:
        for function in functions_called_by(before):
            found.update(suspects & set(operations_within(function)))
    if found:
        first = min(found, key=lambda operation: operation.name)
        raise SecondDerivativeError(_message(first))


def _kind_of_second_derivative(operation, outermost):
    """What an operation of the gradients of the loss is a derivative of."""
    if _TWICE.search(operation.name):
        return "of operations"
    if (
        operation.type in ("PartitionedCall", "StatefulPartitionedCall")
        and line_that_differentiates(operation) in outermost
    ):
        return "of functions"
    return None


def _is_differentiated_wrongly(operation):
    """Whether TensorFlow's derivative of an operation of a gradient is."""
    if operation.type == "Sub":
        stop = operation.inputs[1].op
        return (
            stop.type == "StopGradient"
            and created_in(operation, *source_of_moments_gradient())
            and stops_mean_of_moments(stop)
        )
    if operation.type in ("MaxPoolGrad", "MaxPool3DGrad"):
        return is_wrong_by_kernel(operation)
    return operation.type in SILENTLY_WRONG


def _lines(operations):
    """The lines that asked for these gradients, before what came after."""
    lines, seen, pending = set(), set(), list(operations)
    while pending:
        operation = pending.pop()
        if operation in seen:
            continue
        seen.add(operation)
        line = line_that_differentiates(operation)
        if line is None:
            pending += _parents(operation)
        else:
            lines.add(line)
    return lines


def _ancestors(operations):
    """What these operations depend on, if by a derivative at all."""
    seen, pending = set(), list(operations)
    while pending:
        operation = pending.pop()
        if operation in seen or operation.type in _CONSTANT:
            continue
        seen.add(operation)
        pending += _parents(operation)
    return seen


def _parents(operation):
    """The operations of its inputs, those of an enclosing graph too."""
    if operation.type == "Placeholder":
        outer = captured_tensor(operation.outputs[0]).op
        return [] if outer is operation else [outer]
    return [tensor.op for tensor in operation.inputs]


def _with_outer_graphs(graph):
    while graph is not None:
        yield graph
        graph = getattr(graph, "outer_graph", None)


def _message(operation):
    kind = operation.type
    if kind == "Sub":
        kind = "tf.nn.moments (of a normalization layer)"
    return (
        f"The loss holds a derivative of {kind} in {place(operation)}, which "
        "TensorFlow differentiates wrongly without a word, so that the "
        "gradients of this loss are wrong. Instead: build the model as "
        "keras_curvature.Model or keras_curvature.Sequential, or open `with "
        "keras_curvature.autodiff.exact_derivatives():` around `fit` or "
        "around the tapes inside the model."
    )
