"""Keras and TensorFlow variables, and lists of tensors shaped as they are."""

import contextlib
import zlib

import keras
import numpy as np
import tensorflow as tf


@contextlib.contextmanager
def created_outside_of_traces():
    """Creates variables as if no function were being traced.

    `tf.function` traces a function once more where the first trace has
    created variables, so that a first step takes twice as long.
    """

    def create(following, **options):
        options["experimental_enable_variable_lifting"] = False
        with tf.init_scope():
            return following(**options)

    if tf.executing_eagerly():
        yield
        return
    with tf.variable_creator_scope(create):
        yield


def set_to_zero(variables):
    """Makes each variable zero, whatever its shape and dtype."""
    for variable in variables:
        variable.assign(tf.zeros(variable.shape, variable.dtype))


def as_tf_variable(variable):
    """The `tf.Variable` behind a `keras.Variable`, or the argument itself."""
    if isinstance(variable, keras.Variable):
        return variable.value
    return variable


def variable_name(variable):
    """A name that a user recognizes in an error message."""
    return getattr(variable, "path", variable.name)


def checked_vectors(vectors, variables):
    """The vectors as tensors shaped as the variables; None stays None."""
    vectors = list(vectors)
    if len(vectors) != len(variables):
        raise ValueError(
            "`vectors` must hold one tensor for each variable. Received: "
            f"{len(vectors)} vectors for {len(variables)} variables."
        )
    return [
        None if vector is None else _checked(vector, variable)
        for vector, variable in zip(vectors, variables, strict=True)
    ]


def _checked(vector, variable):
    # The hint keeps the digits of Python floats for float64 variables, and
    # would drop the imaginary parts of arrays.
    is_array = isinstance(vector, (np.ndarray, np.generic))
    hint = as_tf_variable(variable).dtype
    if is_array and np.iscomplexobj(vector):
        hint = None
    vector = tf.convert_to_tensor(vector, dtype_hint=hint)
    refuse_complex([vector], "`vectors`")
    refuse_complex([as_tf_variable(variable)], "`variables`")
    if not vector.shape.is_compatible_with(variable.shape):
        raise ValueError(
            "Each of `vectors` must have the shape of its variable. Received: "
            f"a vector of shape {tuple(vector.shape)} for variable "
            f"{variable_name(variable)} of shape {tuple(variable.shape)}."
        )
    return vector


def refuse_complex(tensors, what):
    """Raises for complex numbers, of which tapes drop a part in silence."""
    for tensor in tensors:
        if tensor.dtype.is_complex:
            raise ValueError(
                f"{what} must hold real numbers. Received: a tensor of dtype "
                f"{tensor.dtype.name}. Take tf.math.real and tf.math.imag "
                "apart, or tf.abs."
            )


def as_dense(product, variable):
    """A dense tensor; zeros where the Hessian has an empty row."""
    variable = as_tf_variable(variable)
    if product is None:
        return tf.zeros(variable.shape, variable.dtype)
    return tf.cast(tf.convert_to_tensor(product), variable.dtype)


def checksum(model):
    """A number that changes with any weight of the model, frozen or not."""
    found = 0
    for variable in model.weights:
        # One after the other: weights that change places change it too.
        found = zlib.crc32(np.asarray(variable.value).tobytes(), found)
    return found
