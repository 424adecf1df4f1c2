"""Newton's method with truncated conjugate gradients and a trust region."""

import keras
import tensorflow as tf

from keras_curvature._checks import (
    checked_choice,
    checked_integer,
    checked_number,
)
from keras_curvature.autodiff.curvature_of import curvature_of, not_recorded
from keras_curvature.linalg.steihaug import steihaug
from keras_curvature.linalg.two_loop_recursion import (
    inverse_hessian_product,
    store_pair,
)
from keras_curvature.optimizers._common.replicas import replica_count
from keras_curvature.optimizers._common.status import Status
from keras_curvature.optimizers._evaluations.base import (
    ReverseCommunication,
)
from keras_curvature.optimizers._evaluations.evaluation import (
    either,
    epsilon,
    largest,
    rounding_error,
)
from keras_curvature.optimizers._evaluations.kept_steps import (
    KEPT_RADII,
    away_from_saddle,
    probe,
    shortened,
)
from keras_curvature.optimizers._evaluations.run import CHOOSE, TRIAL, VERIFY

# Conn, Gould, Toint, 2000, section 6.1: gain ratios from which a trial is
# accepted, and from which it is called good and very good.
_ACCEPTED, _GOOD, _VERY_GOOD = 0.05, 0.25, 0.75
# CG with a random right-hand side looks for negative curvature this far.
_PROBE_TOLERANCE = 1e-6


@keras.saving.register_keras_serializable(package="keras_curvature")
class NewtonCG(ReverseCommunication):
    """Trust-region Newton with exact Hessian products.

        p ≈ argmin gᵀp + ½ pᵀHp,  ‖p‖ ≤ Δ    (Steihaug's truncated CG)
        x₊ = x + p  if L(x) − L(x + p) > 0.05 (−gᵀp − ½ pᵀHp)

    CG stops at ‖g + Hp‖ ≤ η‖g‖, η = min(forcing, √(‖g‖ / ‖g₀‖)), so that the
    method is cheap far from a minimum and converges superlinearly close to
    it. Directions of negative curvature are followed to the boundary. Where
    the gradient vanishes, CG with a random right-hand side looks for negative
    curvature, so that a saddle point is left.

    Each step of `fit` is one evaluation at a trial point, as for `LBFGS`,
    whose rules hold here too: the loss must be the same deterministic
    function in every step, `fit(batch_size=len(x), shuffle=False)`. A step
    whose trial was accepted takes the products of the next one. Runs on any
    Keras model under `fit`; with `run_eagerly=True` on `keras_curvature.Model`
    and `keras_curvature.Sequential`.

    Args:
        initial_radius: Float > 0, the first trust radius, in units of the
            weights. Defaults to `1.0`.
        forcing: Float in (0, 1), the loosest relative residual of CG.
            Defaults to `0.5`.
        cg_iterations: Int ≥ 1, most Hessian products for one step. Defaults
            to `200`.
        preconditioner: None, or `"lbfgs"` for the limited-memory BFGS matrix
            of the accepted steps, which also shapes the trust region. Defaults
            to `None`.
        history_size: Int ≥ 1, number of pairs of the preconditioner. Defaults
            to `10`.
        gradient_tolerance: Float ≥ 0, in units of loss / weight. Stops where
            no entry of the gradient is larger. Defaults to `1e-8`.
        loss_tolerance: Float in [0, 1), dimensionless. Stops where a step
            lowered the loss by less than this part of it. Defaults to `0.0`,
            never.
        loss_scale_factor: None or float, see `keras.optimizers.Optimizer`.
            Defaults to `None`.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if an argument breaks its rule or is an option of Keras's
            optimizers that the method cannot have.
        NotImplementedError: on several replicas.
        RuntimeError: as `LBFGS`; and at the first step of a plain Keras model
            compiled with `run_eagerly=True`.

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
        initial_radius=1.0,
        forcing=0.5,
        cg_iterations=200,
        preconditioner=None,
        history_size=10,
        gradient_tolerance=1e-8,
        loss_tolerance=0.0,
        loss_scale_factor=None,
        name=None,
        **options,
    ):
        super().__init__(
            gradient_tolerance,
            loss_tolerance,
            None,
            loss_scale_factor,
            name,
            options,
        )
        self.initial_radius = checked_number(
            "initial_radius", initial_radius, above=0
        )
        self.forcing = checked_number("forcing", forcing, above=0, below=1)
        self.cg_iterations = checked_integer("cg_iterations", cg_iterations, 1)
        self.preconditioner = checked_choice(
            "preconditioner", preconditioner, (None, "lbfgs")
        )
        self.history_size = checked_integer("history_size", history_size, 1)

    def _method_state(self, size, dtype):
        kept = len(KEPT_RADII)
        state = {
            "steps": ((kept, size), dtype),
            "slopes": ((kept,), dtype),
            "curvatures": ((kept,), dtype),
            "lengths": ((kept,), dtype),
            "radius": ((), dtype),
            "initial_gradient_norm": ((), dtype),
            "cg_iterations": ((), "int64"),
            "hessian_products": ((), "int64"),
            "accepted": ((), "int64"),
        }
        if self.preconditioner:
            state |= {
                "moves": ((self.history_size, size), dtype),
                "changes": ((self.history_size, size), dtype),
                "pairs": ((), "int64"),
            }
        return state

    def _curvature(self, gradients):
        if replica_count() > 1:
            raise NotImplementedError(
                f"{self.name} runs on one replica, because Hessian products "
                "inside conjugate gradients cannot be summed over replicas. "
                f"Received: {replica_count()} replicas. Use LBFGS, or train "
                "outside of the strategy's scope."
            )
        return curvature_of(gradients, self._trainable_variables)

    def _advance(self, state, evaluation):
        with not_recorded():
            return super()._advance(state, evaluation)

    def _judge(self, state, evaluation):
        """After a trial: accept it, or shorten it along the kept path."""
        length = state["lengths"][0]
        predicted = tf.cast(
            -(state["slopes"][0] + state["curvatures"][0] / 2), tf.float64
        )
        actual = state["loss"] - evaluation.loss
        noise = rounding_error(state)
        # The loss cannot tell: then the gradient must have become smaller.
        undecidable = (predicted <= noise) & (tf.abs(actual) <= noise)
        smaller = largest(evaluation.gradient) < largest(state["gradient"])
        finite = tf.math.is_finite(actual) & tf.reduce_all(
            tf.math.is_finite(evaluation.gradient)
        )
        ratio = tf.where(
            undecidable,
            tf.cast(smaller, actual.dtype),
            tf.where(finite, actual / predicted, -tf.ones_like(actual)),
        )
        at_boundary = length >= 0.99 * state["radius"]
        radius = tf.where(
            ratio < _GOOD,
            length / 4,
            tf.where(
                (ratio > _VERY_GOOD) & at_boundary,
                2 * state["radius"],
                state["radius"],
            ),
        )
        accepted = ratio > _ACCEPTED
        smallest = epsilon(state) * tf.cast(tf.norm(state["point"]), tf.float64)
        hopeless = undecidable | (
            tf.cast(tf.norm(state["steps"][0]), tf.float64) <= smallest
        )
        state = state | {
            "radius": radius,
            "accepted": tf.cast(accepted, tf.int64),
        }
        return tf.cond(
            accepted,
            lambda: self._accept(state, evaluation),
            lambda: self._reject(state, hopeless),
        )

    def _accept(self, state, evaluation):
        size = tf.maximum(tf.abs(state["loss"]), tf.abs(evaluation.loss))
        change = tf.abs(state["loss"] - evaluation.loss)
        after = {
            "phase": tf.constant(CHOOSE, tf.int64),
            "status": either(
                change < self.loss_tolerance * size,
                Status.LOSS,
                Status.RUNNING,
                state["status"],
            ),
            "accepted_steps": state["accepted_steps"] + 1,
            "loss": evaluation.loss,
            "point": evaluation.weights,
            "gradient": evaluation.gradient,
        }
        if self.preconditioner:
            stored = store_pair(
                evaluation.weights - state["point"],
                evaluation.gradient - state["gradient"],
                state["moves"],
                state["changes"],
                state["pairs"],
            )
            after |= dict(
                zip(("moves", "changes", "pairs"), stored, strict=True)
            )
        return state | after

    def _reject(self, state, hopeless):
        after = state | shortened(state)
        return after | {
            "phase": either(hopeless, VERIFY, TRIAL, state["phase"]),
            "trial": tf.where(hopeless, state["point"], self._trial(after)),
        }

    def _choose(self, state, evaluation):
        """The next truncated step, unless converged."""
        gradient = state["gradient"]
        norm = tf.norm(gradient)
        first = state["initial_gradient_norm"] == 0
        scale = tf.where(first, norm, state["initial_gradient_norm"])
        radius = either(
            state["radius"] == 0, self.initial_radius, state["radius"]
        )
        stationary = largest(gradient) <= self.gradient_tolerance
        forcing = tf.minimum(
            tf.constant(self.forcing, norm.dtype), tf.sqrt(norm / scale)
        )
        found = steihaug(
            lambda vector: self._hessian_product(evaluation, vector),
            tf.where(stationary, probe(gradient), gradient),
            # The probe must not end at a boundary.
            either(stationary, norm.dtype.max, radius)
            * tf.constant(KEPT_RADII, norm.dtype),
            either(stationary, _PROBE_TOLERANCE, forcing),
            self.cg_iterations,
            self._precondition(state),
        )
        products = tf.cast(found.iterations, tf.int64)
        found = tf.nest.map_structure(
            lambda away, other: tf.where(stationary, away, other),
            away_from_saddle(found, gradient, radius),
            found,
        )
        predicted = -(found.slopes[0] + found.curvatures[0] / 2)
        converged = stationary & (
            tf.cast(predicted, tf.float64) <= rounding_error(state)
        )
        state = state | {
            "phase": tf.constant(TRIAL, tf.int64),
            "status": either(converged, Status.GRADIENT, state["status"]),
            "steps": found.steps,
            "slopes": found.slopes,
            "curvatures": found.curvatures,
            "lengths": found.lengths,
            "radius": radius,
            "initial_gradient_norm": scale,
            "cg_iterations": products,
            "hessian_products": state["hessian_products"] + products,
        }
        running = state["status"] == Status.RUNNING
        return state | {
            "trial": tf.where(running, self._trial(state), state["point"])
        }

    def _hessian_product(self, evaluation, vector):
        products = evaluation.curvature.hessian_vector_product(
            self._flattening.unflatten(vector)
        )
        flat = self._flattening.flatten(products)
        return flat / tf.cast(self.loss_scale_factor or 1.0, flat.dtype)

    def _precondition(self, state):
        if not self.preconditioner:
            return None
        return lambda vector: inverse_hessian_product(
            vector, state["moves"], state["changes"], state["pairs"]
        )

    def _trial(self, state):
        point = state["point"] + state["steps"][0]
        return self._flattening.flatten(self._flattening.unflatten(point))

    def _progress(self, state):
        return super()._progress(state) | {
            "trust_radius": state["radius"],
            "cg_iterations": state["cg_iterations"],
            "hessian_products": state["hessian_products"],
            "accepted": state["accepted"],
        }

    def get_config(self):
        return super().get_config() | {
            "initial_radius": self.initial_radius,
            "forcing": self.forcing,
            "cg_iterations": self.cg_iterations,
            "preconditioner": self.preconditioner,
            "history_size": self.history_size,
        }
