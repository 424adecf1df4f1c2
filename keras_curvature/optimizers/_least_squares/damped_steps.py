"""Steps of damped least squares within trust regions."""

import tensorflow as tf

from keras_curvature.linalg import trust_region_step
from keras_curvature.linalg.dot import dot
from keras_curvature.optimizers._least_squares.trials import Proposal


class DampedSteps:
    """Proposes d = −(AᵀA + λD²)⁻¹ Aᵀr with ‖D·d‖ within the trust radius.

    Args:
        system: A and r, a `LeastSquaresSystem`. Its float type is that of
            the computation.
        scaling: The diagonal of D, tensor of shape `(n,)`. Its float type is
            that of the steps.
        acceleration: Callable that maps `(factor, scaling, predicted)` to
            what is added to z = D·d, the gain tolerance of a `Proposal` with
            the sum, and the longest z that is likely to be trusted; None to
            add nothing. The `DampedFactor` holds z in `step`; `predicted` is
            the reduction of the loss that z promises.
    """

    def __init__(self, system, scaling, acceleration=None):
        self._dtype = scaling.dtype
        self._wide = system.gradient.dtype
        self._scaling = tf.cast(scaling, self._wide)
        self._system = system.scaled(self._scaling)
        self._least_damping = self._system.least_damping
        self._acceleration = acceleration

    def propose(self, attempt, radius, damping):
        """A `Proposal` for a radius; the search for λ starts at `damping`."""
        factor = trust_region_step(
            self._system,
            tf.cast(radius, self._wide),
            tf.cast(damping, self._wide),
        )
        z, damping = factor.step, factor.damping
        # −gᵀz − ½‖A·z‖² with (AᵀA + λI)z = −g (Moré, section 4).
        squares = dot(z, z)
        predicted = (damping * squares - dot(self._system.gradient, z)) / 2
        is_free = damping <= self._least_damping
        length, bend = tf.sqrt(squares), {}
        if self._acceleration is not None:
            half, tolerance, longest = self._acceleration(
                factor, self._scaling, predicted
            )
            z += half
            bend = {"gain_tolerance": tolerance, "longest": longest}
        return Proposal.in_dtype(
            self._dtype,
            step=z / self._scaling,
            length=length,
            radius=radius,
            predicted=predicted,
            is_free=is_free,
            damping=damping,
            **bend,
        )
