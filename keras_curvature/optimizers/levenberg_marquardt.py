"""The Levenberg-Marquardt method as a Keras optimizer."""

import keras
import tensorflow as tf

from keras_curvature._checks import (
    checked_choice,
    checked_flag,
    checked_integer,
)
from keras_curvature.optimizers._least_squares.base import (
    LeastSquaresSolver,
    Proposals,
)
from keras_curvature.optimizers._least_squares.damped_steps import DampedSteps
from keras_curvature.optimizers._least_squares.geodesic import (
    geodesic_acceleration,
)
from keras_curvature.optimizers._least_squares.jacobian_systems import (
    jacobian_system,
)
from keras_curvature.optimizers.stop_reason import StopReason

# Up to so many weights QR costs little beside the rest of a step.
_QR_WEIGHTS = 16
# Below so many, the size of the matrix to factorize matters little, nor that
# it is made in float64.
_DUAL_WEIGHTS = 256
# Decay of the running maximum of column norms per step. 1 (Moré) is slow once
# norms fall by orders of magnitude; 0 lets the scale of a vanishing column
# collapse.
_MEMORY = 0.99
# Entries of the Jacobian that are held at once: 128 MiB in float64.
_SLICE_ENTRIES = 2**24


@keras.saving.register_keras_serializable(package="keras_curvature")
class LevenbergMarquardt(LeastSquaresSolver):
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
    work too, it does not. On CPUs XLA factorizes matrices some ten times
    slower than TensorFlow: leave `jit_compile` out.

    Losses: mean squared error; binary, categorical and sparse categorical
    cross-entropy; Poisson; Huber; one for each output, with sample weights
    and loss weights; and `keras.regularizers.L2` on weights. A and r of losses
    other than squares are those of their Gauss–Newton form (`AᵀA = JᵀH_L J`,
    `Aᵀr = ∇L`).

    With `geodesic_acceleration` each step d is bent along the path on which the
    outputs change linearly, by half of its acceleration

        a = −(AᵀA + λD²)⁻¹ Jᵀ·H_L·y″,

    with y″ the second derivative of the outputs y along d. A step with
    ‖D·a‖ > 0.75·‖D·d‖ is not taken. On networks the loss is often lower by
    orders of magnitude after as many steps. The model is differentiated three
    times more for each trial, so all layers need exact second derivatives.

    With the whole data as one batch `keras_curvature.solve` takes these steps
    without Keras's epoch around each, which costs ten of them on small models.
    It also takes conditions with point sets of their own.

    Args:
        linear_solver: How the step is computed. `"cholesky"`: normal
            equations AᵀA, below 256 weights in float64. `"dual"`: AAᵀ, for
            fewer residuals than weights. `"qr"`: orthogonal
            triangularization, which does not square the condition number of
            A. `"auto"`: QR up to 16 weights, dual from 256 weights where
            there are fewer residuals, else Cholesky. Defaults to `"auto"`.
        scaling: `"marquardt"`: D holds the largest recent norm of each
            column of A, `D ← max(0.99·D, ‖A_j‖)`, so that the steps do not
            depend on the units of the weights. `"identity"`: D = I,
            in float64 often faster on networks, whose weights have like
            units. Defaults to `"marquardt"`.
        geodesic_acceleration: Bool, whether steps are bent, see above.
            Defaults to `False`.
        initial_trust_radius: Float > 0, the first trust radius in units of
            ‖D·w‖. Larger ones are quicker from starts near the solution;
            networks may leap into a poor minimum. Defaults to `1.0`.
        max_attempts: Int ≥ 1, trial steps for one Jacobian. Defaults to
            `10`.
        mini_batches: Bool, whether batches change from step to step on
            purpose. `False` warns once where they do, because each step then
            fits its own batch and not the data. Defaults to `False`.
        slice_size: Int ≥ 1 or None. Number of samples whose Jacobian is held
            at once, which bounds the memory. None: as many as have 2²⁴
            entries. Defaults to `None`.
        gradient_tolerance: Float ≥ 0. `fit` ends when each column of A is
            orthogonal to r up to this cosine. Defaults to `0.0`.
        step_tolerance: Float ≥ 0. `fit` ends after a step of
            ‖D·d‖ ≤ step_tolerance·‖D·w‖. Defaults to `0.0`.
        loss_tolerance: Float in [0, 1). `fit` ends after a step whose
            predicted and actual relative reductions of the loss are within
            this. Defaults to `0.0`. With all three 0 it ends where rounding
            does not let the loss be lowered further.
        name: String. Defaults to `"levenberg_marquardt"`.

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
    reason_of_mixing = StopReason.MIXED_SAMPLES

    def __init__(
        self,
        linear_solver="auto",
        *,
        scaling="marquardt",
        geodesic_acceleration=False,
        initial_trust_radius=1.0,
        max_attempts=10,
        slice_size=None,
        mini_batches=False,
        gradient_tolerance=0.0,
        step_tolerance=0.0,
        loss_tolerance=0.0,
        name=None,
        **kwargs,
    ):
        super().__init__(
            initial_trust_radius=initial_trust_radius,
            max_attempts=max_attempts,
            gradient_tolerance=gradient_tolerance,
            step_tolerance=step_tolerance,
            loss_tolerance=loss_tolerance,
            mini_batches=mini_batches,
            name=name,
            options=kwargs,
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

    def _method_shapes(self, size):
        return {"column_norms": ((size,), None)}

    def _by_form(self, objective, step):
        """The step by the solver that suits the numbers of rows and weights."""
        size = objective.weights.shape[0]
        if self.linear_solver != "auto":
            return step(self.linear_solver)
        if size <= _QR_WEIGHTS:
            return step("qr")
        if size < _DUAL_WEIGHTS:
            return step("cholesky")
        if objective.penalty is not None:
            # A penalty adds a row for each weight.
            return step("cholesky")
        return tf.cond(
            tf.size(objective.form.residuals) < size,
            lambda: step("dual"),
            lambda: step("cholesky"),
        )

    def _propose(self, objective, variables, state, form):
        size, dtype = objective.weights.shape[0], objective.weights.dtype
        slice_size = self.slice_size or max(
            1, _SLICE_ENTRIES // max(1, objective.width * size)
        )
        system, is_mixed = jacobian_system(
            objective,
            variables,
            form,
            slice_size,
            # In float32 normal equations would keep three digits.
            "float64" if size < _DUAL_WEIGHTS else dtype,
        )
        acceleration = None
        if self.geodesic_acceleration:
            acceleration = geodesic_acceleration(
                objective, variables, slice_size
            )
        norms = tf.maximum(
            tf.constant(_MEMORY, dtype) * state["column_norms"],
            tf.cast(system.column_norms, dtype),
        )
        scaling = tf.ones_like(norms)
        if self.scaling == "marquardt":
            scaling = tf.where(norms > 0, norms, scaling)
        steps = DampedSteps(system, scaling, acceleration)
        return Proposals(
            propose=steps.propose,
            norm=tf.norm(scaling * objective.weights),
            gradient=tf.reduce_max(tf.abs(steps.gradient)),
            kept={"column_norms": norms},
            is_mixed=is_mixed,
        )

    def _progress(self):
        return {**super()._progress(), "damping": self._state["damping"]}

    def get_config(self):
        return {
            **super().get_config(),
            "linear_solver": self.linear_solver,
            "scaling": self.scaling,
            "slice_size": self.slice_size,
            "geodesic_acceleration": self.geodesic_acceleration,
        }
