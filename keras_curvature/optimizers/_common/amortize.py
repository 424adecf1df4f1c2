"""Curvature that is computed on some steps and held on the others."""

import tensorflow as tf

from keras_curvature._control_flow import has_accelerator
from keras_curvature.autodiff.tensorflow_private import in_xla_context


def amortize(is_due, compute, held):
    """`compute()` on the steps that are due, `held` on the others.

    Args:
        is_due: Scalar bool tensor.
        compute: Callable without arguments that returns a list of tensors.
        held: List of tensors of the same shapes and dtypes.
    """
    if tf.executing_eagerly():
        return compute() if is_due else held
    if branches_are_slow():
        return [
            tf.where(is_due, fresh, old)
            for fresh, old in zip(compute(), held, strict=True)
        ]
    return tf.cond(is_due, compute, lambda: held)


def branches_are_slow():
    """Whether a skipped branch would cost more than computing it always.

    XLA brings convolutions into the form of its fast kernel on a CPU only
    outside of branches; inside, one was measured 70 times slower. Computing
    the products on every step cost 1.05 times the step instead.
    """
    if not in_xla_context() or has_accelerator():
        return False
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        if any("Conv" in op.type for op in graph.get_operations()):
            return True
        graph = getattr(graph, "outer_graph", None)
    return False
