"""Jacobians of each sample's outputs by the variables."""

import tensorflow as tf

from keras_curvature.autodiff._base import as_tf_variable
from keras_curvature.autodiff.hessian import refuse_unconnected


def per_sample_jacobian(
    outputs_fn, inputs, variables, unconnected_gradients="error"
):
    """The outputs and, for every sample, their Jacobian by the variables.

    The function is differentiated for one sample and vectorised over the
    batch (`tf.vectorized_map`), at about the price of one gradient of a batch
    for scalar outputs; `tf.GradientTape.jacobian` costs some thirty times
    more. The outputs of a sample must depend on that sample alone: a layer
    that mixes samples, as BatchNormalization in training mode does, sees
    batches of one here.

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
            (unless they may), or have no batch axis.

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
    variables = list(variables)
    unconnected = "none" if unconnected_gradients == "error" else "zero"
    sources = [as_tf_variable(v) for v in variables]

    def one_sample(sample):
        sample = tf.nest.map_structure(lambda t: t[tf.newaxis], sample)
        with tf.GradientTape() as tape:
            tape.watch(sources)
            outputs = tf.convert_to_tensor(outputs_fn(sample))
            _refuse_without_batch(outputs)
            outputs = outputs[0]
        if outputs.shape.num_elements() == 1:
            rows = tape.gradient(
                outputs, sources, unconnected_gradients=unconnected
            )
            refuse_unconnected(rows, variables, "The outputs")
            shape = outputs.shape
            return outputs, [
                tf.reshape(r, shape + v.shape)
                for r, v in zip(rows, sources, strict=True)
            ]
        rows = tape.jacobian(
            outputs, sources, unconnected_gradients=unconnected
        )
        refuse_unconnected(rows, variables, "The outputs")
        return outputs, [tf.convert_to_tensor(r) for r in rows]

    return tf.vectorized_map(one_sample, inputs, fallback_to_while_loop=False)


def _refuse_without_batch(outputs):
    if outputs.shape.rank == 0 or outputs.shape[0] != 1:
        raise ValueError(
            "`outputs_fn` must return one row of outputs for each sample. "
            "Received: for a batch of one, a tensor of shape "
            f"{tuple(outputs.shape)}."
        )
