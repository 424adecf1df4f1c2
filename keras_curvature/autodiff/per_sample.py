"""Jacobians of each sample's outputs by the variables."""

import functools
import warnings
from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from keras_curvature._checks import checked_choice
from keras_curvature._typing import Structure, Variables
from keras_curvature.autodiff._by_columns import columns_or_rows
from keras_curvature.autodiff._vectorizations import better_vectorizations
from keras_curvature.autodiff._vectorizing import (
    is_first_in_trace,
    place_in_loop,
    quiet_attempt,
)
from keras_curvature.autodiff.hessian import refuse_unconnected
from keras_curvature.autodiff.tensorflow_private import operations_within
from keras_curvature.autodiff.variables import as_tf_variable, refuse_complex


def per_sample_jacobian(
    outputs_fn: Callable[[Structure], tf.Tensor],
    inputs: Structure,
    variables: Variables,
    unconnected_gradients: Literal["error", "zero"] = "error",
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """The outputs and, for every sample, their Jacobian by the variables.

    The function is differentiated for one sample and vectorized over the
    batch (`tf.vectorized_map`), at about the price of one gradient of a batch
    for scalar outputs; `tf.GradientTape.jacobian` costs some thirty times
    more. Operations that TensorFlow cannot vectorize (grouped convolutions,
    some loops) are differentiated sample after sample, or weight after weight
    where there are few weights, and a warning names the first of them. The
    outputs of a sample must depend on that sample alone: a layer that mixes
    samples, as BatchNormalization in training mode does, sees batches of one
    here. Where weight after weight is fewer passes, that is taken only if the
    first and the last sample have the same outputs alone as in the batch.

    Args:
        outputs_fn: Callable that maps a batch of inputs to a tensor of shape
            `(batch, ...)`: a model, or a residual.
        inputs: Tensor of shape `(batch, ...)` or nested structure of such.
        variables: List of `keras.Variable`s or `tf.Variable`s.
        unconnected_gradients: `"error"`, or `"zero"` for a Jacobian of zeros
            where the outputs do not depend on a variable. Defaults to
            `"error"`.

    Returns:
        Tuple `(outputs, jacobians)`: the outputs of shape `(batch, ...)` and
        a list of tensors of shape `outputs.shape + variable.shape`.

    Raises:
        ValueError: if the outputs do not depend on one of the variables
            (unless they may), or have no batch axis, or
            `unconnected_gradients` is another string.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.autodiff import per_sample_jacobian

    w = tf.Variable([[1.0], [2.0]])
    x = tf.constant([[3.0, 4.0], [5.0, 6.0]])
    outputs, (jacobian,) = per_sample_jacobian(lambda x: x @ w, x, [w])
    jacobian[:, 0, :, 0]  # x itself
    ```
    """
    checked_choice(
        "unconnected_gradients", unconnected_gradients, ("error", "zero")
    )
    variables = list(variables)
    unconnected = "none" if unconnected_gradients == "error" else "zero"
    one_sample = functools.partial(
        _one_sample, variables=variables, unconnected=unconnected
    )
    try:
        with quiet_attempt() as attempt, better_vectorizations():
            vectorizable = functools.partial(
                _vectorizable_outputs, outputs_fn, attempt
            )
            return _vectorized(
                functools.partial(one_sample, vectorizable), inputs
            )
    except (NotImplementedError, TypeError, ValueError) as error:
        # An operation that TensorFlow cannot vectorize, or vectorizes wrongly,
        # or an error of the caller's, which is raised again here.
        rows = functools.partial(
            _one_by_one,
            functools.partial(one_sample, outputs_fn, vectorized=False),
            inputs,
        )
        sources = [as_tf_variable(v) for v in variables]
        results, may_be_columns = columns_or_rows(
            outputs_fn, inputs, sources, unconnected, rows
        )
        _warn_of_passes(
            attempt.failed or error, results, sources, may_be_columns
        )
        return results


def _vectorizable_outputs(outputs_fn, attempt, sample):
    """The outputs, or an error before time is spent on their derivatives."""
    outputs = outputs_fn(sample)
    grouped = _grouped_convolution(tf.compat.v1.get_default_graph())
    if grouped is not None:
        kind = f"grouped {grouped.type}"
        attempt.failed = place_in_loop(kind, grouped.name)
        raise ValueError("a grouped convolution cannot be vectorized")
    return outputs


def _one_sample(outputs_fn, sample, variables, unconnected, vectorized=True):
    """The outputs of one sample, and their Jacobians."""
    sources = [as_tf_variable(v) for v in variables]
    sample = tf.nest.map_structure(lambda t: t[tf.newaxis], sample)
    with tf.GradientTape(persistent=not vectorized) as tape:
        tape.watch(sources)
        outputs = tf.convert_to_tensor(outputs_fn(sample))
        _refuse_without_batch(outputs)
        refuse_complex([outputs], "The outputs")
        outputs = outputs[0]
        elements = tf.reshape(outputs, [-1])
        if not vectorized:
            elements = tf.unstack(elements)
    if outputs.shape.num_elements() == 1:
        rows = tape.gradient(outputs, sources, None, unconnected)
    elif vectorized:
        rows = tape.jacobian(elements, sources, unconnected)
    else:
        rows = _stacked(
            [tape.gradient(y, sources, None, unconnected) for y in elements]
        )
    refuse_unconnected(rows, variables, "The outputs")
    return outputs, [
        tf.reshape(row, outputs.shape + v.shape)
        for row, v in zip(rows, sources, strict=True)
    ]


def _vectorized(one_sample, inputs):
    """The same for all samples at once, of which there are two at least.

    TensorFlow vectorizes a squeeze without axes, which keras.ops.add makes of
    rows, to one that takes the axis of the samples too if its length is one.
    Such a batch gets its sample twice here.
    """
    flat = tf.nest.flatten(inputs)
    batch = flat[0].shape[0]
    if batch is not None and batch != 1:
        return tf.vectorized_map(
            one_sample, inputs, fallback_to_while_loop=False
        )
    count = tf.shape(flat[0])[0]
    more = tf.cast(count == 1, tf.int32)
    results = tf.vectorized_map(
        one_sample,
        tf.nest.map_structure(
            lambda t: tf.concat([t, t[:more]], axis=0), inputs
        ),
        fallback_to_while_loop=False,
    )
    return tf.nest.map_structure(lambda t: t[:count], results)


def _warn_of_passes(cause, results, variables, may_be_columns):
    width = results[0].shape[1:].num_elements()
    passes = f"samples times outputs, {width} for each sample"
    if may_be_columns:
        size = sum(v.shape.num_elements() for v in variables)
        passes = (
            f"weights plus one, {size + 1} for a batch, or as {passes}, "
            "whichever is less"
        )
    message = (
        f"per_sample_jacobian: TensorFlow cannot vectorize {cause}. The "
        "Jacobians are computed by one backward pass after the other, as many "
        f"as {passes}. Faster where these are many: GaussNewton in the place "
        "of LevenbergMarquardt, which needs no Jacobian of a sample, or a "
        "layer of other operations."
    )
    if is_first_in_trace(message):
        warnings.warn(message, stacklevel=3)


def _stacked(rows):
    """The gradients of several outputs, one tensor for each variable."""
    return [
        None
        if all(row is None for row in column)
        else tf.stack(
            [
                tf.zeros_like(next(r for r in column if r is not None))
                if row is None
                else tf.convert_to_tensor(row)
                for row in column
            ]
        )
        for column in zip(*rows, strict=True)
    ]


def _one_by_one(one_sample, inputs):
    """The same, sample after sample."""
    first = tf.nest.map_structure(lambda t: t[0], inputs)
    signature = tf.nest.map_structure(
        lambda t: tf.TensorSpec(t.shape, t.dtype), one_sample(first)
    )
    return tf.map_fn(one_sample, inputs, fn_output_signature=signature)


def _refuse_without_batch(outputs):
    if outputs.shape.rank == 0 or outputs.shape[0] != 1:
        raise ValueError(
            "`outputs_fn` must return one row of outputs for each sample. "
            "Received: for a batch of one, a tensor of shape "
            f"{tuple(outputs.shape)}."
        )


def _grouped_convolution(graph):
    """One that takes fewer channels than its input has, or None."""
    return next(
        (
            op
            for op in operations_within(graph)
            if op.type in ("Conv2D", "Conv3D")
            and _input_channels(op) != op.inputs[1].shape[-2]
        ),
        None,
    )


def _input_channels(convolution):
    channels_last = convolution.get_attr("data_format").endswith(b"C")
    return convolution.inputs[0].shape[-1 if channels_last else 1]
