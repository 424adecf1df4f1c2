"""Any elementwise function as an activation with derivatives."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_curvature._typing import Array
from keras_curvature.layers._formulas import zero_everywhere
from keras_curvature.layers.elementwise import ElementwiseActivation

# Operations whose result does not change when their input moves a little
# (jumps excepted): a path through one of them carries no derivative.
_LOCALLY_CONSTANT = frozenset(
    {
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "Equal",
        "NotEqual",
        "IsNan",
        "IsInf",
        "IsFinite",
        "Sign",
        "Floor",
        "Ceil",
        "Round",
        "Rint",
        "ZerosLike",
        "OnesLike",
        "Shape",
        "ShapeN",
        "Size",
        "Rank",
        "BroadcastGradientArgs",
    }
)


def _is_locally_constant(function, x):
    """Whether function(x) depends on x through such operations alone.

    This tells the derivative of a piecewise linear function (constant on each
    piece) from a gradient that was cut: both reach the tape as None.
    """
    graph = tf.Graph()
    with graph.as_default():
        start = tf.compat.v1.placeholder(x.dtype, x.shape)
        pending = [function(start)]
    seen = set()
    while pending:
        tensor = pending.pop()
        if tensor is start:
            return False
        if tensor.ref() in seen or tensor.op.type in _LOCALLY_CONSTANT:
            continue
        seen.add(tensor.ref())
        pending.extend(tensor.op.inputs)
    return True


@keras.saving.register_keras_serializable(package="keras_curvature")
class Activation(ElementwiseActivation):
    """Applies an elementwise function and differentiates it by nested tapes.

    ```
    f(x) = activation(x)
    f'(x), f''(x): two nested `tf.GradientTape`s
    ```

    The derivatives are as accurate as TensorFlow's chain rule through the
    function; the named layers of this package are more accurate in the tails.
    The second derivative of a piecewise linear function is 0.

    Args:
        activation: Callable that maps a tensor elementwise to one of the same
            shape and dtype, or the name of a Keras activation, such as
            `"tanh"`.
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`. Without `dtype` the layer computes in the
            dtype of its input.

    Raises:
        ValueError: from a derivative, if the function changes shape or dtype,
            mixes elements (softmax), or cuts the gradient (`tf.stop_gradient`,
            `tf.numpy_function`, a cast to integers). A cut is never taken for
            a derivative of 0.

    Example:

    ```python
    import keras_curvature

    layer = keras_curvature.layers.Activation(lambda x: x**3)
    float(layer.second_derivative(2.0))  # 12.0
    ```
    """

    def __init__(
        self, activation: str | Callable[[tf.Tensor], tf.Tensor], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self._found_elementwise = False

    def call(self, x: Array) -> tf.Tensor:
        return self._apply(self._floating(x))

    def first_derivative(self, x: Array) -> tf.Tensor:
        x = self._floating(x)
        self._require_elementwise(x.dtype)
        return self._first(x)

    def second_derivative(self, x: Array) -> tf.Tensor:
        x = self._floating(x)
        self._require_elementwise(x.dtype)
        return self._second(x)

    def _apply(self, x):
        y = tf.convert_to_tensor(self.activation(x))
        if y.dtype != x.dtype or not y.shape.is_compatible_with(x.shape):
            raise ValueError(
                "Argument `activation` of Activation must return a tensor of "
                f"the shape and dtype of its input. Received: {self._label()} "
                f"which maps {x.dtype.name}{x.shape} to "
                f"{y.dtype.name}{y.shape}. Use keras.layers.Lambda for "
                "functions that are not elementwise."
            )
        return y

    def _first(self, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = self._apply(x)
        first = tape.gradient(y, x)
        if first is None:
            raise self._cut_gradient("first")
        return first

    def _second(self, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            first = self._first(x)
        second = tape.gradient(first, x)
        if second is not None:
            return second
        if _is_locally_constant(self._first, x):
            return zero_everywhere(x)
        raise self._cut_gradient("second")

    def _require_elementwise(self, dtype):
        """Raises if elements of a small probe influence each other."""
        if self._found_elementwise:
            return
        with tf.init_scope():
            probe = tf.constant([[-1.25, -0.5, 0.75], [0.25, 1.5, 2.0]], dtype)
            together = self._apply(probe)
            alone = tf.reshape(self._apply(tf.reshape(probe, (6, 1))), (2, 3))
            tolerance = 100.0 * dtype.as_numpy_dtype(1e-4)
            differ = tf.abs(together - alone) > tolerance * tf.abs(alone)
            if bool(tf.reduce_any(differ)):
                raise ValueError(
                    "Argument `activation` of Activation must be elementwise. "
                    f"Received: {self._label()}, whose value at one element "
                    "depends on the others (or on chance). Use "
                    "keras_curvature.autodiff for Jacobians of such functions."
                )
        self._found_elementwise = True

    def _cut_gradient(self, order):
        return ValueError(
            f"The {order} derivative of {self._label()} is unconnected: "
            "TensorFlow has no gradient along a path from the result to x. "
            "It may not be taken for 0. Write the function with "
            "differentiable operations (no tf.stop_gradient, no "
            "tf.numpy_function, no cast to integers) or give it a "
            "tf.custom_gradient whose backward function is differentiable."
        )

    def _label(self):
        name = getattr(self.activation, "__name__", None)
        return f"activation={name or self.activation!r}"

    def get_config(self) -> dict[str, Any]:
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "activation": activation}
