"""K-FAC: natural gradients with Kronecker-factored curvature."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature._checks import (
    checked_choice,
    checked_flag,
    checked_integer,
    checked_number,
)
from keras_curvature._typing import LearningRate
from keras_curvature.operators.kronecker.factors import SHARINGS
from keras_curvature.operators.kronecker.likelihood import FISHERS
from keras_curvature.optimizers._kronecker.base import KroneckerOptimizer


@keras.saving.register_keras_serializable(package="keras_curvature")
class KFAC(KroneckerOptimizer):
    """Momentum of natural gradients, layer by layer.

    The Fisher information of a layer whose inputs are a and whose outputs
    receive the signals g is approximated by A ⊗ G:

        A ← decay·A + (1 − decay)·E[a aᵀ]    every `update_period`-th step
        G ← decay·G + (1 − decay)·E[g gᵀ]
        d = (A + π√λ·I)⁻¹ · ∇L · (G + √λ/π·I)⁻¹
        m ← momentum·m + min(1, √(κ / (η²·dᵀ∇L)))·d
        w ← w − η·m

    with the rate η, the damping λ, the bound κ and π² = mean(A) / mean(G).
    The signals are those of labels that are drawn from the model's own
    outputs, by a second backward pass on the steps that update the factors.
    The first updates are means of those so far.

    Layers with factors: Dense, EinsumDense and so MultiHeadAttention,
    convolutions of all ranks, Embedding, the scales and offsets of
    normalizations, and tables that are added to or multiplied with each
    position, whose rows share one G. Other weights, such as those of
    recurrent layers, take an estimated diagonal and are named once in a
    warning.

    Any Keras model trains with it whose loss is the mean squared error or a
    cross-entropy of logits, or of a Keras softmax or sigmoid.
    `keras_curvature.Model` and `Sequential` serve every loss that this
    package knows, also in `mixed_float16`. Both need a compiled graph: not
    `run_eagerly=True`. Regularizers are in the gradient and not in the
    Fisher information. `weight_decay` is decoupled, as in Keras.

    With `adaptive_damping` the loss of the same batch after a step, over what
    the model foretold, is the `reduction_ratio` ρ, and Levenberg's rule sets
    the `current_damping` that the next inverses are computed with:

        λ ← ω^T·λ where ρ > 3/4,  λ ← λ/ω^T where ρ < 1/4 or not finite

    Where the model foretells no reduction, ρ is -1 if the loss rose, and
    otherwise nothing changes. The losses are those of `compile`, without
    penalties of weights. Needs a
    `keras_curvature.Model` or `Sequential`, and for each judged step another
    forward pass and two backward passes. Not with
    `gradient_accumulation_steps`, several replicas, half precision, or layers
    that draw random numbers in training.

    The factors are created when the first step is traced, since only the
    graph tells how a layer uses its weights, and a saved optimizer brings
    its own. They are float32, float64 for weights in float64. A factor that
    is not finite is not taken; the last good one stays. A step whose
    gradient or new weights are not finite is skipped, as `skipped_steps`
    counts.

    Args:
        learning_rate: Float, `keras.optimizers.schedules.LearningRateSchedule`
            or callable: the share η of the natural gradient. Where `kl_bound`
            shortens the step it changes nothing. Defaults to `0.5`.
        momentum: Float in [0, 1). A natural gradient needs less of it than a
            gradient does; the sum of past steps is 1 / (1 − momentum) as long
            as one, so more of it wants a smaller η and a κ that is smaller by
            the square. Defaults to `0.5`.
        damping: Float λ > 0, in units of the Fisher information. Too small a
            damping fits the training data at the cost of others, too large
            a one makes gradient descent of it. Defaults to `0.001`.
        adaptive_damping: Bool, whether λ follows how well the quadratic
            model ∇Lᵀδ + ½·δᵀ·G·δ of the step δ, with the exact Gauss–Newton
            matrix G of the batch, foretells the change of the loss: see
            above. Defaults to `False`.
        damping_period: Int ≥ 1, T: every T-th step is judged. Defaults to
            `5`.
        damping_decay: Float ω in (0, 1), of λ for each step. Defaults to
            `0.95`.
        damping_bounds: Pair of floats > 0 between which an adaptive λ stays.
            Defaults to `(1e-4, 1.0)`.
        decay: Float in [0, 1) of the averages of A and G, per update.
            Less of it follows the weights faster, and is noise at the end of
            long trainings. Defaults to `0.95`.
        update_period: Int ≥ 1. The factors and their inverses are computed
            on every `update_period`-th step, and before the second of these
            1, 2, 4, 8, ... steps after the first. Defaults to `10`.
        fisher: `"monte_carlo"` draws labels from the outputs, `"exact"` takes
            the expectation over them with as many backward passes as a sample
            has outputs, `"empirical"` takes the labels of the batch. Defaults
            to `"monte_carlo"`.
        sharing: `"expand"` or `"reduce"`, how a weight that is shared over
            positions is taken: positions as samples, or their mean. Defaults
            to `"expand"`.
        eigenvalue_correction: Bool, whether the eigenvalues of A ⊗ G are
            replaced by the moments of the gradients in its eigenvectors
            (EKFAC), at the cost of eigendecompositions. Defaults to `False`.
        kl_bound: Float κ > 0 or None. Shortens directions whose step η·d would
            change the model's distribution by more than κ/2 in the
            Kullback–Leibler divergence, to second order and in units of the
            loss. Early steps are as long as this allows: the first argument
            to tune. Smaller where the loss diverges or stalls at the start.
            Defaults to `5e-3`.
        max_factor_size: Int ≥ 1. Of factors with more rows the diagonal is
            kept. Defaults to `2048`.
        weight_decay: Float or None. Defaults to `None`.
        seed: Int ≥ 0. Labels are a function of it, of the step and of the
            place in the batch. Defaults to `0`.
        name: String. Defaults to `"kfac"`.
        **kwargs: `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`,
            `ema_momentum`, `ema_overwrite_frequency`, `loss_scale_factor` and
            `gradient_accumulation_steps`, as in Keras's own optimizers.
            Clipping acts on ∇L alone.

    Raises:
        ValueError: if an argument breaks its rule, or a layer uses its
            weights otherwise than in the first step; at the first step, if
            `adaptive_damping` cannot compare two losses.
        RuntimeError: at the first step, if it shows no loss that is known, or
            with `adaptive_damping` on a plain Keras model.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.optimizers import KFAC

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(KFAC(), "mse")
    model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    ```

    References:
        Martens, Grosse, 2015, "Optimizing neural networks with
        Kronecker-factored approximate curvature", arXiv 1503.05671.
        Grosse, Martens, 2016, arXiv 1602.01407, for convolutions.
        Eschenhagen et al., 2023, arXiv 2311.00636, for shared weights.
        George et al., 2018, arXiv 1806.03884, for EKFAC.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.5,
        *,
        momentum: float = 0.5,
        damping: float = 0.001,
        adaptive_damping: bool = False,
        damping_period: int = 5,
        damping_decay: float = 0.95,
        damping_bounds: Sequence[float] = (1e-4, 1.0),
        decay: float = 0.95,
        update_period: int = 10,
        fisher: Literal["exact", "monte_carlo", "empirical"] = "monte_carlo",
        sharing: Literal["expand", "reduce"] = "expand",
        eigenvalue_correction: bool = False,
        kl_bound: float | None = 5e-3,
        max_factor_size: int = 2048,
        weight_decay: float | None = None,
        seed: int = 0,
        name: str = "kfac",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            name=name,
            **kwargs,
        )
        self.momentum = checked_number("momentum", momentum, minimum=0, below=1)
        self.damping = checked_number("damping", damping, above=0)
        self._set_adaptive_damping(
            adaptive_damping, damping_period, damping_decay, damping_bounds
        )
        self.decay = checked_number("decay", decay, minimum=0, below=1)
        self.update_period = checked_integer(
            "update_period", update_period, minimum=1
        )
        self.fisher = checked_choice("fisher", fisher, FISHERS)
        self.sharing = checked_choice("sharing", sharing, SHARINGS)
        self.eigenvalue_correction = checked_flag(
            "eigenvalue_correction", eigenvalue_correction
        )
        if kl_bound is not None:
            kl_bound = checked_number("kl_bound", kl_bound, above=0)
        self.kl_bound = kl_bound
        self.max_factor_size = checked_integer(
            "max_factor_size", max_factor_size, minimum=1
        )
        self.seed = checked_integer("seed", seed, minimum=0)
        self._set_preconditioner()

    def update_step(
        self,
        gradient: tf.Tensor,
        variable: keras.Variable,
        learning_rate: tf.Tensor,
    ) -> None:
        # The gradient has become a direction by now.
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        m = self._momentums[index]
        self.assign(m, m * self.momentum + tf.cast(gradient, dtype))
        self.assign_sub(variable, cast(learning_rate, dtype) * m)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "momentum": self.momentum,
                "damping": self.damping,
                "adaptive_damping": self.adaptive_damping,
                "damping_period": self.damping_period,
                "damping_decay": self.damping_decay,
                "damping_bounds": list(self.damping_bounds),
                "decay": self.decay,
                "update_period": self.update_period,
                "fisher": self.fisher,
                "sharing": self.sharing,
                "eigenvalue_correction": self.eigenvalue_correction,
                "kl_bound": self.kl_bound,
                "max_factor_size": self.max_factor_size,
                "seed": self.seed,
            }
        )
        return config
