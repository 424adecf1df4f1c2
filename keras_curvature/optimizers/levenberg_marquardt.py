"""The Levenberg-Marquardt method as a Keras optimizer."""

import keras
import tensorflow as tf

from keras_curvature._checks import (
    checked_choice,
    checked_flag,
    checked_integer,
)
from keras_curvature.optimizers._least_squares.base import LeastSquaresOptimizer
from keras_curvature.optimizers._least_squares.damped_steps import DampedSteps
from keras_curvature.optimizers._least_squares.geodesic import (
    geodesic_acceleration,
)
from keras_curvature.optimizers._least_squares.jacobian_systems import (
    jacobian_system,
)

# Up to so many weights QR costs little beside the rest of a step.
_QR_WEIGHTS = 16
# Below so many, the size of the matrix to factorise matters little, nor that
# it is made in float64.
_DUAL_WEIGHTS = 256
# What a step leaves of the column norms before it. Never to forget (Moré) is
# slow once the norms fall by orders of magnitude; to keep nothing lets a
# column that vanishes carry its weight away.
_MEMORY = 0.99
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
    `fit` ends by itself, and `stop_reason` says why; with mini-batches, which
    work too, it does not. On CPUs XLA factorises matrices some ten times
    slower than TensorFlow: leave `jit_compile` out.

    Losses: mean squared error; binary, categorical and sparse categorical
    cross-entropy; Poisson; Huber; one for each output, with sample weights
    and loss weights; and `keras.regularizers.L2` on weights. A and r of losses
    other than squares are those of their Gauss–Newton form (`AᵀA = JᵀH_L J`,
    `Aᵀr = ∇L`).

    Args:
        linear_solver: How the step is computed. `"cholesky"`: normal
            equations AᵀA, below 256 weights in float64. `"dual"`: AAᵀ, for
            fewer residuals than weights. `"qr"`: orthogonal
            triangularisation, which does not square the condition number of
            A. `"auto"`: QR up to 16 weights, dual from 256 weights where
            there are fewer residuals, else Cholesky. Defaults to `"auto"`.
        scaling: `"marquardt"`: D holds the largest recent norm of each
            column of A, `D ← max(0.99·D, ‖A_j‖)`, so that the steps do not
            depend on the units of the weights. `"identity"`: D = I,
            in float64 often faster on networks, whose weights have like
            units. Defaults to `"marquardt"`.
        initial_trust_radius: Float > 0, the first trust radius in units of
            ‖D·w‖. Larger ones are quicker from starts near the solution;
            networks may leap into a poor minimum. Defaults to `1.0`.
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
        geodesic_acceleration: Bool. Adds to each step d half of the
            acceleration of the path on which the outputs change linearly,

                a = −(AᵀA + λD²)⁻¹ Jᵀ·H_L·y″,

            with y″ the second derivative of the outputs y along d. A step
            with ‖D·a‖ > 0.75·‖D·d‖ is not taken. On networks the loss is
            often lower by orders of magnitude after as many steps. The model
            is differentiated three times more for each trial, so all layers
            need exact second derivatives. Defaults to `False`.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if an argument breaks its rule; at the first step, if a
            loss has no Gauss–Newton form, the model has
            regularizers other than L2, constraints or
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
        of nonlinear parameters". Transtrum and Sethna, 2012, "Improvements
        to the Levenberg-Marquardt algorithm for nonlinear least-squares
        minimization", arXiv:1201.5885 (geodesic acceleration).
    """

    may_mix_samples = False

    def __init__(
        self,
        linear_solver="auto",
        scaling="marquardt",
        initial_trust_radius=1.0,
        max_attempts=10,
        slice_size=None,
        gradient_tolerance=0.0,
        step_tolerance=0.0,
        loss_tolerance=0.0,
        geodesic_acceleration=False,
        name=None,
        **kwargs,
    ):
        super().__init__(
            initial_trust_radius,
            max_attempts,
            gradient_tolerance,
            step_tolerance,
            loss_tolerance,
            name,
            **kwargs,
        )
        self.linear_solver = checked_choice(
            "linear_solver", linear_solver, ("auto", "cholesky", "dual", "qr")
        )
        self.scaling = checked_choice(
            "scaling", scaling, ("marquardt", "identity")
        )
        self.geodesic_acceleration = checked_flag(
            "geodesic_acceleration", geodesic_acceleration
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
        self._column_norms = self.add_variable(
            shape=(self.size,),
            dtype=self.dtype,
            aggregation="only_first_replica",
            name="largest_column_norms",
        )

    def _minimize(self, objective, variables):
        trial = self._by_shape(objective, variables)
        return trial, {"damping": trial.damping}

    def _by_shape(self, objective, variables):
        """A trial by the solver that suits the numbers of rows and weights."""

        def by(solver):
            return self._trial(objective, variables, solver)

        if self.linear_solver != "auto":
            return by(self.linear_solver)
        if self.size <= _QR_WEIGHTS:
            return by("qr")
        if self.size < _DUAL_WEIGHTS:
            return by("cholesky")
        if objective.curvature is not None:
            # A penalty adds a row for each weight.
            return by("cholesky")
        return tf.cond(
            tf.size(objective.form.residuals) < self.size,
            lambda: by("dual"),
            lambda: by("cholesky"),
        )

    def _trial(self, objective, variables, solver):
        slice_size = self.slice_size or max(
            1, _SLICE_ENTRIES // (objective.outputs.shape[1] * self.size)
        )
        # In float32 normal equations would keep three digits.
        dtype = "float64" if self.size < _DUAL_WEIGHTS else self.dtype
        system, is_mixed = jacobian_system(
            objective, variables, solver, slice_size, dtype
        )
        acceleration = None
        if self.geodesic_acceleration:
            acceleration = geodesic_acceleration(
                objective, variables, slice_size
            )
        scaling = self._new_scaling(system)
        steps = DampedSteps(system, scaling, acceleration)
        norm = tf.norm(scaling * objective.weights)
        trial = self._try_steps(objective, steps.propose, norm)
        largest = tf.reduce_max(tf.abs(steps.gradient))
        self._set_status(objective, trial, largest, norm, is_mixed)
        return trial

    def _new_scaling(self, system):
        """The diagonal of D."""
        if self.scaling == "identity":
            return tf.ones((self.size,), self.dtype)
        norms = tf.cast(system.column_norms, self.dtype)
        largest = tf.maximum(_MEMORY * self._column_norms.value, norms)
        self._column_norms.assign(
            tf.where(tf.math.is_finite(norms), largest, self._column_norms)
        )
        return tf.where(largest > 0, largest, tf.ones_like(largest))

    def get_config(self):
        return {
            **super().get_config(),
            "linear_solver": self.linear_solver,
            "scaling": self.scaling,
            "slice_size": self.slice_size,
            "geodesic_acceleration": self.geodesic_acceleration,
        }
