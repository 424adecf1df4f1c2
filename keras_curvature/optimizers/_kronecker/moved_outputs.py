"""How a step of the weights moves a model's outputs, to first order."""

import tensorflow as tf

from keras_curvature.autodiff.backpropagation import backpropagate
from keras_curvature.operators.kronecker.weight_uses import ForwardGraph


def moved_outputs(outputs, variables, moves):
    """J·δ with the Jacobian J of the outputs by the weights.

    In the graph of the forward pass, so that it is that of the batch's own
    statistics. Jᵀu is linear in u, and its derivative by u, applied to δ, is
    J·δ.

    Args:
        outputs: List of symbolic tensors of one graph.
        variables: List of variables.
        moves: δ, tensors in the shapes of the variables.

    Returns:
        List of tensors in the shapes of the outputs.
    """
    forward = ForwardGraph(outputs)
    handles = [forward.handle(variable) for variable in variables]
    used = [
        (handle, move)
        for handle, move in zip(handles, moves, strict=True)
        if handle is not None
    ]
    cotangents = [tf.zeros_like(output) for output in outputs]
    pulled = backpropagate(outputs, cotangents, [handle for handle, _ in used])
    connected = [
        (part, tf.cast(move, part.dtype))
        for part, (_, move) in zip(pulled, used, strict=True)
        if part is not None
    ]
    moved = backpropagate(*map(list, zip(*connected, strict=True)), cotangents)
    return [
        tf.zeros_like(output) if move is None else move
        for output, move in zip(outputs, moved, strict=True)
    ]
