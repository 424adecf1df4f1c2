"""A formula with named parameters as a Keras model."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_curvature._typing import Array
from keras_curvature.training._curve_rules import (
    checked_bounds,
    checked_start,
    checked_values,
    columns,
    error_of_values,
    first_value,
    refuse_several,
    refuse_unnamed,
)
from keras_curvature.training.model import Model


@keras.saving.register_keras_serializable(package="keras_curvature")
class Curve(Model):
    """A formula y = f(x, a, b, ...) whose parameters are fitted.

    A model with one scalar weight for each parameter, of its name, in place of
    a subclass of `keras_curvature.Model` that says the same. Values of each
    sample must depend on x of that sample alone, as in all models.

    Inputs of shape `(n,)` or `(n, 1)` are given to the function in shape
    `(n,)`, those of k > 1 columns in shape `(n, k)`, both in the dtype of the
    model. The function returns values of shape `(n,)`, which the model returns
    in shape `(n, 1)`; or of shape `(n, m)` for m curves.

    Args:
        function: Callable `f(x, **parameters)` of operations of `keras.ops` or
            TensorFlow, not of NumPy, whose derivatives nobody knows. To be
            saved in a `.keras` file it must be a named function, registered by
            `keras.saving.register_keras_serializable`; otherwise there is
            `save_weights`.
        start: Dict from the names of the parameters, which are arguments of
            the function, to their first values, finite numbers. The order of
            the dict is that of the weights. An argument that is left out keeps
            the default that the function has for it, and is not fitted.
        bounds: Dict from names of parameters to pairs `(lower, upper)`, None
            where there is no bound; each is a `constraints.Box` of the weight.
            Defaults to None, no bounds.
        **kwargs: `name`, `dtype` and `trainable`, as for `keras.Model`. For
            float64 call `keras.config.set_floatx("float64")` first.

    Attributes:
        parameters: Dict from names to floats, the values that the weights have
            now.

    Raises:
        TypeError: if `function` is not callable, or `start` or `bounds` is no
            dict.
        ValueError: if names, first values or bounds break the rules above;
            when the model is built, if inputs or values of the function have
            other shapes, or values are no tensor of floats.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_curvature

    t = np.linspace(0, 3, 50)
    y = 2 * np.exp(-t / 1.5)
    y += 0.05 * np.random.default_rng(0).normal(size=50)
    model = keras_curvature.Curve(
        lambda t, a, tau: a * keras.ops.exp(-t / tau),
        {"a": 1.0, "tau": 1.0},
        bounds={"tau": (0, None)},
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "mse")
    result = keras_curvature.solve(model, t, y, errors=True, verbose=0)
    print(result.errors)  # A table with the rows a and tau.
    model.parameters  # {"a": 2.0, "tau": 1.5}, within their errors
    ```
    """

    def __init__(
        self,
        function: Callable[..., Any],
        start: Mapping[str, float],
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function = function
        self._start = checked_start(function, start)
        self._bounds, boxes = checked_bounds(bounds, self._start)
        # By name in a dict: as attributes some would hide those of Keras.
        self._weight_of = {
            name: self.add_weight(
                shape=(),
                initializer=first_value(name, value),
                constraint=boxes.get(name),
                name=name,
            )
            for name, value in self._start.items()
        }

    @property
    def parameters(self) -> dict[str, float]:
        return {
            name: float(ops.convert_to_numpy(weight))
            for name, weight in self._weight_of.items()
        }

    def build(self, input_shape: Any) -> None:
        refuse_several(input_shape)
        # Symbolically, where NumPy fails; on tensors with values it would
        # answer, as a constant without derivatives.
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        x = tf.TensorSpec(input_shape, self.compute_dtype)
        traced = tf.function(self.call, autograph=False)
        return tuple(traced.get_concrete_function(x).output_shapes)

    def call(self, x: Array) -> tf.Tensor:
        x = columns(x, self.compute_dtype)
        # Not by keras.ops, which leaves a variable what it is: NumPy's numbers
        # on the left of one, as in np.sqrt(2) * width, would ask for its value.
        values = {
            name: tf.convert_to_tensor(weight)
            for name, weight in self._weight_of.items()
        }
        try:
            y = self.function(x, **values)
        except NotImplementedError as error:
            if "NumPy" not in str(error) and "numpy" not in str(error):
                raise
            raise error_of_values("what NumPy was to compute") from error
        return checked_values(y, x)

    def get_config(self) -> dict[str, Any]:
        refuse_unnamed(self.function)
        return {
            **super().get_config(),
            "function": keras.saving.serialize_keras_object(self.function),
            "start": dict(self._start),
            "bounds": {name: list(b) for name, b in self._bounds.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Curve":
        """The model of a configuration, at its first values."""
        function = keras.saving.deserialize_keras_object(config["function"])
        return super().from_config({**config, "function": function})
