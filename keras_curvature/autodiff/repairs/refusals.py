"""What cannot be mended, and the errors that say so."""

from keras_curvature.autodiff.repairs._base import refusal

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
    "CTCLoss": (
        "TensorFlow computes its gradient in the forward pass and not the "
        "derivative of that gradient.",
        "a first-order optimizer.",
    ),
}
_REASONS["PyFuncStateless"] = _REASONS["PyFunc"]
_REASONS["StatefulPartitionedCall"] = _REASONS["PartitionedCall"]
_REASONS["CTCLossV2"] = _REASONS["CTCLoss"]
_UNREGISTERED = (
    "TensorFlow registers no gradient for it.",
    "a layer of other operations, a first-order optimizer, or "
    "`tf.RegisterGradient` with the gradient of that operation.",
)

# Registered by TensorFlow as not differentiable although their value varies
# with their input, or refused although something is registered.
REFUSED = {
    "PyFunc",
    "PyFuncStateless",
    "FakeQuantWithMinMaxArgsGradient",
    "FakeQuantWithMinMaxVarsGradient",
    "FakeQuantWithMinMaxVarsPerChannelGradient",
    "HSVToRGB",
    "ExtractGlimpse",
    "SparseAddGrad",
}


def refuse(operation, *_):
    """A gradient function that raises."""
    raise refusal(operation, *_REASONS.get(operation.type, _UNREGISTERED))
