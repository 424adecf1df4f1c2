"""Steps of damped least squares within trust regions and bounds."""

import typing

import tensorflow as tf

from keras_curvature._control_flow import cond
from keras_curvature.linalg import trust_region_step
from keras_curvature.linalg.dot import norm
from keras_curvature.optimizers._least_squares.bounds import Bounds
from keras_curvature.optimizers._least_squares.trials import Proposal


class BoundedSteps:
    """Proposes projected steps d within the trust radius and the bounds.

    Weights at a bound that −∇L would cross are held there. Those that the
    damped step of the others would take across a bound are put onto it, the
    step of the rest is found anew for that, and what it still takes across is
    projected. With much damping this is a step of projected steepest descent,
    so that some radius gives a step that lowers the loss unless none does.

    Args:
        system: A and r, a `LeastSquaresSystem`.
        scaling: The diagonal of D, tensor of shape `(n,)`.
        bounds: `Bounds`.
        weights: Tensor of shape `(n,)`.
        acceleration: As for `DampedSteps`.

    References:
        Bertsekas, 1982, "Projected Newton methods for optimization problems
        with simple constraints", SIAM J. Control Optim. 20. Kanzow, Yamashita,
        Fukushima, 2004, "Levenberg-Marquardt methods with strong local
        convergence properties for solving nonlinear equations with convex
        constraints", J. Comput. Appl. Math. 172.
    """

    def __init__(self, system, scaling, bounds, weights, acceleration=None):
        self._dtype = scaling.dtype
        self._wide = system.gradient.dtype
        self._scaling = tf.cast(scaling, self._wide)
        self._bounds = Bounds(*(tf.cast(b, self._wide) for b in bounds))
        self._weights = tf.cast(weights, self._wide)
        self._system = system.scaled(self._scaling)
        self._acceleration = acceleration
        self._blocked = self._bounds.blocked(
            self._weights, self._system.gradient
        )

    def propose(self, attempt, radius, damping):
        """A `Proposal` for a radius; the search for λ starts at `damping`."""
        system = self._system.holding(self._blocked)
        factor = trust_region_step(
            system, tf.cast(radius, self._wide), tf.cast(damping, self._wide)
        )
        # What the first step takes across a bound, and by how much it may go.
        inside = self._inside(factor.step)
        is_across = ~self._blocked & (inside != factor.step)
        onto = tf.where(is_across, inside, tf.zeros_like(inside))
        is_held = self._blocked | is_across
        factor = cond(
            tf.reduce_any(is_across),
            lambda: (
                self._system.shifted(onto)
                .holding(is_held)
                .factor(factor.damping)
            ),
            lambda: factor,
        )
        factor = factor._replace(step=factor.step + onto)
        z = self._inside(factor.step)
        predicted = self._reduction(z)
        step, bend = z, {}
        if self._acceleration is not None:
            half, tolerance, longest = self._acceleration(
                _HeldFactor(factor.step, factor, is_held),
                self._scaling,
                predicted,
            )
            step = self._inside(z + half)
            bend = {"gain_tolerance": tolerance, "longest": longest}
        return Proposal.in_dtype(
            self._dtype,
            step=step / self._scaling,
            length=norm(z),
            radius=radius,
            predicted=predicted,
            is_free=factor.damping <= system.least_damping,
            damping=factor.damping,
            **bend,
        )

    def _inside(self, z):
        """z, or where it leads across a bound, D·d onto it."""
        reached = self._weights + z / self._scaling
        onto = self._scaling * (self._bounds.project(reached) - self._weights)
        is_across = (reached < self._bounds.lower) | (
            reached > self._bounds.upper
        )
        return tf.where(is_across, onto, z)

    def _reduction(self, z):
        """−gᵀz − ½‖A·z‖²."""
        gradient = self._system.gradient
        slopes = gradient + self._system.shifted(z).gradient
        return -tf.reduce_sum(z * slopes) / 2


class _HeldFactor(typing.NamedTuple):
    """A `DampedFactor` whose solutions are 0 where `is_held`."""

    step: tf.Tensor
    factor: typing.Any
    is_held: tf.Tensor

    @property
    def holds_rows(self):
        return self.factor.holds_rows

    def solve(self, vector):
        return self._free(self.factor.solve(self._free(vector)))

    def solve_rows(self, vector):
        return self._free(self.factor.solve_rows(vector))

    def _free(self, vector):
        return tf.where(self.is_held, tf.zeros_like(vector), vector)
