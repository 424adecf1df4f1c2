"""What cannot be mended, and the errors that say so."""

import tensorflow as tf

from keras_curvature.autodiff.repairs.errors import (
    SecondDerivativeError,
    place,
    refusal,
)
from keras_curvature.autodiff.repairs.operations import created_in
from keras_curvature.autodiff.tensorflow_private import (
    source_of_ctc,
    with_tape_gradient,
)

_REASONS = {
    "PyFunc": (
        "`tf.numpy_function` has no derivative.",
        "write it with TensorFlow operations, or put `tf.stop_gradient` "
        "around its result where it is meant to be a constant.",
    ),
    "EagerPyFunc": (
        "`tf.py_function` runs Python code that no graph holds.",
        "write it with TensorFlow operations.",
    ),
    "SymbolicGradient": (
        "the gradient was built by TensorFlow's C++ library, whose second "
        "derivatives are not checked.",
        "call the Python function instead of one that was loaded.",
    ),
    "PartitionedCall": (
        "the function was loaded without its Python gradient, and that of "
        "TensorFlow's C++ library is not checked.",
        "rebuild the model from Python and load its weights only.",
    ),
    "ImageProjectiveTransformV3": (
        "TensorFlow's gradient of it transforms by the inverse instead of the "
        "transpose, so that it is not the gradient of any loss.",
        "rotate, shift or zoom images before the first trained layer, or in "
        "the input pipeline, where no gradient passes through.",
    ),
    "CTCLoss": (
        "TensorFlow has no derivative of its gradient.",
        "a first-order optimizer.",
    ),
}
_CTC = (
    "The second derivative of the CTC loss (`tf.nn.ctc_loss`) is not available:"
    " TensorFlow computes its gradient beside its value, in logarithms whose "
    "derivative is NaN. Instead: a first-order optimizer."
)
_RENORM = (
    "The second derivative of BatchNormalization with `renorm=True` in {place} "
    "is not available: its correction is excluded from the gradient by design, "
    "so that the gradient is not that of any loss. Instead: `renorm=False`, or "
    "another normalization layer."
)
_RECOMPUTE = (
    "The second derivative of `tf.recompute_grad` is not available: it "
    "recomputes the forward pass where no outer derivative is recorded "
    "({error}). Instead: call the function without it."
)
_REASONS["PreventGradient"] = _REASONS["CTCLoss"]
_REASONS["PyFuncStateless"] = _REASONS["PyFunc"]
_REASONS["StatefulPartitionedCall"] = _REASONS["PartitionedCall"]
_REASONS["ImageProjectiveTransformV2"] = _REASONS["ImageProjectiveTransformV3"]
_REASONS["CTCLossV2"] = _REASONS["CTCLoss"]
_UNREGISTERED = (
    "TensorFlow registers no gradient for it.",
    "a layer of other operations, a first-order optimizer, or "
    "`tf.RegisterGradient` with the gradient of that operation.",
)

# Gradients that TensorFlow registers as not differentiable although their
# value varies with their input.
REFUSED = {
    "FakeQuantWithMinMaxArgsGradient",
    "FakeQuantWithMinMaxVarsGradient",
    "FakeQuantWithMinMaxVarsPerChannelGradient",
    # Around the gradient of CTCLoss; TensorFlow raises a LookupError.
    "PreventGradient",
    "SparseAddGrad",
    "SparseDenseCwiseAdd",
}
# Operations of the forward pass that have no second derivative, or no right
# first one.
REFUSED_TWICE = {
    "EagerPyFunc",
    "PyFunc",
    "PyFuncStateless",
    "HSVToRGB",
    "ExtractGlimpse",
    "ImageProjectiveTransformV2",
    "ImageProjectiveTransformV3",
}


def refuse(operation, *_):
    """A gradient function that raises."""
    raise refusal(operation, *_REASONS.get(operation.type, _UNREGISTERED))


def differentiated_once(operation, *cotangents, registered):
    """TensorFlow's gradient, which raises where it is differentiated."""

    def guard(gradient):
        if gradient is None or not gradient.dtype.is_floating:
            return gradient

        @tf.custom_gradient
        def once(gradient):
            return tf.identity(gradient), lambda _: refuse(operation)

        return once(tf.convert_to_tensor(gradient))

    gradients = registered(operation, *cotangents)
    return tf.nest.map_structure(guard, gradients)


def only_by_last(operation, *cotangents, registered):
    """Of functions that TensorFlow differentiates by their last input only.

    The others are constants to it, also where they depend on weights.
    """
    gradients = registered(operation, *cotangents)
    left_out = set(range(len(gradients) - 1))
    if isinstance(operation, tf.Operation):
        is_wrong = any(_reads_a_variable(operation.inputs[i]) for i in left_out)
    else:
        is_wrong = left_out - set(operation.skip_input_indices or ())
    if is_wrong:
        raise refusal(
            operation,
            "TensorFlow has its derivative by the last argument only.",
            "other arguments that depend on no weight.",
        )
    return gradients


def _reads_a_variable(tensor):
    pending, seen = [tensor.op], set()
    while pending:
        operation = pending.pop()
        if operation.type == "ReadVariableOp":
            return True
        if operation not in seen:
            seen.add(operation)
            pending.extend(i.op for i in operation.inputs)
    return False


def refuse_ctc(*_, **__):
    """In the place of TensorFlow's function where all is differentiated."""
    raise SecondDerivativeError(_CTC)


def refuse_ctc_differentiated_twice(loss_and_gradient):
    """TensorFlow's function, whose gradient raises where it is
    differentiated."""

    def refusing(*args, **kwargs):
        loss, gradient = loss_and_gradient(*args, **kwargs)
        return loss, with_tape_gradient(tf.identity, [gradient], refuse_ctc)

    return refusing


def refuse_renorm(layer, *_, **__):
    """In the place of Keras's method while a tape records."""
    where = f"layer '{layer.name}'"
    raise SecondDerivativeError(_RENORM.format(place=where))


def refuse_loop_of_ctc(operation, *cotangents, registered):
    """The gradient of a loop, if it is not that of the CTC loss."""
    if created_in(operation, *source_of_ctc()):
        raise SecondDerivativeError(_CTC)
    return registered(operation, *cotangents)


def refuse_stop_of_renorm(operation):
    """Raises for the StopGradient that batch renormalization makes."""
    if created_in(operation, "batch_normalization.py", "_compose_transforms"):
        where = place(operation)
        raise SecondDerivativeError(_RENORM.format(place=where))


def refuse_recomputation(error):
    """Says more than TensorFlow about `tf.recompute_grad`."""
    if "recompute_grad" in str(error):
        text = _RECOMPUTE.format(error=error)
        raise SecondDerivativeError(text) from error
