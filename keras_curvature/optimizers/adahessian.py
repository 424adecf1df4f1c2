"""AdaHessian: Adam with the Hessian's diagonal in place of the gradient's."""

from typing import Any

import keras
import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature._checks import (
    checked_flag,
    checked_integer,
    checked_number,
)
from keras_curvature._typing import LearningRate
from keras_curvature.optimizers._diagonal.base import (
    DiagonalCurvatureOptimizer,
    correction,
)
from keras_curvature.optimizers._diagonal.hutchinson import Hutchinson


@keras.saving.register_keras_serializable(package="keras_curvature")
class AdaHessian(DiagonalCurvatureOptimizer):
    """Adam whose second moment is that of the Hessian's diagonal.

    With the gradient g, and D = z ∘ Hz averaged over Rademacher probes z and,
    in convolution kernels, over the spatial axes:

        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) D²          every `update_period`-th step
        w ← w − η · m̂ / (v̂^(hessian_power / 2) + ε)
        m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵏ)

    where t counts the steps and k the updates of v, so that with a period
    above 1 the first steps have their full curvature. H is that of the
    step's own loss, regularizers included; on replicas and over accumulated
    micro-batches that of the whole batch. `weight_decay` is decoupled, as in
    Keras, and multiplied by the learning rate.

    Other implementations differ in two places: the authors' code and timm
    average |D| over the spatial axes, here D is averaged as in the paper;
    pytorch_optimizer, whose path is otherwise this one, counts t in both
    corrections and does not average.

    A step whose gradient, D, new weights or new state are not finite is
    skipped: weights, state and iteration count stay as they were,
    `skipped_steps` counts it and `fit` warns at its end.

    Args:
        learning_rate: Float, `keras.optimizers.schedules.LearningRateSchedule`
            or callable. Defaults to `0.15`, the authors' value for images.
        beta_1: Float in [0, 1). Defaults to `0.9`.
        beta_2: Float in [0, 1). Defaults to `0.999`.
        epsilon: Float ≥ 0, in units of the Hessian to the `hessian_power`.
            Defaults to `1e-4`, the authors' value.
        hessian_power: Float in (0, 1]. Defaults to `1.0`.
        update_period: Int ≥ 1. D is computed on every `update_period`-th step
            and v held in between. Defaults to `1`.
        probes: Int ≥ 1, number of vectors z to average over. Defaults to `1`.
        spatial_averaging: Bool, whether D is averaged over the first axes of
            the kernels of two- and three-dimensional convolutions (variables
            of rank 4 and 5), all but the last two. Defaults to `True`.
        weight_decay: Float or None. Defaults to `None`.
        seed: Int ≥ 0. The probes are a function of it, the step and the
            position, so that a run can be repeated and resumed exactly.
            Defaults to `0`.
        name: String. Defaults to `"adahessian"`.
        **kwargs: `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`,
            `ema_momentum`, `ema_overwrite_frequency`, `loss_scale_factor` and
            `gradient_accumulation_steps`, as in Keras's own optimizers.
            Clipping acts on g alone.

    Raises:
        ValueError: if an argument breaks its rule, if the loss is linear in
            all weights at the first step, or if a variable at a step is not
            one of those that the optimizer was built with.
        RuntimeError: at the first step of a plain Keras model compiled with
            `run_eagerly=True`, which has no graph to differentiate.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.optimizers import AdaHessian

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(AdaHessian(learning_rate=0.1), "mse")
    model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    ```

    References:
        Yao, Gholami, Shen, Mustafa, Keutzer, Mahoney, 2021, "ADAHESSIAN: An
        adaptive second order optimizer for machine learning", arXiv
        2006.00719, algorithm 1 and equations 8 to 10.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.15,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-4,
        hessian_power: float = 1.0,
        update_period: int = 1,
        probes: int = 1,
        spatial_averaging: bool = True,
        weight_decay: float | None = None,
        seed: int = 0,
        name: str = "adahessian",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            update_period=update_period,
            seed=seed,
            weight_decay=weight_decay,
            name=name,
            **kwargs,
        )
        self.hessian_power = checked_number(
            "hessian_power", hessian_power, above=0, maximum=1
        )
        self.probes = checked_integer("probes", probes, minimum=1)
        self.spatial_averaging = checked_flag(
            "spatial_averaging", spatial_averaging
        )
        self._estimator = Hutchinson(self.probes, self.seed)

    def _spatial_axes(self, variable):
        rank = len(variable.shape)
        if not self.spatial_averaging or rank not in (4, 5):
            return []
        return list(range(rank - 2))

    def _diagonal_shape(self, variable):
        axes = self._spatial_axes(variable)
        return tuple(
            1 if axis in axes else size
            for axis, size in enumerate(variable.shape)
        )

    def _curvature_moment(self, estimate, variable):
        axes = self._spatial_axes(variable)
        if axes:
            estimate = tf.reduce_mean(estimate, axis=axes, keepdims=True)
        return tf.square(estimate)

    def update_step(
        self,
        gradient: tf.Tensor,
        variable: keras.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._diagonals[index]
        step_size = cast(learning_rate, dtype) / tf.cast(
            correction(self.beta_1, self.iterations + 1), dtype
        )
        self.assign_add(m, (tf.cast(gradient, dtype) - m) * (1 - self.beta_1))
        # The correction of v multiplies the step and ε, which are scalars.
        scale = tf.cast(
            correction(self.beta_2, self._curvature_updates)
            ** (self.hessian_power / 2),
            dtype,
        )
        if self.hessian_power == 1:
            curvature = tf.sqrt(v)
        else:
            curvature = tf.pow(v, self.hessian_power / 2)
        self.assign_sub(
            variable,
            step_size
            * scale
            * m
            / (curvature + scale * self._epsilon_in(dtype)),
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "hessian_power": self.hessian_power,
                "probes": self.probes,
                "spatial_averaging": self.spatial_averaging,
            }
        )
        return config
