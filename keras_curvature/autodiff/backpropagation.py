"""First derivatives in a graph that is there already."""

import tensorflow as tf

from keras_curvature.autodiff._float16 import scale_for_float16, times
from keras_curvature.autodiff.tensorflow_private import gradients_in_graph


def backpropagate(outputs, cotangents, sources):
    """∂ Σ outputs·cotangents / ∂ sources, built in the current graph.

    The sources are tensors of the outputs' graph, which may enclose the
    current one, as that of a branch of `tf.cond` is enclosed.

    Args:
        outputs: List of symbolic tensors of one graph.
        cotangents: List of tensors with the shapes of the outputs.
        sources: List of tensors of the graph, handles of variables included.

    Returns:
        List of dense tensors, None where no output depends on the source.
    """
    graph = outputs[0].graph
    scale = None
    if any(output.dtype == tf.float16 for output in [*outputs, *sources]):
        # Cotangents of rows of a large batch would vanish in float16.
        scale = scale_for_float16(cotangents)
        cotangents = times(cotangents, scale)
    with tf.name_scope("backpropagation"):
        derivatives = gradients_in_graph(outputs, sources, cotangents, graph)
    derivatives = [
        None if d is None else tf.convert_to_tensor(d) for d in derivatives
    ]
    if scale is None:
        return derivatives
    return [
        None if d is None else tf.cast(d, tf.float32) / scale
        for d in derivatives
    ]
