"""Which weights form a block A ⊗ G, and where its layer is used."""

import math
from typing import NamedTuple

from keras_curvature.operators.kronecker.elementwise import is_bias_add
from keras_curvature.operators.kronecker.kinds import layer_use
from keras_curvature.operators.kronecker.layout import Block, Layout
from keras_curvature.operators.kronecker.weight_uses import ForwardGraph

_VIEWS = ("Reshape", "Squeeze", "Identity", "BatchToSpaceND")


class Plan(NamedTuple):
    """The blocks of a model, found in the graph of its outputs.

    Attributes:
        forward: `ForwardGraph` of the outputs.
        blocks: List of `Block`s, which hold each variable once.
        uses: For each block the list of its `LayerUse`s; empty for a block
            without factors.
    """

    forward: ForwardGraph
    blocks: list
    uses: list


def kronecker_plan(outputs, variables, max_factor_size):
    """Finds the layers that use the variables.

    Args:
        outputs: List of symbolic tensors, what the loss takes of the model.
        variables: List of the trainable variables.
        max_factor_size: Int. A or G of more rows than this is kept as its
            diagonal.

    Returns:
        A `Plan`.
    """
    forward = ForwardGraph(outputs)
    found = [_layer_uses(forward, variable) for variable in variables]
    biases = _biases(forward, variables, found)
    taken = set(biases.values())
    blocks, uses = [], []
    for index, variable in enumerate(variables):
        if index in taken:
            continue
        of_layer = found[index]
        if not of_layer:
            layout = Layout(tuple(variable.shape)).vector()
            block = Block(
                index, layout, has_dense_outputs=False, has_factors=False
            )
        else:
            block = _block(index, of_layer, biases.get(index), max_factor_size)
        blocks.append(block)
        uses.append(of_layer)
    return Plan(forward, blocks, uses)


def _layer_uses(forward, variable):
    """The `LayerUse`s of a variable; none unless all are of one layout."""
    uses = forward.uses(variable)
    layers = [layer_use(use, forward) for use in uses]
    if not layers or None in layers:
        return []
    first = layers[0]
    alike = all(
        type(layer) is type(first) and layer.layout == first.layout
        for layer in layers
    )
    return layers if alike else []


def _block(index, layers, bias, max_factor_size):
    layout = layers[0].layout
    _, inputs, outputs = layout.viewed_shape
    return Block(
        index,
        layout,
        bias=bias,
        has_dense_inputs=layers[0].has_dense_inputs
        and inputs + (bias is not None) <= max_factor_size,
        has_dense_outputs=outputs <= max_factor_size,
    )


def _biases(forward, variables, found):
    """{index of a kernel: index of the bias that is added to its product}."""
    owners = {}
    for index, layers in enumerate(found):
        for layer in layers:
            if layer.takes_bias:
                owners[layer.output.ref()] = index
    pairs = {}
    for index, variable in enumerate(variables):
        added_to = {
            _owner_behind_views(_added_to_last_axes(use), owners)
            for use in forward.uses(variable)
        }
        if len(added_to) != 1 or None in added_to:
            continue
        (kernel,) = added_to
        uses = len(forward.uses(variable))
        layer = found[kernel][0]
        groups, _, outputs = layer.layout.viewed_shape
        size = math.prod(variable.shape)
        if (
            size == groups * outputs
            and uses == len(found[kernel])
            and getattr(layer, "outputs_in_order", True)
            and kernel not in pairs
        ):
            pairs[kernel] = index
    return pairs


def _added_to_last_axes(use):
    """What a weight is added to along the last axes alone, or None."""
    summand = _summand(use)
    shape = list(use.layout.viewed_shape)
    while shape and shape[0] == 1:
        del shape[0]
    if summand is None or summand.shape.rank in (None, *range(len(shape))):
        return None
    last = summand.shape[summand.shape.rank - len(shape) :]
    return summand if last.is_compatible_with(shape) else None


def _summand(use):
    """What a weight is added to, or None."""
    operation = use.operation
    if use.position == 1 and is_bias_add(operation, b"NHWC"):
        return operation.inputs[0]
    if operation.type in ("Add", "AddV2"):
        return operation.inputs[1 - use.position]
    return None


def _owner_behind_views(tensor, owners):
    """The kernel whose product a tensor is, seen through reshapes, or None."""
    while tensor is not None and tensor.ref() not in owners:
        if tensor.op.type not in _VIEWS:
            return None
        tensor = tensor.op.inputs[0]
    return None if tensor is None else owners[tensor.ref()]
