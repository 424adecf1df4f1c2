"""What of private TensorFlow the package stands on.

Besides it only `_control_flow.py` has a private name, in one place.

Public `tf.gradients` differentiates only tensors of the current graph: in a
branch of `tf.cond` or the body of `tf.while_loop` it returns None for
gradients captured from outside. tests/autodiff/test_tensorflow_private.py
says what broke when TensorFlow moves one of these names.
"""

import contextlib
import functools

import tensorflow as tf
from tensorflow.python.eager import context, record
from tensorflow.python.eager.polymorphic_function import concrete_function
from tensorflow.python.framework import ops, registry
from tensorflow.python.ops import (
    control_flow_util,
    ctc_ops,
    gradients_util,
    nn_impl,
)
from tensorflow.python.ops.parallel_for import pfor
from tensorflow.python.util import tf_decorator

# Modules and the functions in them behind every alias of `tf.nn.moments` and
# of `tf.nn.ctc_loss`.
MOMENTS = (nn_impl, "moments")
CTC = (ctc_ops, "ctc_loss_and_grad")
# The method that finds the gradient of a `tf.function`, and keeps it.
FUNCTION_GRADIENT = (
    concrete_function._DelayedRewriteGradientFunctions,
    "forward_backward",
)
TAPE_FUNCTIONS = (
    concrete_function.ConcreteFunction,
    "_select_forward_and_backward_functions",
)
# Files of TensorFlow whose functions a user calls for a gradient.
_DIFFERENTIATING = ("eager/backprop.py", "ops/gradients_impl.py")
# How TensorFlow vectorizes operations, by their type, and what holds a result.
VECTORIZATIONS = pfor._pfor_converter_registry
vectorized = pfor.wrap
_select_tape_functions = getattr(*TAPE_FUNCTIONS)
_MOMENTS = tf_decorator.unwrap(nn_impl.moments)[1]


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


def source_of_moments():
    """The (file, function) that a moments operation's traceback holds."""
    code = _MOMENTS.__code__
    return code.co_filename, code.co_name


def source_of_cumulative_product_gradient():
    """The (file, function) that the gradient of `cumprod` comes from."""
    return "math_grad.py", "_CumprodGrad"


def source_of_logarithm_product_gradient(operation_type):
    """The (file, function) of the gradient of Xlogy, Xlog1py or Xdivy."""
    names = {"Xlogy": "_XLogyGrad", "Xlog1py": "_XLog1pyGrad"}
    return "math_grad.py", names.get(operation_type, "_XDivyGrad")


def source_of_moments_gradient():
    """The (file, function) that the derivative of the variance comes from."""
    return "math_grad.py", "_SquaredDifferenceGrad"


def source_of_ctc():
    """The (file, function) that an operation of the CTC loss comes from."""
    return "ctc_ops.py", "ctc_loss_and_grad"


def source_of_log_gradient():
    """The (file, function) that the gradient of a logarithm comes from."""
    return "math_grad.py", "_LogGrad"


def gradient_lookup():
    """The method that finds the gradient function of an operation type.

    Called as `lookup(registry, operation_type)`, by tapes and by graphs alike.
    """
    return registry.Registry.lookup


def replace_gradient_lookup(lookup):
    """Lets tapes and graphs look gradient functions up by this method."""
    registry.Registry.lookup = lookup


def is_gradient_registry(candidate):
    """Whether a registry is the one of the gradient functions."""
    return candidate is ops.gradient_registry


def registered_gradient(operation_type):
    """What TensorFlow registers for a type; raises LookupError for nothing."""
    return ops.gradient_registry.lookup(operation_type)


def is_recorded():
    """Whether a tape may record what is computed now."""
    return record.could_possibly_record()


def with_tape_gradient(function, inputs, gradient):
    """`function(*inputs)`, a new tensor, with this gradient for tapes.

    `tf.custom_gradient` would leave operations of its own in the graph; this
    leaves the graph as it is without the gradient.

    Args:
        function: Callable of tensors that returns one tensor.
        inputs: List of tensors.
        gradient: Callable that maps the cotangent of the result to those of
            the inputs, each a tensor or None.
    """
    with record.stop_recording():
        output = function(*inputs)
    record.record_operation("WithTapeGradient", [output], inputs, gradient)
    return output


def operations_within(graph):
    """The operations of a graph and of the functions that it calls."""
    yield from graph.get_operations()
    for function in graph._functions.values():
        if getattr(function, "graph", None) is not None:
            yield from operations_within(function.graph)


def functions_called_by(operations):
    """The graphs of the functions that operations of graphs call."""
    for operation in operations:
        for attribute in operation.node_def.attr.values():
            for name in (attribute.func, *attribute.list.func):
                function = operation.graph._functions.get(name.name)
                if getattr(function, "graph", None) is not None:
                    yield function.graph


def line_that_differentiates(operation):
    """The (file, line) that asked for the gradient an operation is part of.

    None for an operation of no gradient.
    """
    caller = None
    for frame in operation.traceback or ():
        if frame.filename.endswith(_DIFFERENTIATING):
            return caller.filename, caller.lineno
        caller = frame
    return None


def construct_function_gradient(functions, output_count=None):
    """What `FUNCTION_GRADIENT` does, without the gradients that it keeps."""
    if output_count is None:
        output_count = functions._num_inference_outputs
    return functions._construct_forward_backward(output_count)


def select_tape_functions(function, kept, *args, **kwargs):
    """What `TAPE_FUNCTIONS` does, with the gradients kept in two dicts."""
    return _select_tape_functions(_Keeping(function, kept), *args, **kwargs)


class _Keeping:
    """A function with other gradients; threads that share it see its own."""

    def __init__(self, function, kept):
        self._function = function
        self._first_order_tape_functions, self._higher_order_tape_functions = (
            kept
        )

    def __getattr__(self, name):
        return getattr(self._function, name)


@contextlib.contextmanager
def optimized_unless(runs_as_traced):
    """Leaves out TensorFlow's graph optimizer for calls from Python.

    Only in this thread. Public options hold for a whole process.

    Args:
        runs_as_traced: Callable that returns whether to leave it out. Asked
            when a function runs, which is after it was traced.
    """
    eager = context.context()
    before = eager.function_call_options
    options = _CallOptions(before, runs_as_traced)
    eager.function_call_options = options
    try:
        yield
    finally:
        # Unless `tf.config` was called meanwhile.
        if eager.function_call_options is options:
            eager.function_call_options = before


class _CallOptions(context.FunctionCallOptions):
    """Options that are looked up whenever a function is called."""

    def __init__(self, options, runs_as_traced):
        config = options.as_attrs()["config_proto"]
        super().__init__(
            options.executor_type, tf.compat.v1.ConfigProto.FromString(config)
        )
        self._runs_as_traced = runs_as_traced

    def as_attrs(self):
        attributes = super().as_attrs()
        if tf.executing_eagerly() and self._runs_as_traced():
            config = attributes["config_proto"]
            attributes["config_proto"] = _without_optimizer(config)
        return attributes


@functools.lru_cache(maxsize=8)
def _without_optimizer(config):
    config = tf.compat.v1.ConfigProto.FromString(config)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config.SerializeToString(deterministic=True)
