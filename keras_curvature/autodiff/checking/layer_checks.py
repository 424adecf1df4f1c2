"""The second derivatives of each layer by itself."""

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.checking.objective import Objective
from keras_curvature.autodiff.checking.recorded_calls import innermost, name_of
from keras_curvature.autodiff.checking.report import (
    RESOLVED,
    UNRESOLVED,
    LayerCheck,
)
from keras_curvature.autodiff.repairs import SecondDerivativeError


def check_layers(calls, state, dtype, seed, tolerance):
    """Checks recorded calls; returns the checks and the guilty names."""
    checks = [_check_layer(call, state, dtype, seed) for call in calls]
    failing = [
        call.layer
        for call, check in zip(calls, checks, strict=True)
        if _fails(check, tolerance)
    ]
    return checks, [name_of(layer) for layer in innermost(failing)]


def _fails(check, tolerance):
    if check.error is None:
        return check.problem.startswith(_REFUSED)
    # Not `>`: NaN fails.
    return not check.error <= max(tolerance, 10 * check.resolution)


_REFUSED = "refused: "


def _check_layer(call, state, dtype, seed):
    name = name_of(call.layer)
    kind = type(call.layer).__name__
    try:
        error, resolution = _error(call, state, dtype, seed)
    except SecondDerivativeError as refusal:
        return LayerCheck(name, kind, None, f"{_REFUSED}{refusal}")
    except Exception as failure:  # A layer may only work inside its model.
        text = (str(failure).strip().splitlines() or [""])[0][:120]
        return LayerCheck(
            name, kind, None, f"not checked: {type(failure).__name__}: {text}"
        )
    if error is None:
        return LayerCheck(name, kind, None, "not differentiable")
    if not resolution <= RESOLVED:
        return LayerCheck(name, kind, None, UNRESOLVED, resolution)
    return LayerCheck(name, kind, error, "", resolution)


def _error(call, state, dtype, seed):
    """(relative error, resolution), by weights and inputs together."""
    arguments, inputs = _with_variables((call.arguments, call.keywords))
    ids = set(map(id, inputs))

    def function():
        positional, keywords = tf.nest.map_structure(
            lambda leaf: leaf.value() if id(leaf) in ids else leaf, arguments
        )
        outputs = tf.nest.flatten(call.layer(*positional, **keywords))
        return _curved([t for t in outputs if t.dtype.is_floating])

    variables = [*call.layer.trainable_variables, *inputs]
    objective = Objective(function, variables, state, dtype, seed)
    if not objective.variables:
        return None, None
    truth, resolution = objective.gradient_along()
    size = np.abs(truth).max() or 1.0
    error = np.abs(objective.product_by_tapes() - truth).max()
    return float(error / size), float(resolution / size)


def _with_variables(arguments):
    """The arguments with floating-point tensors replaced by variables."""
    inputs = []

    def variable(leaf):
        if not isinstance(leaf, tf.Tensor) or not leaf.dtype.is_floating:
            return leaf
        inputs.append(tf.Variable(leaf, trainable=True))
        return inputs[-1]

    return tf.nest.map_structure(variable, arguments), inputs


def _curved(outputs):
    """A scalar whose second derivative sees every output.

    A nonlinear one: a linear one would not show that a layer which is linear
    itself loses the derivative of its gradient.
    """
    total = tf.constant(0.0, tf.float64)
    for output in outputs:
        values = tf.reshape(tf.cast(output, tf.float64), [-1])
        places = tf.range(1, tf.size(values) + 1)
        weights = tf.cos(tf.cast(places, tf.float64))
        projection = tf.tensordot(weights, tf.tanh(values / 4), 1)
        total += projection**2 + projection
    return total
