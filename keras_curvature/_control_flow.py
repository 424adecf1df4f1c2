"""Loops and branches that TensorFlow keeps as functions of their own.

By default it takes `tf.while_loop` and `tf.cond` apart into single operations
of the function around them, which its graph optimizer then walks through many
times. On small tensors that is most of what it takes to load a function, and
the steps of a loop run slower besides.
"""

import math

import tensorflow as tf

_TYPES = ("If", "StatelessIf", "While", "StatelessWhile")
# What goes in is held until the function returns. With so many numbers in a
# tensor, time to load matters less than memory.
_LARGE = 2**20


def while_loop(condition, body, state):
    """`tf.while_loop`, one iteration after the other.

    Args:
        condition: Callable that maps the state to a scalar bool tensor.
        body: Callable that maps the state to the next one.
        state: Tuple or list of (structures of) tensors.
    """
    return _as_function(
        tf.while_loop(condition, body, state, parallel_iterations=1)
    )


def cond(predicate, true, false):
    """`tf.cond`."""
    return _as_function(tf.cond(predicate, true, false))


def _as_function(results):
    """The results of a loop or branches, which are kept as functions."""
    tensors = tf.nest.flatten(results, expand_composites=True)
    operation = _maker(tensors[0]) if tensors else None
    if operation is not None and _may_be_function(operation):
        # No argument of `tf.while_loop` and `tf.cond` says so.
        operation._set_attr(
            "_lower_using_switch_merge",
            tf.compat.v1.AttrValue(b=False),
        )
    return results


def _maker(tensor):
    """The loop or branching that made a tensor, None where that was eager."""
    if not tf.is_symbolic_tensor(tensor):
        return None
    operation = tensor.op
    while operation.type == "Identity":
        operation = operation.inputs[0].op
    return operation if operation.type in _TYPES else None


def _may_be_function(operation):
    # A function runs on one device, with all that it holds.
    return not (
        tf.distribute.has_strategy()
        or has_accelerator()
        or any(_is_large(tensor) for tensor in operation.inputs)
    )


def has_accelerator():
    """Whether TensorFlow sees devices other than CPUs."""
    return any(
        device.device_type != "CPU"
        for device in tf.config.list_logical_devices()
    )


def _is_large(tensor):
    # The length of a batch may be unknown; nor does an iteration make it anew.
    shape = tensor.shape
    return bool(shape.rank) and math.prod(n or 1 for n in shape) > _LARGE
