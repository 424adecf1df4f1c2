"""The only functions of this package that use private TensorFlow names.

Public `tf.gradients` differentiates only tensors of the current graph: in a
branch of `tf.cond` or the body of `tf.while_loop` it returns None for
gradients captured from outside. tests/autodiff/test_tensorflow_private.py
says what broke when TensorFlow moves one of these names.
"""

import tensorflow as tf
from tensorflow.python.ops import control_flow_util, gradients_util


def gradients_in_graph(outputs, sources, output_gradients, graph):
    """`tf.gradients` of tensors of `graph`, built in the current graph."""
    return gradients_util._GradientsHelper(
        outputs, sources, grad_ys=output_gradients, src_graph=graph
    )


def in_xla_context():
    """Whether the function being traced was given `jit_compile=True`."""
    return control_flow_util.GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )
