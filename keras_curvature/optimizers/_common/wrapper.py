"""An optimizer that hands its directions to another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import ArrayLike

from keras_curvature._typing import LearningRate, Variables
from keras_curvature.autodiff.variables import created_outside_of_traces
from keras_curvature.optimizers._common.known_variables import check_known


class OptimizerWrapper(keras.optimizers.Optimizer):
    """Leaves every option of training to an inner Keras optimizer.

    Iterations, learning rate, loss scale, weight decay, clipping and moving
    averages are the inner optimizer's, as in
    `keras.optimizers.LossScaleOptimizer`. A subclass changes the gradients
    that the inner optimizer is given, in `apply`.

    Args:
        optimizer: Name, config or instance of a `keras.optimizers.Optimizer`.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if the inner optimizer scales the loss, uses curvature
            itself or accumulates gradients.
    """

    def __init__(
        self,
        optimizer: str | dict[str, Any] | keras.optimizers.Optimizer,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(learning_rate=0.0, name=name)
        self.inner_optimizer = _checked_inner(optimizer, type(self).__name__)

    @created_outside_of_traces()
    def build(self, variables: Variables) -> None:
        if self.inner_optimizer.built:
            check_known(self.inner_optimizer, variables)
        else:
            self.inner_optimizer.build(variables)
            # A MultiOptimizer may have chosen its parts only now.
            _refuse_parts(self.inner_optimizer, type(self).__name__)
        super().build(variables)

    @property
    def variables(self) -> list[keras.Variable]:
        return self._variables + self.inner_optimizer.variables

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Assigns arrays, in the order of `variables`, the inner ones too."""
        weights = list(weights)
        if self.built and len(weights) != len(self.variables):
            raise ValueError(
                "`weights` must hold one array for each of "
                "`optimizer.variables`, those of the inner optimizer "
                f"included: {len(self.variables)}. Received: {len(weights)} "
                "arrays."
            )
        count = len(self._variables)
        super().set_weights(weights[:count])
        self.inner_optimizer.set_weights(weights[count:])

    @property
    def iterations(self) -> Any:
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: LearningRate) -> None:
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def loss_scale_factor(self) -> Any:
        return self.inner_optimizer.loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, loss_scale_factor: float) -> None:
        # The base class sets its default before the inner optimizer exists.
        if hasattr(self, "inner_optimizer"):
            self.inner_optimizer.loss_scale_factor = loss_scale_factor

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> Any:
        super().apply_gradients(grads_and_vars)
        return self.iterations

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        return self.inner_optimizer.scale_loss(loss)

    def exclude_from_weight_decay(
        self,
        var_list: Variables | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def finalize_variable_values(self, var_list: Variables) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        return {
            "optimizer": keras.saving.serialize_keras_object(
                self.inner_optimizer
            ),
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> OptimizerWrapper:
        # keras.optimizers.deserialize does not know Lamb.
        optimizer = keras.saving.deserialize_keras_object(
            config["optimizer"], custom_objects=custom_objects
        )
        return cls(**{**config, "optimizer": optimizer})


def _checked_inner(optimizer, wrapper):
    inner = keras.optimizers.get(optimizer)
    if isinstance(inner, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "`optimizer` must not scale the loss. Received: "
            "optimizer=LossScaleOptimizer(...). Wrap the other way round: "
            f"LossScaleOptimizer({wrapper}(...))."
        )
    if not isinstance(inner, keras.optimizers.Optimizer):
        raise ValueError(
            "`optimizer` must be a first-order Keras optimizer. Received: "
            f"optimizer={optimizer!r}."
        )
    _refuse_parts(inner, wrapper)
    return inner


def _refuse_parts(inner, wrapper):
    # keras.optimizers.MultiOptimizer holds several.
    for part in getattr(inner, "optimizers", [inner]):
        _refuse_curvature(part, wrapper)
        _refuse_accumulation(part)


def _refuse_curvature(inner, wrapper):
    is_of_this_package = any(
        kind.__module__.split(".")[0] == __name__.split(".")[0]
        for kind in type(inner).__mro__
    )
    if is_of_this_package or getattr(inner, "uses_curvature", False):
        name = type(inner).__name__
        raise ValueError(
            "`optimizer` must be a first-order Keras optimizer, because it is "
            f"given a·g + c·H·g in place of the gradient g, and {name} would "
            "take that for the gradient of the loss whose curvature it uses. "
            f"Received: optimizer={name}. Use {name} by itself, or give "
            f"{wrapper} an optimizer of keras.optimizers."
        )


def _refuse_accumulation(inner):
    if inner.gradient_accumulation_steps:
        raise ValueError(
            "`optimizer` must not accumulate gradients: H·g of the whole "
            "batch needs g of the whole batch before the first of its parts "
            "is differentiated again. Received: gradient_accumulation_steps="
            f"{inner.gradient_accumulation_steps}. Use a larger batch_size, "
            "or a tf.distribute strategy with more replicas."
        )
