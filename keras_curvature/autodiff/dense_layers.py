"""Finds the dense layers of a network among its operations."""

import tensorflow as tf

from keras_curvature.autodiff.dense_chain import DenseChain, Layer
from keras_curvature.autodiff.repairs.context import differentiated_twice
from keras_curvature.autodiff.repairs.errors import SecondDerivativeError
from keras_curvature.autodiff.variables import as_tf_variable

# Operations whose entries depend on the entry of the input in their place, of
# which TensorFlow knows two derivatives.
_ELEMENTWISE = {
    "AddV2",
    "Cos",
    "Elu",
    "Erf",
    "Erfc",
    "Exp",
    "Identity",
    "LeakyRelu",
    "Mul",
    "Neg",
    "RealDiv",
    "Relu",
    "Relu6",
    "Selu",
    "Sigmoid",
    "Sin",
    "Softplus",
    "Square",
    "Sub",
    "Tanh",
}
# What besides them and products is in the loss of a network of dense layers.
_AROUND_LAYERS = _ELEMENTWISE | {
    "Abs",
    "BiasAdd",
    "Cast",
    "Const",
    "DivNoNan",
    "Log",
    "Maximum",
    "Mean",
    "Minimum",
    "Placeholder",
    "Prod",
    "Range",
    "ReadVariableOp",
    "Reshape",
    "Shape",
    "SquaredDifference",
    "Squeeze",
    "StridedSlice",
    "Sum",
}


def is_of_dense_layers(tensor):
    """Whether a tensor is computed by dense layers and on their entries alone.

    No derivative is among the operations then, each of which has many.

    Args:
        tensor: The loss of a step, say.
    """
    if not tf.is_symbolic_tensor(tensor):
        return False
    seen, pending = set(), [tensor.op]
    while pending:
        operation = pending.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        if operation.type not in _AROUND_LAYERS and not (
            operation.type == "MatMul" and not _is_transposed(operation)
        ):
            return False
        pending.extend(value.op for value in operation.inputs)
    return True


def dense_chain(outputs, inputs, variables):
    """The `DenseChain` of a tensor, or None where it is of another kind.

    Args:
        outputs: Tensor of shape `(batch, m)`, computed in the current graph.
        inputs: What it was computed from.
        variables: List of all the variables by which it is differentiated.
    """
    graph = tf.compat.v1.get_default_graph()
    if not _is_of(graph, outputs) or not _is_of(graph, inputs):
        return None
    handles = {id(outer): inner.name for outer, inner in graph.captures}
    names = [handles.get(id(as_tf_variable(v).handle)) for v in variables]
    places = {name: place for place, name in enumerate(names)}
    found = _found(outputs, inputs, places)
    if found is None or sorted(
        place for *_, pair in found for place in pair if place is not None
    ) != list(range(len(variables))):
        return None
    try:
        return DenseChain([_differentiated(*parts) for parts in found[::-1]])
    except (LookupError, NotImplementedError, SecondDerivativeError):
        return None


def _is_of(graph, tensor):
    return (
        getattr(graph, "building_function", False)
        and tf.is_symbolic_tensor(tensor)
        and isinstance(tensor, tf.Tensor)
        and tensor.graph is graph
        and tensor.shape.rank == 2
        and tensor.dtype.is_floating
    )


def _found(outputs, inputs, places):
    """The parts of each layer, the last first, or None."""
    found, tensor = [], outputs
    while tensor.name != inputs.name:
        before = _argument(tensor, inputs)
        layer = before is not None and _linear(before, places)
        if not layer:
            return None
        found.append((tensor, before, *layer))
        tensor = layer[0]
    return found


def _argument(tensor, inputs):
    """z of a tensor f(z), f on single entries, z of a layer; or None."""
    found, seen, pending = {}, set(), [tensor]
    while pending:
        tensor = pending.pop()
        operation = tensor.op
        if tensor.name in seen:
            continue
        seen.add(tensor.name)
        if _product(operation) is not None:
            found[tensor.name] = tensor
        elif operation.type in _ELEMENTWISE and tensor.name != inputs.name:
            pending.extend(operation.inputs)
        elif tensor.shape.rank or tf.get_static_value(tensor) is None:
            return None
    return found.popitem()[1] if len(found) == 1 else None


def _product(operation):
    """The product h·W of an operation that computes it or adds b, or None."""
    if operation.type in ("BiasAdd", "AddV2"):
        product, bias = operation.inputs
        if bias.op.type != "ReadVariableOp":
            return None
        operation = product.op
    return operation if operation.type == "MatMul" else None


def _linear(tensor, places):
    """h, W and the places of W and b for a tensor h·W + b, or None."""
    product = _product(tensor.op)
    x, kernel = product.inputs
    read = [kernel]
    if product is not tensor.op:
        read.append(tensor.op.inputs[1])
    found = [
        places.get(t.op.inputs[0].name)
        if t.op.type == "ReadVariableOp"
        else None
        for t in read
    ]
    if (
        _is_transposed(product)
        or None in found
        or read[-1].shape[-1:] != tensor.shape[-1:]
        # Not an offset for each sample.
        or any(b.shape.num_elements() != tensor.shape[-1] for b in read[1:])
    ):
        return None
    return x, kernel, (*found, None)[:2]


def _is_transposed(product):
    return any(product.get_attr(f"transpose_{side}") for side in ("a", "b"))


def _differentiated(tensor, argument, inputs, kernel, places):
    """The `Layer` of these parts."""
    slope = curvature = None
    if tensor is not argument:
        with differentiated_twice():
            (slope,) = tf.gradients(tensor, argument)
            (curvature,) = tf.gradients(
                slope, argument, unconnected_gradients="zero"
            )
    return Layer(inputs, kernel, places, slope, curvature)
