"""Curvature of an unmodified Keras model, from the graph of its gradients."""

from collections.abc import Sequence

import tensorflow as tf

from keras_curvature._typing import Variables
from keras_curvature.autodiff._float16 import scale_for_float16, times
from keras_curvature.autodiff.curvature import Curvature
from keras_curvature.autodiff.repairs.context import differentiated_twice
from keras_curvature.autodiff.repairs.nested import (
    refuse_inexact_nested_derivatives,
)
from keras_curvature.autodiff.tensorflow_private import gradients_in_graph
from keras_curvature.autodiff.variables import as_tf_variable


class GradientGraph(Curvature):
    """Hessian products by differentiating symbolic gradients once more.

    In a `tf.function` the gradients of a loss are symbolic tensors of the
    function's graph. They are differentiated again, with no second forward
    pass, so the Hessian is that of the very loss of this step: the same
    dropout mask, the same batch statistics, regularizers included.

        H·v = ∂(gᵀv)/∂w    (Pearlmutter 1994)

    The gradients may have been computed in an enclosing function and may have
    been transformed by the current one, as `keras.optimizers.
    LossScaleOptimizer` divides them by its scale in a branch of `tf.cond`:
    the product passes through such transformations, scale and all.

    Args:
        gradients: List of symbolic tensors or `tf.IndexedSlices`.
        variables: List of `keras.Variable`s or `tf.Variable`s.

    Raises:
        RuntimeError: if the gradients are eager tensors, which have no graph.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.autodiff import GradientGraph

    w = tf.Variable([1.0, 2.0])

    @tf.function
    def step(v):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(w**3)
        gradients = tape.gradient(loss, [w])
        return GradientGraph(gradients, [w]).hessian_vector_product([v])

    step(tf.constant([1.0, 1.0]))  # [[6, 12]], the Hessian is diag(6 w)
    ```

    References:
        Pearlmutter, 1994, "Fast exact multiplication by the Hessian", Neural
        Computation 6(1), section 3.
    """

    def __init__(
        self,
        gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
        variables: Variables,
    ) -> None:
        super().__init__(gradients, variables)
        if any(_is_eager(g) for g in self.gradients if g is not None):
            raise RuntimeError(
                "`gradients` must be symbolic tensors of a `tf.function`, "
                "whose graph can be differentiated again. Received: eager "
                "tensors. Use keras_curvature.Model or "
                "keras_curvature.Sequential, or open a "
                "keras_curvature.autodiff.CurvatureTape around the whole "
                "training step."
            )

        refuse_inexact_nested_derivatives(self.gradients)

    def _differentiate(self, outputs, cotangents):
        handles = [as_tf_variable(v).handle for v in self.variables]
        totals = [None] * len(handles)
        pending = [list(pair) for pair in zip(outputs, cotangents, strict=True)]
        with (
            differentiated_twice(),
            tf.name_scope("hessian_vector_product"),
        ):
            scale = None
            while pending:
                graph = max((y.graph for y, _ in pending), key=_depth)
                if scale is None and _computes_in_float16(graph):
                    # Here and not before: what lies between, as the division
                    # by the loss scale, computes in float32.
                    outputs, cotangents = zip(*pending, strict=True)
                    scale = scale_for_float16(cotangents)
                    cotangents = times(cotangents, scale)
                    pending = list(zip(outputs, cotangents, strict=True))
                    totals = times(totals, scale)
                level = [pair for pair in pending if pair[0].graph is graph]
                pending = [p for p in pending if p[0].graph is not graph]
                partial, outer = _differentiate_level(graph, level, handles)
                totals = list(map(_add, totals, partial))
                pending += outer
        return totals if scale is None else times(totals, 1 / scale)


def _differentiate_level(graph, level, handles):
    """Derivatives within one function graph, by variables and by captures.

    Returns the derivatives by the variables that this graph reads, and the
    pairs (captured tensor of an enclosing graph, its cotangent) through which
    the outputs depend on that graph.
    """
    outputs, cotangents = zip(*level, strict=True)
    inside = {
        id(outer): inner for outer, inner in getattr(graph, "captures", ())
    }
    sources, places = [], []
    for place, handle in enumerate(handles):
        if id(handle) in inside:
            sources.append(inside[id(handle)])
            places.append((place, None))
        elif not _is_eager(handle) and handle.graph is graph:
            sources.append(handle)
            places.append((place, None))
    for outer, inner in getattr(graph, "captures", ()):
        if not _is_eager(outer) and outer.dtype.is_floating:
            sources.append(inner)
            places.append((None, outer))
    partial = [None] * len(handles)
    captured = []
    if not sources:
        return partial, captured
    derivatives = gradients_in_graph(outputs, sources, cotangents, graph)
    for (place, outer), derivative in zip(places, derivatives, strict=True):
        if derivative is None:
            continue
        if outer is None:
            partial[place] = _add(partial[place], derivative)
        else:
            captured.append([outer, tf.convert_to_tensor(derivative)])
    return partial, captured


def _computes_in_float16(graph):
    return any(
        output.dtype == tf.float16
        for operation in graph.get_operations()
        for output in operation.outputs
    )


def _is_eager(tensor):
    if isinstance(tensor, tf.IndexedSlices):
        tensor = tensor.values
    return not tf.is_symbolic_tensor(tensor)


def _depth(graph):
    depth = 0
    while getattr(graph, "outer_graph", None) is not None:
        graph, depth = graph.outer_graph, depth + 1
    return depth


def _add(left, right):
    if left is None or right is None:
        return right if left is None else left
    return tf.convert_to_tensor(left) + tf.convert_to_tensor(right)
