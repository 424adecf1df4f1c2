"""Self-scaled quasi-Newton methods with a dense inverse Hessian."""

import os
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_curvature._checks import checked_choice
from keras_curvature.linalg import broyden_family
from keras_curvature.optimizers._evaluations.dense_inverse import DenseInverse
from keras_curvature.optimizers._evaluations.line_search import Rules
from keras_curvature.optimizers._evaluations.line_search_solver import (
    LineSearchSolver,
)

_MEMBERS = {
    "ssbroyden": broyden_family.self_scaled_broyden,
    "ssbfgs": broyden_family.self_scaled_bfgs,
    "bfgs": broyden_family.bfgs,
}
# The variable, what it was, and two on the way from one to the other.
_MATRICES = 4


@keras.saving.register_keras_serializable(package="keras_curvature")
class SelfScaledBroyden(LineSearchSolver):
    """Self-scaled Broyden and BFGS methods with a strong Wolfe line search.

        w₊ = w − α H g,  s = w₊ − w,  y = g₊ − g
        H₊ = (H − H y yᵀH / yᵀHy + φ v vᵀ) / τ + s sᵀ / yᵀs
        v = √(yᵀHy)·(s / yᵀs − H y / yᵀHy)

    The first H is γI with γ = yᵀs / yᵀy of the first pair, so that the path
    does not depend on the units of the loss. The papers begin with I: where
    the gradient is much larger than the weights are apart, as under a
    differential operator, H then takes hundreds of steps to become as small as
    it has to be, since no τ of theirs makes it smaller. For the same reason a
    line search does not begin with α = 1, but where a parabola falls by as
    much as the last step did, α = min(1, 2.02·(L₋ − L) / gᵀHg), as in the
    papers' own code: mostly the first trial is then the last one.

    For small networks whose loss is to fall by many orders of magnitude, such
    as physics-informed ones in float64, where `LBFGS` stalls because it knows
    the last few pairs only. H is a dense matrix of all of them: n weights take
    8·n² bytes in float64 (4·n² in float32), four times that during a step and
    once in a saved file: 32 MB for 2,000 weights, 3.2 GB for 20,000. In each
    step τ makes H larger or smaller as a whole, and φ chooses the member of
    Broyden's family, both from how H fitted the last pair.

    It is used as `LBFGS` is: each step of `fit` is one evaluation of loss and
    gradient at a trial point, so the loss must be the same function in every
    step. Give `fit` the whole data as one batch, `batch_size=len(x)`, or set
    `gradient_accumulation_steps`. Works on any Keras model. See `LBFGS` for
    the weights during and after `fit`, callbacks, and a second `fit`.

    Args:
        update: Which τ and φ: `"ssbroyden"`, both change with every pair (of
            the papers' methods the most accurate); `"ssbfgs"`, φ = 1 and
            τ = min(1, yᵀs / sᵀH⁻¹s); `"bfgs"`, φ = τ = 1. Defaults to
            `"ssbroyden"`.
        initial_inverse: The first H: `"scaled"`, γI; `"identity"`, as in the
            papers. Defaults to `"scaled"`.
        sufficient_decrease: Float in [0, 0.5), μ of the Wolfe conditions.
            Defaults to `1e-4`.
        wolfe_curvature: Float in [sufficient_decrease, 1), η of the Wolfe
            conditions; smaller is a more exact line search. Defaults to
            `0.9`.
        line_search_evaluations: Int ≥ 2, most evaluations in one line search.
            Defaults to `20`.
        gradient_tolerance: Float ≥ 0, absolute, in units of loss / weight.
            Stops where no entry of the gradient is larger. Defaults to `1e-8`.
        loss_tolerance: Float in [0, 1), dimensionless. Stops where a step
            lowered the loss by less than this part of its absolute value, or,
            once the loss has changed its sign, of its whole fall. Defaults to
            `0.0`, never.
        gradient_accumulation_steps: None or int ≥ 2, number of batches that
            make one evaluation, the mean of theirs. Defaults to `None`.
        loss_scale_factor: None or float, see `keras.optimizers.Optimizer`.
            Defaults to `None`.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if an argument breaks its rule, or is an option of Keras's
            optimizers that a line search cannot have; in the first step, if
            the matrices are larger than the memory of the machine.
        SolverError: as `LBFGS`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.optimizers import SelfScaledBroyden

    x = np.linspace(-1, 1, 64)[:, None]
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(SelfScaledBroyden(), loss="mse")
    model.fit(
        x, np.sin(3 * x), batch_size=64, shuffle=False, epochs=100, verbose=0
    )
    ```

    References:
        Al-Baali, 1998, "Numerical experience with a class of self-scaling
        quasi-Newton algorithms", JOTA 96.
        Urbán, Stefanou, Pons, 2025, "Unveiling the optimization process of
        physics informed neural networks", Journal of Computational Physics
        523, arXiv 2405.04230, equations 9 to 23.
        Nocedal and Wright, 2006, "Numerical Optimization", equations 6.20 (γ)
        and 3.60 (the first trial).
        Kiyani et al., 2025, "Optimizing the optimizer for physics-informed
        neural networks and Kolmogorov-Arnold networks", arXiv 2501.16371.
    """

    def __init__(
        self,
        update: Literal["ssbroyden", "ssbfgs", "bfgs"] = "ssbroyden",
        *,
        initial_inverse: Literal["scaled", "identity"] = "scaled",
        sufficient_decrease: float = 1e-4,
        wolfe_curvature: float = 0.9,
        line_search_evaluations: int = 20,
        gradient_tolerance: float = 1e-8,
        loss_tolerance: float = 0.0,
        gradient_accumulation_steps: int | None = None,
        loss_scale_factor: float | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            gradient_tolerance=gradient_tolerance,
            loss_tolerance=loss_tolerance,
            gradient_accumulation_steps=gradient_accumulation_steps,
            loss_scale_factor=loss_scale_factor,
            name=name,
            options=options,
        )
        self.update = checked_choice("update", update, tuple(_MEMBERS))
        self.initial_inverse = checked_choice(
            "initial_inverse", initial_inverse, ("scaled", "identity")
        )
        self.quasi_newton = DenseInverse(
            _MEMBERS[update], is_scaled=initial_inverse == "scaled"
        )
        self.rules = Rules.checked(
            sufficient_decrease, wolfe_curvature, line_search_evaluations
        )

    def _method_shapes(self, size, dtype):
        _refuse_large(self.name, size, tf.as_dtype(dtype).size)
        return super()._method_shapes(size, dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "update": self.update,
            "initial_inverse": self.initial_inverse,
            "sufficient_decrease": self.rules.sufficient_decrease,
            "wolfe_curvature": self.rules.curvature,
            "line_search_evaluations": self.rules.evaluations,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }


def _refuse_large(name, size, bytes_each):
    needed, present = _MATRICES * bytes_each * size**2, _memory()
    if needed > present:
        raise ValueError(
            f"{name} needs a matrix of {size} × {size} entries: "
            f"{bytes_each * size**2:,} bytes, and {needed:,} during a step. "
            f"Received: {size:,} weights, on a machine with {present:,} bytes "
            "of memory. Use LBFGS, or NewtonCG, whose memory grows with the "
            "number of weights and not with its square."
        )


def _memory():
    """Bytes of this machine, infinite where they cannot be asked for."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # as on Windows
        return float("inf")
