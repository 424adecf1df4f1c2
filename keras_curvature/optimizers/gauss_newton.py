"""The Gauss-Newton method, without matrices, as a Keras optimizer."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import (
    checked_integer,
    checked_number,
)
from keras_curvature.autodiff.jacobian import Linearization
from keras_curvature.linalg import steihaug
from keras_curvature.linalg.dot import norm
from keras_curvature.optimizers._common.trust_region import (
    first_radius,
    is_at_boundary,
    radii_of_path,
)
from keras_curvature.optimizers._least_squares.base import LeastSquaresSolver
from keras_curvature.optimizers._least_squares.proposals import Proposals
from keras_curvature.optimizers._least_squares.trials import Proposal


@keras.saving.register_keras_serializable(package="keras_curvature")
class GaussNewton(LeastSquaresSolver):
    """Gauss–Newton steps by conjugate gradients within a trust region.

        d ≈ argmin ∇Lᵀd + ½ dᵀ(JᵀH_L J)d,  ‖d‖ ≤ trust radius

    J is the Jacobian of the outputs by the weights and H_L the Hessian of the
    loss by the outputs (see `LevenbergMarquardt` for the losses). Only
    products with the matrix are taken, so that models too large for
    `LevenbergMarquardt` can be trained, and the batch is differentiated as a
    whole. It needs a `keras_curvature.Model` or `Sequential`.

    Conjugate gradients stop at ‖residual‖ ≤ min(τ, √(‖∇L‖/‖∇L₀‖))·‖∇L‖, a
    forcing sequence for superlinear convergence with ∇L₀ of the first step
    and τ `cg_tolerance`, where their path leaves the trust region, or after
    `max_cg_iterations`. The radius grows and shrinks with the gain ratio
    (actual over predicted reduction of the loss). Where a step does not lower
    the loss, the points at which the same path left smaller regions are
    tried, without further products; if none is accepted, the weights stay
    exactly as they were.

    With the whole data as one batch `keras_curvature.solve` takes these steps
    without Keras's epoch around each, which costs ten of them on small models.
    It also takes conditions with point sets of their own.

    Args:
        cg_tolerance: Float > 0 and < 1, the largest relative residual of
            conjugate gradients. Defaults to `0.1`.
        max_cg_iterations: Int ≥ 1, products with the matrix for one step.
            Defaults to `100`.
        initial_trust_radius: Float > 0, the first trust radius in units of
            ‖w‖. Defaults to `1.0`.
        max_attempts: Int ≥ 1, trial steps on one path; each has a quarter of
            the radius before. Defaults to `5`.
        mini_batches: Bool, whether batches change from step to step on
            purpose. `False` warns once where they do. Defaults to `False`.
        gradient_tolerance: Float ≥ 0. `fit` ends when
            ‖∇L‖ ≤ gradient_tolerance·√(2L). Defaults to `0.0`.
        step_tolerance: Float ≥ 0. `fit` ends after a step of
            ‖d‖ ≤ step_tolerance·‖w‖. Defaults to `0.0`.
        loss_tolerance: Float in [0, 1). `fit` ends after a step whose
            predicted and actual reductions of the loss are within this
            fraction of it.
            Defaults to `0.0`. With all three 0 it ends where rounding does
            not let the loss be lowered further.
        name: String. Defaults to `"gauss_newton"`.

    Raises:
        ValueError: if an argument breaks its rule; at the first step as for
            `LevenbergMarquardt`, except that samples may be mixed.
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
            keras.layers.Dense(100, activation="tanh"),
            keras.layers.Dense(100, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras_curvature.optimizers.GaussNewton(), "mse")
    model.fit(x, np.sin(4 * x), batch_size=200, epochs=20, verbose=0)
    ```

    References:
        Martens, 2010, "Deep learning via Hessian-free optimization".
        Steihaug, 1983, "The conjugate gradient method and trust regions in
        large scale optimization". Dembo, Eisenstat, Steihaug, 1982, "Inexact
        Newton methods", for the forcing sequence.
    """

    def __init__(
        self,
        cg_tolerance: float = 0.1,
        *,
        max_cg_iterations: int = 100,
        initial_trust_radius: float = 1.0,
        max_attempts: int = 5,
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
        self.cg_tolerance = checked_number(
            "cg_tolerance", cg_tolerance, above=0, below=1
        )
        self.max_cg_iterations = checked_integer(
            "max_cg_iterations", max_cg_iterations, minimum=1
        )

    def _method_shapes(self, variables, size, dtype):
        return {
            "first_gradient_norm": ((), dtype),
            "cg_iterations": ((), "int32"),
        }

    def _propose(self, objective, variables, state, form):
        linearization, is_mixed = _linearized(objective, variables)
        gradient, product = _gradient_and_product(objective, linearization)
        weights_norm, gradient_norm = norm(objective.weights), norm(gradient)
        first = state["first_gradient_norm"]
        first = tf.where(first > 0, first, gradient_norm)
        radius = state["trust_radius"]
        radii = radii_of_path(
            tf.where(
                radius > 0,
                radius,
                first_radius(self.initial_trust_radius, weights_norm),
            ),
            self.max_attempts,
        )
        path = steihaug(
            product,
            gradient,
            radii,
            tf.minimum(
                tf.sqrt(gradient_norm / first),
                tf.constant(self.cg_tolerance, gradient.dtype),
            ),
            self.max_cg_iterations,
        )
        return Proposals(
            propose=_points_of(path, radii),
            norm=weights_norm,
            gradient=gradient_norm,
            kept={
                "first_gradient_norm": first,
                "cg_iterations": path.iterations,
            },
            is_mixed=is_mixed,
        )

    def _progress(self):
        return {
            **super()._progress(),
            "cg_iterations": self._state["cg_iterations"],
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cg_tolerance": self.cg_tolerance,
            "max_cg_iterations": self.max_cg_iterations,
        }


def _linearized(objective, variables):
    """What gives products with J, and whether a second pass is another."""
    chain = objective.chain_of(objective.inputs)
    if chain is not None:
        return chain, tf.constant(False)
    linearization = Linearization(
        lambda: objective.outputs_of(objective.inputs),
        variables,
        unconnected_gradients="zero",
    )
    return linearization, _differs(linearization.outputs, objective.outputs)


def _gradient_and_product(objective, linearization):
    """∇L, and the function v ↦ (JᵀH_L J)·v, both with the penalty."""
    form, penalty = objective.form, objective.penalty
    penalty = 0 if penalty is None else penalty

    def pull(cotangents):
        return objective.flatten(
            linearization.vector_jacobian_product(cotangents)
        )

    def product(vector):
        pushed = linearization.jacobian_vector_product(
            objective.unflatten(vector)
        )
        return pull(form.hessian_product(pushed)) + penalty * vector

    gradient = pull(form.gradient) + penalty * objective.weights
    return gradient, product


def _points_of(path, radii):
    """The points where one CG path leaves smaller and smaller regions."""

    def propose(attempt, radius, damping):
        length, radius = path.lengths[attempt], radii[attempt]
        return Proposal(
            step=path.steps[attempt],
            length=length,
            radius=radius,
            predicted=-(path.slopes[attempt] + path.curvatures[attempt] / 2),
            is_free=~is_at_boundary(length, radius),
            damping=damping,
        )

    return propose


def _differs(outputs, others):
    """Whether a second pass at the same weights gave other outputs."""
    epsilon = np.finfo(outputs.dtype.as_numpy_dtype).eps
    difference = tf.reduce_max(tf.abs(outputs - others))
    return difference > epsilon**0.5 * tf.reduce_max(tf.abs(others))
