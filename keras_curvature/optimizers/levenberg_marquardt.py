"""The Levenberg-Marquardt method as a Keras optimizer."""

from typing import Any, Literal

import keras
import tensorflow as tf

from keras_curvature._checks import checked_choice, checked_integer
from keras_curvature.linalg.dot import norm
from keras_curvature.optimizers._least_squares.base import LeastSquaresSolver
from keras_curvature.optimizers._least_squares.bounded_steps import (
    BoundedSteps,
)
from keras_curvature.optimizers._least_squares.bounds import bounds_of
from keras_curvature.optimizers._least_squares.damped_steps import DampedSteps
from keras_curvature.optimizers._least_squares.fits import is_fit
from keras_curvature.optimizers._least_squares.geodesic import (
    checked_acceleration,
    geodesic_acceleration,
    pays,
)
from keras_curvature.optimizers._least_squares.jacobian_systems import (
    by_numbers,
    jacobian_system,
)
from keras_curvature.optimizers._least_squares.proposals import Proposals
from keras_curvature.optimizers._least_squares.scaling import (
    CHOICES,
    kind_of,
    largest_values,
    recent_norms,
    scaling_of,
    within_reach,
)
from keras_curvature.optimizers.stop_reason import StopReason

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

    A model of up to 16 weights counts as a fit, and one below 256 whose weights
    are numbers and vectors, as those of a `keras_curvature.Curve`; a model with
    matrices counts as a network. Some rules below depend on it.

    Weights with a `keras_curvature.constraints.Box` or
    `keras.constraints.NonNeg` stay within these bounds, from the first step on:
    steps are projected, and at a bound that −∇L would cross a weight is held.

    With geodesic acceleration each step d is bent along the path on which the
    outputs change linearly, by half of its acceleration

        a = −(AᵀA + λD²)⁻¹ Jᵀ·H_L·y″,

    with y″ the second derivative of the outputs y along d. A step with
    ‖D·a‖ > 0.75·‖D·d‖ is not taken; in a fit, one above 0.5 only if the loss
    falls as predicted, by a gain ratio of 0.75 to 1.25. The radius does not
    grow to where this would meet the next one, as ‖D·a‖ goes with ‖D·d‖².
    Fits take about half as many steps; on networks the loss is often lower by
    orders of magnitude after as many. The model is differentiated three times
    more for each trial and needs exact second derivatives. By default
    (`"auto"`) steps are straight where some layer has none, and with
    mini-batches.

    With the whole data as one batch `keras_curvature.solve` takes these steps
    without Keras's epoch around each, which costs ten of them on small models.
    It also takes conditions with point sets of their own.

    Args:
        linear_solver: How the step is computed. `"cholesky"`: normal
            equations AᵀA, below 256 weights in float64. `"dual"`: AAᵀ, for
            fewer residuals than weights. `"qr"`: orthogonal
            triangularization, which does not square the condition number of
            A. `"auto"`: QR in a fit, dual from 256 weights where there are
            fewer residuals, else Cholesky. Defaults to `"auto"`.
        scaling: The diagonal of D. `"marquardt"`: the largest recent norm of
            each column of A, `n ← max(0.9·n, ‖A_j‖)` (0.99 in networks):
            steps do not depend on the units of the weights, nor for long on a
            start whose columns were longer by orders of magnitude, where
            Moré's maximum over all steps creeps. In a fit D_j is at least the
            trust radius over twice the largest |w_j| of the run, so that no
            step moves a weight by more, unless it makes less than 1e-9 of
            the outputs, as one that was meant as 0. `"blended"`:
            √(n² + e²·mean n²), with e ≤ 1 three times the largest recent
            ‖D·d‖/‖D·w‖: nearly one scale for all while steps are long, each
            its own as they become short. Deep networks leave the plateau of
            their start far sooner. Where there are fewer residuals than
            weights, times √s as well. `"shared"`: √s·n, with s the number of
            weights of the kernel or bias over the mean of it, so that all of
            them have equal parts of a step. `"identity"`: D = I. `"root"`: √n.
            `"auto"`: blended for the layers of models with three or more
            `kernel`s, as `Dense` has one, else Marquardt's. Defaults to
            `"auto"`.
        geodesic_acceleration: Bool or `"auto"`, whether steps are bent, see
            above. `True` raises an error where they cannot be. Defaults to
            `"auto"`.
        initial_trust_radius: Float > 0, the first trust radius in units of
            ‖D·w‖. Larger ones are quicker from starts near the solution;
            they may leap into a poor minimum. Defaults to `0.5`.
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
            regularizers other than L2, constraints other than bounds or
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
    keeps_bounds = True
    reason_of_mixing = StopReason.MIXED_SAMPLES

    def __init__(
        self,
        linear_solver: Literal["auto", "cholesky", "dual", "qr"] = "auto",
        *,
        scaling: Literal[
            "auto", "marquardt", "blended", "shared", "identity", "root"
        ] = "auto",
        geodesic_acceleration: bool | Literal["auto"] = "auto",
        initial_trust_radius: float = 0.5,
        max_attempts: int = 10,
        slice_size: int | None = None,
        mini_batches: bool = False,
        gradient_tolerance: float = 0.0,
        step_tolerance: float = 0.0,
        loss_tolerance: float = 0.0,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
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
        self.scaling = checked_choice("scaling", scaling, CHOICES)
        self.geodesic_acceleration = checked_acceleration(geodesic_acceleration)
        self.slice_size = slice_size
        if slice_size is not None:
            self.slice_size = checked_integer(
                "slice_size", slice_size, minimum=1
            )

    def _method_shapes(self, variables, size, dtype):
        shapes = {"column_norms": ((size,), dtype)}
        if is_fit(variables):
            shapes["largest_weights"] = ((size,), dtype)
        return shapes

    def _by_form(self, objective, step):
        if self.linear_solver != "auto":
            return step(self.linear_solver)
        return by_numbers(objective, step)

    def _propose(self, objective, variables, state, form):
        size = objective.weights.shape[0]
        slice_size = self.slice_size or max(
            1, _SLICE_ENTRIES // max(1, objective.width * size)
        )
        system, is_mixed = jacobian_system(
            objective, variables, form, slice_size
        )
        acceleration = None
        if pays(self.geodesic_acceleration, self.mini_batches):
            acceleration = geodesic_acceleration(
                objective,
                variables,
                slice_size,
                is_required=self.geodesic_acceleration is True,
            )
        norms = recent_norms(
            state["column_norms"], system.column_norms, objective.is_fit
        )
        scaling, kept = self._scales(norms, objective, variables, state)
        gradient = tf.cast(system.gradient, norms.dtype)
        bounds = bounds_of(variables)
        if bounds is None:
            steps = DampedSteps(system, scaling, acceleration)
        else:
            weights = objective.weights
            steps = BoundedSteps(system, scaling, bounds, weights, acceleration)
            is_blocked = bounds.blocked(weights, gradient)
            gradient = tf.where(is_blocked, tf.zeros_like(gradient), gradient)
        cosines = gradient / scaling_of(norms, "marquardt")
        return Proposals(
            propose=steps.propose,
            norm=norm(scaling * objective.weights),
            gradient=tf.reduce_max(tf.abs(cosines)),
            kept=kept,
            is_mixed=is_mixed,
            bounds=bounds,
        )

    def _scales(self, norms, objective, variables, state):
        """The diagonal of D, and what of the state it was made from."""
        kind, weights = kind_of(self.scaling, variables), objective.weights
        scaling = scaling_of(
            norms,
            kind,
            variables,
            state["relative_length"],
            has_fewer_rows=objective.has_fewer_residuals,
        )
        kept = {"column_norms": norms}
        if kind == "marquardt" and objective.is_fit:
            largest = largest_values(state["largest_weights"], weights)
            radius = self._radius(state, norm(scaling * weights))
            outputs = objective.form.push(objective.outputs)
            parts = norms * largest / norm(tf.reshape(outputs, (-1,)))
            scaling = within_reach(scaling, radius, largest, parts)
            kept["largest_weights"] = largest
        return scaling, kept

    def _progress(self):
        return {**super()._progress(), "damping": self._state["damping"]}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "linear_solver": self.linear_solver,
            "scaling": self.scaling,
            "slice_size": self.slice_size,
            "geodesic_acceleration": self.geodesic_acceleration,
        }
