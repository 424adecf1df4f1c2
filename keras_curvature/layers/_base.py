"""What every activation layer shares: the chain value → first → second."""

import keras
import tensorflow as tf

_HALF = (tf.float16, tf.bfloat16)


def with_derivative(function, derivative):
    """Returns `function` with the gradient `dy · derivative(x)`.

    TensorFlow's own chain rule loses digits (1 − tanh² cancels) that a closed
    form keeps. When `derivative` is differentiable, so is the gradient.
    """

    @tf.custom_gradient
    def with_gradient(x):
        return function(x), lambda dy: dy * derivative(x)

    return with_gradient


def magnitude(x):
    """|x| whose derivative at 0 is 1: `tf.abs` has 0 there.

    Even functions written in |x| need ±1 at 0, as 0 would erase their second
    derivative at that point.
    """
    return tf.where(x < 0, -x, x)


def times_square(factor, root):
    """factor·root², normal also where root² alone has underflowed.

    The bound is never reached. It separates the two products, which
    TensorFlow's graph optimiser would reorder to factor·(root·root).
    """
    return tf.minimum(factor * root, root.dtype.max) * root


def times_exp_below_0(factor, x):
    """factor·exp(min(x, 0)), normal also where the power is not."""
    return times_square(factor, tf.exp(0.5 * tf.minimum(x, 0.0)))


def zero_everywhere(x):
    """Zeros of the shape of x, connected to x through every derivative."""
    return with_derivative(tf.zeros_like, zero_everywhere)(x)


def require_finite_number(layer, name, value):
    """Returns `value` as a float; raises unless it is a finite real number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(value, (bool, str)) or not abs(number) < float("inf"):
        raise ValueError(
            f"Argument `{name}` of {layer} must be a finite real number. "
            f"Received: {name}={value!r}. Pass a Python float, such as "
            f"{name}=1.0."
        )
    return number


class ElementwiseActivation(keras.layers.Layer):
    """An activation that knows its exact first and second derivative.

    A subclass writes three formulas, `_value(x)`, `_first(x)` and
    `_second(x)`, for float32 and float64 tensors. `_second` has to be made of
    differentiable operations: third and higher derivatives come from it.
    Gradients through the layer are these formulas, not TensorFlow's chain:

        d call / dx = first_derivative,  d first_derivative / dx = second

    The layer computes in the dtype of its input (it does not cast), unless
    `dtype` is given, as Keras's layers do. Half precision is computed in
    float32 and rounded once.
    """

    def __init__(self, **kwargs):
        self._casts_input = kwargs.get("dtype") is not None
        # A layer used as `Dense(activation=...)` must not pull the float64 or
        # float16 output of that Dense to its own policy.
        kwargs.setdefault("autocast", self._casts_input)
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x):
        """Returns the activation of x: same shape, same dtype."""
        return with_derivative(
            lambda v: self._rounded_once(self._value, v),
            self.first_derivative,
        )(self._floating(x))

    def first_derivative(self, x):
        """Returns f'(x), elementwise: same shape, same dtype."""
        return with_derivative(
            lambda v: self._rounded_once(self._first, v),
            self.second_derivative,
        )(self._floating(x))

    def second_derivative(self, x):
        """Returns f''(x), elementwise: same shape, same dtype."""
        return self._rounded_once(self._second, self._floating(x))

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, x):
        dtype = self.compute_dtype if self._casts_input else x.dtype
        return keras.KerasTensor(x.shape, dtype=dtype)

    def get_config(self):
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
