"""Sophia: momentum clipped by the Hessian's diagonal."""

from typing import Any, Literal

import keras
import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature._checks import checked_choice, checked_flag, checked_number
from keras_curvature._typing import LearningRate
from keras_curvature.optimizers._diagonal.base import (
    DiagonalCurvatureOptimizer,
    correction,
)
from keras_curvature.optimizers._diagonal.gauss_newton_bartlett import (
    GaussNewtonBartlett,
)
from keras_curvature.optimizers._diagonal.hutchinson import Hutchinson

_ESTIMATORS = ("hutchinson", "gauss_newton_bartlett")


@keras.saving.register_keras_serializable(package="keras_curvature")
class Sophia(DiagonalCurvatureOptimizer):
    """Momentum divided by the Hessian's diagonal, and clipped where that is
    small or negative.

    With the gradient g and an estimate D of the diagonal of H:

        m ← β₁ m + (1 − β₁) g
        h ← β₂ h + (1 − β₂) D           every `update_period`-th step
        w ← w − η · clip(m / max(ρ h, ε), ±1)

    An entry with little or negative curvature moves by η in the direction of
    −m. D is

    - `"hutchinson"`: z ∘ Hz for a Rademacher probe z (the paper's is normal:
      the same mean, a larger variance), of the step's own loss, regularizers
      included; on any Keras model.
    - `"gauss_newton_bartlett"`: B ĝ ∘ ĝ, where ĝ is the gradient with labels
      drawn from the model's own outputs, an estimate of the Gauss–Newton
      diagonal, never negative. Needs `keras_curvature.Model`, `Sequential` or
      `Functional`, and `loss` among categorical, sparse categorical and
      binary cross-entropy and mean squared error (labels with normal noise).
      With a negative sample weight it is not finite, and the step is skipped.

    On replicas and over accumulated micro-batches D is that of the whole
    batch. `weight_decay` is decoupled, as in Keras.

    The update is the paper's, with D taken before it, so that no step divides
    by ε for want of an estimate. pytorch_optimizer's SophiaH with
    lr = η / ρ, p = ρ and eps = ε / ρ takes the same path; optax.contrib.sophia
    divides m by 1 − β₁ᵗ and takes D after the update, so that its first
    `update_interval` steps have h = 0. With `bias_correction` m is divided by
    1 − β₁ᵗ and h by 1 − β₂ᵏ, with k the updates of h, and ρ clips the same
    share of weights from the first step on.

    A step whose gradient, D, new weights or new state are not finite is
    skipped: weights, state and iteration count stay as they were,
    `skipped_steps` counts it and `fit` warns at its end.

    Args:
        learning_rate: Float, `keras.optimizers.schedules.LearningRateSchedule`
            or callable: the most that a weight moves in a step. Defaults to
            `0.001`.
        beta_1: Float in [0, 1). Defaults to `0.96`.
        beta_2: Float in [0, 1). Defaults to `0.99`.
        rho: Float > 0, the paper's γ. Where nothing is clipped the step is
            η / ρ times that of Newton's method on the diagonal; a smaller ρ
            clips more weights. Defaults to `0.01`, the paper's for
            Hutchinson; it takes 0.05 for Gauss–Newton–Bartlett.
        epsilon: Float ≥ 0, in units of ρ times the Hessian. Defaults to
            `1e-12`.
        update_period: Int ≥ 1. D is computed on every `update_period`-th step
            and h held in between. Defaults to `10`.
        estimator: `"hutchinson"` or `"gauss_newton_bartlett"`. Defaults to
            `"hutchinson"`.
        bias_correction: Bool, whether m and h are bias-corrected, as in Adam.
            Defaults to `False`, as in the paper.
        weight_decay: Float or None. Defaults to `None`.
        seed: Int ≥ 0. Probes and labels are a function of it, the step and
            the position, so that a run can be repeated and resumed exactly.
            Defaults to `0`.
        name: String. Defaults to `"sophia"`.
        **kwargs: `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`,
            `ema_momentum`, `ema_overwrite_frequency`, `loss_scale_factor` and
            `gradient_accumulation_steps`, as in Keras's own optimizers.
            Clipping acts on g alone.

    Raises:
        ValueError: if an argument breaks its rule, if the estimator does not
            know the loss at the first step, or if a variable at a step is not
            one of those that the optimizer was built with.
        RuntimeError: at the first step, if the estimator needs
            `keras_curvature.Model` and was given another model.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.optimizers import Sophia

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(Sophia(learning_rate=0.01), "mse")
    model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    ```

    References:
        Liu, Li, Hall, Liang, Ma, 2023, "Sophia: A scalable stochastic
        second-order optimizer for language model pre-training", arXiv
        2305.14342, algorithms 1 to 3.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        *,
        beta_1: float = 0.96,
        beta_2: float = 0.99,
        rho: float = 0.01,
        epsilon: float = 1e-12,
        update_period: int = 10,
        estimator: Literal[
            "hutchinson", "gauss_newton_bartlett"
        ] = "hutchinson",
        bias_correction: bool = False,
        weight_decay: float | None = None,
        seed: int = 0,
        name: str = "sophia",
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
        # At 0 each step would be the sign of the momentum.
        self.rho = checked_number("rho", rho, above=0)
        self.estimator = checked_choice("estimator", estimator, _ESTIMATORS)
        self.bias_correction = checked_flag("bias_correction", bias_correction)
        if estimator == "hutchinson":
            self._estimator: Hutchinson | GaussNewtonBartlett = Hutchinson(
                probes=1, seed=self.seed
            )
        else:
            self._estimator = GaussNewtonBartlett(self.seed)
            self._remedy_of_skipping += (
                " Look for a negative `sample_weight`, class or loss weight: "
                "the gauss_newton_bartlett estimate is not defined with one, "
                'and estimator="hutchinson" takes any.'
            )

    def _curvature_moment(self, estimate, variable):
        return estimate

    def update_step(
        self,
        gradient: tf.Tensor,
        variable: keras.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        m, h = self._momentums[index], self._diagonals[index]
        self.assign_add(m, (tf.cast(gradient, dtype) - m) * (1 - self.beta_1))
        rho = tf.constant(self.rho, "float64")
        if self.bias_correction:
            # One factor on h stands for both corrections.
            rho *= correction(self.beta_1, self.iterations + 1)
            rho /= correction(self.beta_2, self._curvature_updates)
        curvature = tf.maximum(tf.cast(rho, dtype) * h, self._epsilon_in(dtype))
        self.assign_sub(
            variable,
            cast(learning_rate, dtype) * tf.clip_by_value(m / curvature, -1, 1),
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "rho": self.rho,
                "estimator": self.estimator,
                "bias_correction": self.bias_correction,
            }
        )
        return config
