"""The Levenberg-Marquardt method as a Keras optimizer."""

import keras
import tensorflow as tf

from keras_curvature.optimizers import _stopping
from keras_curvature.optimizers._checks import (
    checked_choice,
    checked_integer,
    checked_number,
)
from keras_curvature.optimizers._jacobian_systems import jacobian_system
from keras_curvature.optimizers._least_squares import LeastSquaresOptimizer
from keras_curvature.optimizers._stopping import first_code
from keras_curvature.optimizers._trust_region import first_accepted

# Up to so many weights QR costs little beside the rest of a step.
_QR_WEIGHTS = 16
# Below so many, the size of the matrix to factorise matters little.
_DUAL_WEIGHTS = 256
# What a step leaves of the column norms before it. Never to forget (Moré) is
# slow once the norms fall by orders of magnitude; to keep nothing lets a
# column that vanishes carry its weight away.
_MEMORY = 0.95
# Entries of the Jacobian that are held at once: 128 MiB in float64.
_SLICE_ENTRIES = 2**24


@keras.saving.register_keras_serializable(package="keras_curvature")
class LevenbergMarquardt(LeastSquaresOptimizer):
    """Damped Gauss–Newton steps from exact Jacobians of each sample.

    With the residuals r(w) of the batch and their Jacobian A the step is

        d = −(AᵀA + λD²)⁻¹ Aᵀr,  L(w) ≈ ½‖r‖²

    where the damping λ ≥ 0 keeps ‖D·d‖ within a trust radius. The radius
    grows and shrinks with the gain ratio (actual over predicted reduction of
    the loss). A step that does not lower the loss is not taken: the radius
    shrinks and the next one is tried, on the same Jacobian, up to
    `max_attempts` times; if none is accepted, the weights stay exactly as
    they were.

    For problems with few weights (up to some thousands), which it takes to
    the last digit: curve fitting, physics-informed networks (models whose
    outputs are residuals, with loss `"mse"`), small networks. It needs a
    `keras_curvature.Model` or `Sequential`. With the whole data as one batch
    `fit` ends by itself, and `stop_reason` says why.

    Losses: mean squared error; binary, categorical and sparse categorical
    cross-entropy; Poisson; Huber; one for each output, with sample weights
    and loss weights. A and r of losses other than squares are those of their
    Gauss–Newton form (`AᵀA = JᵀH_L J`, `Aᵀr = ∇L`).

    Args:
        linear_solver: How the step is computed. `"cholesky"`: normal
            equations AᵀA. `"dual"`: AAᵀ, for fewer residuals than weights.
            `"qr"`: orthogonal triangularisation, which does not square the
            condition number of A. `"auto"`: QR up to 16 weights, dual from
            256 weights where there are fewer residuals, else Cholesky.
            Defaults to `"auto"`.
        scaling: `"marquardt"`: D holds the largest recent norm of each
            column of A, `D ← max(0.95·D, ‖A_j‖)`, so that the steps do not depend on the units of the
            weights. `"identity"`: D = I. Defaults to `"marquardt"`.
        initial_trust_radius: Float > 0, the first trust radius in units of
            ‖D·w‖. Defaults to `100.0`.
        max_attempts: Int ≥ 1, trial steps for one Jacobian. Defaults to
            `10`.
        slice_size: Int ≥ 1 or None. Number of samples whose Jacobian is held
            at once, which bounds the memory. None: as many as have 2²⁴
            entries. Defaults to `None`.
        gradient_tolerance: Float ≥ 0. `fit` ends when each column of A is
            orthogonal to r up to this cosine. Defaults to `0.0`.
        step_tolerance: Float ≥ 0. `fit` ends after a step of
            ‖D·d‖ ≤ step_tolerance·‖D·w‖. Defaults to `0.0`.
        loss_tolerance: Float ≥ 0. `fit` ends after a step whose predicted and
            actual relative reductions of the loss are within this. Defaults
            to `0.0`. With all three 0 it ends where rounding does not let
            the loss be lowered further.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if an argument breaks its rule; at the first step, if a
            loss has no Gauss–Newton form, the model has regularizers or
            layers that draw random numbers or mix samples, or float types
            differ.
        RuntimeError: at the first step of a plain Keras model.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_curvature

    x = np.linspace(-1, 1, 200).reshape(-1, 1)
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(10, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "mse")
    model.fit(x, np.sin(4 * x), batch_size=200, epochs=50, verbose=0)
    ```

    References:
        Moré, 1978, "The Levenberg-Marquardt algorithm: implementation and
        theory". Marquardt, 1963, "An algorithm for least-squares estimation
        of nonlinear parameters".
    """

    def __init__(
        self,
        linear_solver="auto",
        scaling="marquardt",
        initial_trust_radius=100.0,
        max_attempts=10,
        slice_size=None,
        gradient_tolerance=0.0,
        step_tolerance=0.0,
        loss_tolerance=0.0,
        name=None,
        **kwargs,
    ):
        super().__init__(
            gradient_tolerance, step_tolerance, loss_tolerance, name, **kwargs
        )
        self.linear_solver = checked_choice(
            "linear_solver", linear_solver, ("auto", "cholesky", "dual", "qr")
        )
        self.scaling = checked_choice(
            "scaling", scaling, ("marquardt", "identity")
        )
        self.initial_trust_radius = checked_number(
            "initial_trust_radius", initial_trust_radius, minimum=1e-300
        )
        self.max_attempts = checked_integer(
            "max_attempts", max_attempts, minimum=1
        )
        self.slice_size = slice_size
        if slice_size is not None:
            self.slice_size = checked_integer(
                "slice_size", slice_size, minimum=1
            )

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._radius = self._scalar("trust_radius")
        self._damping = self._scalar("damping")
        self._last_length = self._scalar("last_step_length")
        self._column_norms = self.add_variable(
            shape=(self.size,),
            dtype=self.dtype,
            aggregation="only_first_replica",
            name="largest_column_norms",
        )

    def minimize(self, objective, variables):
        step, logs = self._step_by_shape(objective, variables)
        objective.move(logs["accepted"], step)
        logs["accepted"] = tf.cast(logs["accepted"], self.dtype)
        return logs

    def _step_by_shape(self, objective, variables):
        """The step, by the linear solver that suits the numbers of rows."""

        def by(solver):
            size = self.slice_size or max(
                1, _SLICE_ENTRIES // (objective.outputs.shape[1] * self.size)
            )
            system, is_mixed = jacobian_system(
                objective, variables, solver, size
            )
            return self._step(objective, system, is_mixed)

        if self.linear_solver != "auto":
            return by(self.linear_solver)
        if self.size <= _QR_WEIGHTS:
            return by("qr")
        if self.size < _DUAL_WEIGHTS:
            return by("cholesky")
        return tf.cond(
            tf.size(objective.form.residuals) < self.size,
            lambda: by("dual"),
            lambda: by("cholesky"),
        )

    def _step(self, objective, system, is_mixed):
        """The first of several trial steps that lowers the loss."""
        scaling = self._new_scaling(system)
        system = system.scaled(scaling)
        norm = tf.norm(scaling * objective.weights)
        first_radius = self.initial_trust_radius * tf.where(norm > 0, norm, 1)
        radius = tf.where(self._radius > 0, self._radius.value, first_radius)
        last_length = tf.where(
            self._last_length > 0, self._last_length.value, radius
        )
        trial = first_accepted(
            objective,
            system,
            scaling,
            radius,
            self._damping.value,
            last_length,
            self.max_attempts,
        )
        self._radius.assign(trial.radius)
        self._damping.assign(trial.damping)
        self._last_length.assign(
            tf.where(trial.is_accepted, trial.length, last_length)
        )
        return trial.step, {
            "damping": trial.damping,
            "trust_radius": trial.radius,
            "gain_ratio": trial.ratio,
            "attempts": trial.attempts,
            "accepted": trial.is_accepted,
            "stop_reason": self._stop_code_after(
                objective, system, trial, norm, is_mixed
            ),
        }

    def _new_scaling(self, system):
        """The diagonal of D."""
        if self.scaling == "identity":
            return tf.ones_like(system.gradient)
        norms = system.column_norms
        largest = tf.maximum(_MEMORY * self._column_norms.value, norms)
        self._column_norms.assign(
            tf.where(tf.math.is_finite(norms), largest, self._column_norms)
        )
        return tf.where(largest > 0, largest, tf.ones_like(largest))

    def _stop_code_after(self, objective, system, trial, norm, is_mixed):
        squares = tf.sqrt(2 * tf.abs(objective.loss))
        cosine = tf.reduce_max(tf.abs(system.gradient))
        accepted = trial.is_accepted
        is_reduction_small = (
            trial.predicted <= self.loss_tolerance * objective.loss
        ) & (tf.abs(trial.actual) <= self.loss_tolerance * objective.loss)
        is_first = self.iterations == 0
        return first_code(
            [
                (_stopping.MIXED_SAMPLES, is_mixed & is_first),
                (
                    _stopping.NOT_FINITE,
                    ~tf.math.is_finite(objective.loss + cosine),
                ),
                (
                    _stopping.GRADIENT,
                    cosine <= self.gradient_tolerance * squares,
                ),
                (
                    _stopping.STEP,
                    accepted & (trial.length <= self.step_tolerance * norm),
                ),
                (_stopping.LOSS, accepted & is_reduction_small),
                (_stopping.PRECISION, trial.is_exhausted),
            ]
        )

    def get_config(self):
        return {
            **super().get_config(),
            "linear_solver": self.linear_solver,
            "scaling": self.scaling,
            "initial_trust_radius": self.initial_trust_radius,
            "max_attempts": self.max_attempts,
            "slice_size": self.slice_size,
        }
