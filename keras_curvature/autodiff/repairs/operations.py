"""What operations tell of themselves, and what their gradients share."""

import tensorflow as tf


def created_in(operation, file_name, function):
    """Whether an operation of a graph was created within a function.

    A tape's stand-in for an operation has no traceback.
    """
    return any(
        frame.name == function and frame.filename.endswith(file_name)
        for frame in getattr(operation, "traceback", None) or ()
    )


def text_attribute(operation, name):
    """A string attribute, which graphs hold as bytes."""
    value = operation.get_attr(name)
    return value.decode() if isinstance(value, bytes) else value


def captured_tensor(tensor):
    """The tensor of an enclosing graph that a function's input stands for.

    Any other tensor itself.
    """
    if tensor.op.type == "Placeholder":
        for outer, inner in getattr(tensor.graph, "captures", ()):
            if inner is tensor and tf.is_symbolic_tensor(outer):
                return outer
    return tensor


def reduced_to(gradient, x, y):
    """A gradient of what x and y were broadcast to, for each of them."""
    axes = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(x), s1=tf.shape(y))
    return [
        tf.reshape(tf.reduce_sum(gradient, over), tf.shape(tensor))
        for over, tensor in zip(axes, (x, y), strict=True)
    ]
