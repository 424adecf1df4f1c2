"""What every activation layer shares: the chain value → first → second."""

from typing import Any

import keras
import tensorflow as tf

from keras_curvature._derivatives import with_derivative
from keras_curvature._typing import Array

_HALF = (tf.float16, tf.bfloat16)


class ElementwiseActivation(keras.layers.Layer):
    """An activation that knows its exact first and second derivative.

    A subclass writes three formulas, `_value(x)`, `_first(x)` and
    `_second(x)`, for float32 and float64 tensors. Gradients through the layer
    are these formulas, not TensorFlow's chain rule:

    ```
    d call(x) / dx = first_derivative(x) = _first(x)
    d first_derivative(x) / dx = second_derivative(x) = _second(x)
    ```

    `_second` has to be made of differentiable operations: third and higher
    derivatives come from it.

    The layer computes in the dtype of its input (it does not cast), unless
    `dtype` is given, as Keras's layers do. Half precision is computed in
    float32 and rounded once.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of
            `keras.layers.Layer`.

    Raises:
        TypeError: from a call, if the input is no floating-point tensor.

    Example:

    ```python
    import keras
    import tensorflow as tf
    from keras_curvature.layers import ElementwiseActivation

    @keras.saving.register_keras_serializable(package="my_project")
    class ArcTan(ElementwiseActivation):
        def _value(self, x):
            return tf.atan(x)

        def _first(self, x):
            return 1 / (1 + x**2)

        def _second(self, x):
            return -2 * x / (1 + x**2) ** 2

    float(ArcTan().second_derivative(1.0))  # -0.5
    ```
    """

    def __init__(self, **kwargs: Any) -> None:
        self._casts_input = kwargs.get("dtype") is not None
        # A layer used as `Dense(activation=...)` must not pull the float64 or
        # float16 output of that Dense to its own policy.
        kwargs.setdefault("autocast", self._casts_input)
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x: Array) -> tf.Tensor:
        """Returns the activation of x: same shape, same dtype."""
        return with_derivative(
            lambda v: self._rounded_once(self._value, v),
            self.first_derivative,
        )(self._floating(x))

    def first_derivative(self, x: Array) -> tf.Tensor:
        """Returns f'(x), elementwise: same shape, same dtype."""
        return with_derivative(
            lambda v: self._rounded_once(self._first, v),
            self.second_derivative,
        )(self._floating(x))

    def second_derivative(self, x: Array) -> tf.Tensor:
        """Returns f''(x), elementwise: same shape, same dtype."""
        return self._rounded_once(self._second, self._floating(x))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        dtype = self.compute_dtype if self._casts_input else x.dtype
        return keras.KerasTensor(x.shape, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if not self._casts_input:
            del config["dtype"]
        return config

    def _rounded_once(self, formula, x):
        if x.dtype in _HALF:
            return tf.cast(formula(tf.cast(x, tf.float32)), x.dtype)
        return formula(x)

    def _floating(self, x):
        x = tf.convert_to_tensor(x)
        if not x.dtype.is_floating:
            raise TypeError(
                f"{type(self).__name__} takes a floating-point tensor. "
                f"Received: x of dtype {x.dtype.name}. Cast it first, for "
                'example with keras.ops.cast(x, "float32").'
            )
        return x

    def _value(self, x):
        raise NotImplementedError(f"{type(self).__name__} lacks `_value(x)`.")

    def _first(self, x):
        raise NotImplementedError(f"{type(self).__name__} lacks `_first(x)`.")

    def _second(self, x):
        raise NotImplementedError(f"{type(self).__name__} lacks `_second(x)`.")
