"""Newton's method with truncated conjugate gradients and a trust region."""

import math
from typing import Any, Literal

import keras
import tensorflow as tf

from keras_curvature._checks import (
    checked_choice,
    checked_integer,
    checked_number,
)
from keras_curvature.autodiff.curvature_of import curvature_of
from keras_curvature.linalg.steihaug import steihaug
from keras_curvature.optimizers._common.replicas import replica_count
from keras_curvature.optimizers._common.trust_region import radii_of_path
from keras_curvature.optimizers._evaluations.evaluation import where
from keras_curvature.optimizers._evaluations.kept_steps import (
    KEPT,
    away_from_saddle,
    probe,
)
from keras_curvature.optimizers._evaluations.limited_memory import (
    LimitedMemory,
)
from keras_curvature.optimizers._evaluations.trust_region_solver import (
    TrustRegionSolver,
)

# CG with a random right-hand side looks for negative curvature this far.
_PROBE_TOLERANCE = 1e-6


@keras.saving.register_keras_serializable(package="keras_curvature")
class NewtonCG(TrustRegionSolver):
    """Trust-region Newton with exact Hessian products.

        p ≈ argmin gᵀp + ½ pᵀHp,  ‖p‖ ≤ Δ    (Steihaug's truncated CG)
        x₊ = x + p  if L(x) − L(x + p) > 0.05 (−gᵀp − ½ pᵀHp)

    CG stops at ‖g + Hp‖ ≤ η‖g‖, η = min(cg_tolerance, √(‖g‖ / ‖g₀‖)), so that
    the method is cheap far from a minimum and converges superlinearly close to
    it. Directions of negative curvature are followed to the boundary. Where
    the gradient vanishes, CG with a random right-hand side looks for negative
    curvature, so that a saddle point is left.

    Each step of `fit` is one evaluation at a trial point, as for `LBFGS`,
    whose rules hold here too: the loss must be the same deterministic
    function in every step, `fit(batch_size=len(x), shuffle=False)`, and `fit`
    of `keras_curvature.Model` and `keras_curvature.Sequential` ends by itself.
    A step whose trial was accepted takes the products of the next one. Runs on
    any Keras model under `fit`; with `run_eagerly=True` on
    `keras_curvature.Model` and `keras_curvature.Sequential`.

    With the whole data as one batch `keras_curvature.solve` takes these steps
    without Keras's epoch around each, which costs ten of them on small models.
    It also takes conditions with point sets of their own.

    Args:
        initial_trust_radius: Float > 0, the first trust radius in units of
            ‖w‖, the norm of the initial weights; in units of the weights where
            they are all 0. Defaults to `1.0`.
        cg_tolerance: Float in (0, 1), the loosest relative residual of CG.
            Defaults to `0.5`.
        max_cg_iterations: Int ≥ 1, most Hessian products for one step.
            Defaults to `200`.
        preconditioner: None, or `"lbfgs"` for the limited-memory BFGS matrix
            of the accepted steps, which also shapes the trust region. Defaults
            to `None`.
        history_size: Int ≥ 1, number of pairs of the preconditioner. Defaults
            to `10`.
        gradient_tolerance: Float ≥ 0, absolute, in units of loss / weight.
            Stops where no entry of the gradient is larger. Defaults to `1e-8`.
        loss_tolerance: Float in [0, 1), dimensionless. Stops where a step
            lowered the loss by less than this part of its absolute value, or,
            once the loss has changed its sign, of its whole fall. Defaults to
            `0.0`, never.
        loss_scale_factor: None or float, see `keras.optimizers.Optimizer`.
            Defaults to `None`.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if an argument breaks its rule or is an option of Keras's
            optimizers that the method cannot have; and on several replicas.
        SolverError: as `LBFGS`.
        RuntimeError: at the first step of a plain Keras model compiled with
            `run_eagerly=True`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.optimizers import NewtonCG

    x = np.linspace(-1, 1, 64)[:, None]
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(NewtonCG(), loss="mse")
    model.fit(
        x, np.sin(3 * x), batch_size=64, shuffle=False, epochs=30, verbose=0
    )
    ```

    References:
        Steihaug, 1983, "The conjugate gradient method and trust regions in
        large scale optimization", SIAM J. Numer. Anal. 20(3).
        Conn, Gould, Toint, 2000, "Trust-region methods", chapters 6, 7, 17.
    """

    uses_curvature = True

    def __init__(
        self,
        initial_trust_radius: float = 1.0,
        *,
        cg_tolerance: float = 0.5,
        max_cg_iterations: int = 200,
        preconditioner: Literal["lbfgs"] | None = None,
        history_size: int = 10,
        gradient_tolerance: float = 1e-8,
        loss_tolerance: float = 0.0,
        loss_scale_factor: float | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            gradient_tolerance=gradient_tolerance,
            loss_tolerance=loss_tolerance,
            loss_scale_factor=loss_scale_factor,
            name=name,
            options=options,
        )
        self.initial_trust_radius = checked_number(
            "initial_trust_radius", initial_trust_radius, above=0
        )
        self.cg_tolerance = checked_number(
            "cg_tolerance", cg_tolerance, above=0, below=1
        )
        self.max_cg_iterations = checked_integer(
            "max_cg_iterations", max_cg_iterations, 1
        )
        self.preconditioner = checked_choice(
            "preconditioner", preconditioner, (None, "lbfgs")
        )
        self.history_size = checked_integer("history_size", history_size, 1)
        self._memory = LimitedMemory(self.history_size)

    def _method_shapes(self, size, dtype):
        shapes = super()._method_shapes(size, dtype)
        if self.preconditioner:
            shapes |= self._memory.shapes(size, dtype)
        return shapes

    def _curvature(self, gradients):
        if replica_count() > 1:
            raise ValueError(
                f"{self.name} runs on one replica, because Hessian products "
                "inside conjugate gradients cannot be summed over replicas. "
                f"Received: {replica_count()} replicas. Use LBFGS, or train "
                "outside of the strategy's scope."
            )
        return curvature_of(gradients, self._trainable_variables)

    def _path(self, state, evaluation, radius, fall, is_stationary):
        """The steps of one path of CG, or away from a saddle point."""
        gradient = state["gradient"]
        tolerance = where(fall > 0, tf.sqrt(fall), 0.0)
        tolerance = tf.minimum(
            tf.constant(self.cg_tolerance, tolerance.dtype), tolerance
        )
        # The probe must not end at a boundary; its square is still finite.
        unbounded = 0.9 * math.sqrt(radius.dtype.max)
        found = steihaug(
            lambda vector: self._hessian_product(evaluation, vector),
            tf.where(is_stationary, probe(gradient), gradient),
            radii_of_path(where(is_stationary, unbounded, radius), KEPT),
            where(is_stationary, _PROBE_TOLERANCE, tolerance),
            self.max_cg_iterations,
            self._precondition(state),
        )
        return tf.nest.map_structure(
            lambda away, other: tf.where(is_stationary, away, other),
            away_from_saddle(found, gradient, radius),
            found,
        )

    def _hessian_product(self, evaluation, vector):
        products = evaluation.curvature.hessian_vector_product(
            self._flattening.unflatten(vector)
        )
        return self._unscaled(self._flattening.flatten(products))

    def _precondition(self, state):
        if not self.preconditioner:
            return None
        return lambda vector: self._memory.product(state, vector)

    def learn(
        self, before: dict[str, Any], after: dict[str, Any]
    ) -> dict[str, Any]:
        if not self.preconditioner:
            return {}
        return self._memory.update(
            before,
            after["point"] - before["point"],
            after["gradient"] - before["gradient"],
            None,  # No quasi-Newton step, so there is no step length.
            before["gradient"],
        )

    def forget(self, state: dict[str, Any]) -> dict[str, Any]:
        return self._memory.forget(state) if self.preconditioner else {}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "initial_trust_radius": self.initial_trust_radius,
            "cg_tolerance": self.cg_tolerance,
            "max_cg_iterations": self.max_cg_iterations,
            "preconditioner": self.preconditioner,
            "history_size": self.history_size,
        }
