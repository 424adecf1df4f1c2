"""What `Curve` asks of its arguments, its inputs and its function."""

import inspect
import types
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_number
from keras_curvature.constraints import Box


def checked_start(function, start):
    if not callable(function):
        raise TypeError(
            "`function` must be a callable f(x, **parameters). Received: "
            f"{function!r}."
        )
    if not isinstance(start, Mapping) or not start:
        raise TypeError(
            "`start` must be a dict from the names of the parameters to their "
            "first values, such as {'a': 1.0, 'b': 2.0}. Received: "
            f"start={start!r}."
        )
    try:
        inspect.signature(function).bind(None, **start)
    except TypeError as error:
        raise ValueError(
            "`start` must name arguments of `function` behind the first, and "
            f"all that have no default. Received: {list(start)} ({error})."
        ) from None
    return {
        name: checked_number(f"start[{name!r}]", value)
        for name, value in start.items()
    }


def first_value(name, value):
    """An initializer that gives this number with all its digits."""

    # keras.initializers.Constant rounds to float32.
    def initializer(shape, dtype=None):
        first = tf.cast(tf.fill(shape, tf.constant(value, "float64")), dtype)
        if not np.isfinite(keras.ops.convert_to_numpy(first)).all():
            raise ValueError(
                f"`start[{name!r}]` must be finite in {dtype}, the dtype of "
                f"the weights. Received: {value!r}. Choose another unit, or "
                'call keras.config.set_floatx("float64") first.'
            )
        return first

    return initializer


def checked_bounds(bounds, start):
    """The bounds as a dict of pairs, and the boxes that they are."""
    if not isinstance(bounds, Mapping | None):
        raise TypeError(
            "`bounds` must be a dict from names of parameters to pairs "
            "(lower, upper), such as {'a': (0, None)}. Received: "
            f"bounds={bounds!r}."
        )
    pairs, boxes = {}, {}
    for name, pair in (bounds or {}).items():
        if name not in start:
            raise ValueError(
                f"`bounds` must be of parameters in `start`: {list(start)}. "
                f"Received: {name!r}."
            )
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(
                f"`bounds[{name!r}]` must be a pair (lower, upper), with None "
                f"for no bound. Received: {pair!r}."
            )
        pairs[name], boxes[name] = _pair_and_box(name, pair)
        if not boxes[name].lower <= start[name] <= boxes[name].upper:
            raise ValueError(
                f"`start[{name!r}]` must lie within its bounds {pairs[name]}. "
                f"Received: {start[name]}."
            )
    return pairs, boxes


def _pair_and_box(name, pair):
    try:
        pair = tuple(None if bound is None else float(bound) for bound in pair)
        return pair, Box(*pair)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`bounds[{name!r}]`: {error}") from None


def columns(x, dtype):
    """The inputs as the function takes them."""
    if keras.tree.is_nested(x):
        # The cast would stack them, as samples.
        raise _error_of_inputs(f"a {type(x).__name__} of arrays")
    x = keras.ops.cast(x, dtype)
    if x.shape.rank == 1:
        return x
    if x.shape.rank == 2 and x.shape[1] is not None:
        return x[:, 0] if x.shape[1] == 1 else x
    raise _error_of_inputs(f"shape {x.shape}")


def refuse_several(input_shape):
    """Raises for inputs that are several arrays, as SciPy may have them."""
    is_dict = isinstance(input_shape, Mapping)
    if is_dict or any(isinstance(n, (tuple, list)) for n in input_shape):
        raise _error_of_inputs(f"a {type(input_shape).__name__} of arrays")


def _error_of_inputs(received):
    return ValueError(
        "`x` must be one array of shape (n,), (n, 1) or (n, k), for n samples "
        f"and k variables, the same in all calls. Received: {received}. "
        "Arrays of k variables become one by np.stack(arrays, axis=1)."
    )


def checked_values(y, x):
    """The values of the function as outputs of the model."""
    if not tf.is_tensor(y):
        raise error_of_values(f"a {type(y).__name__}")
    samples = {y.shape[:1].num_elements(), x.shape[0]} - {None}
    if y.shape.rank not in (1, 2) or len(samples) > 1:
        raise error_of_values(f"shape {y.shape} for x of shape {x.shape}")
    if not y.dtype.is_floating:
        raise error_of_values(f"the dtype {y.dtype.name}")
    return y if y.shape.rank == 2 else y[:, tf.newaxis]


def error_of_values(received):
    return ValueError(
        "`function` must return a tensor of floats of shape (n,), one value "
        "for each of n samples, or (n, m), computed by keras.ops or "
        f"TensorFlow: keras.ops.exp in place of np.exp. Received: {received}. "
        "A constant is c * keras.ops.ones_like(x)."
    )


def refuse_unnamed(function):
    is_function = isinstance(function, types.FunctionType)
    if is_function and function.__name__ != "<lambda>":
        return
    if is_function or not hasattr(function, "get_config"):
        raise ValueError(
            "To be saved, `function` must be a named function, registered by "
            "@keras.saving.register_keras_serializable(). Received: "
            f"{function!r}. Name it, or save the weights alone by "
            "save_weights()."
        )
