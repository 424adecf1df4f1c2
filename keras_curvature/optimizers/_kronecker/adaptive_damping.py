"""Damping that follows how well the quadratic model foretells the loss."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_curvature._checks import (
    checked_flag,
    checked_integer,
    checked_number,
)
from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.autodiff.repairs.context import differentiated_twice
from keras_curvature.operators.kronecker.estimate import factor_dtype
from keras_curvature.operators.kronecker.likelihood import Likelihood
from keras_curvature.optimizers._common.amortize import amortize
from keras_curvature.optimizers._common.rounding import ROUNDING_UNITS
from keras_curvature.optimizers._common.trust_region import gain_ratio
from keras_curvature.optimizers._kronecker.moved_outputs import moved_outputs
from keras_curvature.optimizers._kronecker.refusals import (
    refuse_accumulation,
    refuse_step,
)

# Martens and Grosse, 2015, section 6.5.
_POOR, _GOOD = 0.25, 0.75


class AdaptsDamping:
    """For optimizers whose damping λ Levenberg's rule may set."""

    built: bool
    damping: float

    def _set_adaptive_damping(self, is_adaptive, period, decay, bounds):
        self.adaptive_damping = checked_flag("adaptive_damping", is_adaptive)
        self.damping_period = checked_integer(
            "damping_period", period, minimum=1
        )
        self.damping_decay = checked_number(
            "damping_decay", decay, above=0, below=1
        )
        self.damping_bounds = _checked_bounds(bounds)
        if self.adaptive_damping:
            low, high = self.damping_bounds
            checked_number("damping", self.damping, minimum=low, maximum=high)
            refuse_accumulation(self)

    def _build_damping(self, variables):
        if not self.adaptive_damping:
            return
        dtypes = {factor_dtype(variable) for variable in variables}
        dtype = tf.float64 if tf.float64 in dtypes else tf.float32
        self._current_damping, self._reduction_ratio = (
            self._scalar(name, value, dtype)
            for name, value in (
                ("current_damping", self.damping),
                ("reduction_ratio", 1.0),
            )
        )

    def _scalar(self, name, value, dtype):
        # keras.initializers.Constant rounds to float32.
        return self.add_variable(
            shape=(),
            initializer=lambda shape, dtype: tf.constant(value, dtype, shape),
            dtype=dtype.name,
            aggregation="only_first_replica",
            name=name,
        )

    def _damping(self):
        """λ for the inverses that are computed now."""
        if not self.adaptive_damping:
            return self.damping
        return self._current_damping.value

    @property
    def current_damping(self) -> Any:
        """λ, which `adaptive_damping` changes."""
        if self.built and self.adaptive_damping:
            return self._current_damping
        return self.damping

    @property
    def reduction_ratio(self) -> Any:
        """ρ of the last step that was judged, 1 before; None if λ is fixed."""
        if self.built and self.adaptive_damping:
            return self._reduction_ratio
        return None


class Judgment:
    """A step, what the quadratic model foretold of it and what came.

    Made before the step: it keeps the weights.

    Args:
        optimizer: A `KroneckerOptimizer`.
        step: `TrainingStep`, whose outputs were computed at these weights.
        likelihood: `Likelihood` of its losses.
        variables: List of the trainable variables.
    """

    def __init__(self, optimizer, step, likelihood, variables):
        self._optimizer = optimizer
        self._step = step
        self._likelihood = likelihood
        self._variables = variables
        self._before = [tf.identity(v.value) for v in variables]
        count = optimizer.iterations + 1
        self._is_due = tf.equal(count % optimizer.damping_period, 0)

    @classmethod
    def of(cls, optimizer, likelihood, variables):
        """The judgment of the step that is traced; None where λ is given."""
        if not optimizer.adaptive_damping:
            return None
        tape = CurvatureTape.current()
        step = None if tape is None else tape.training_step
        refuse_step(optimizer, step, tape)
        return cls(optimizer, step, likelihood, variables)

    def adapt_damping(self):
        """Assigns λ and ρ, after the step."""
        optimizer = self._optimizer
        damping = optimizer._current_damping
        ratio = optimizer._reduction_ratio
        held = [damping.value, ratio.value]
        held = [tf.convert_to_tensor(tensor) for tensor in held]
        values = amortize(self._is_due, lambda: self._adapted(*held), held)
        for variable, value in zip((damping, ratio), values, strict=True):
            variable.assign(value)

    def _adapted(self, damping, held_ratio):
        dtype = damping.dtype
        before = tf.cast(self._likelihood.value(), dtype)
        predicted = -tf.cast(self._predicted_change(), dtype)
        actual = before - tf.cast(self._loss_now(), dtype)
        unit = float(np.finfo(self._likelihood.terms[0].loss.dtype).eps)
        noise = ROUNDING_UNITS * unit * tf.abs(before)
        # False also where a number is NaN, so that NaN counts as poor.
        says_nothing = (predicted <= noise) & (actual >= -noise)
        says_nothing &= tf.math.is_finite(actual)
        ratio = gain_ratio(actual, predicted)
        optimizer = self._optimizer
        adapted = levenberg(
            damping,
            ratio,
            optimizer.damping_decay**optimizer.damping_period,
            optimizer.damping_bounds,
        )
        return [
            tf.where(says_nothing, damping, adapted),
            tf.where(says_nothing, held_ratio, ratio),
        ]

    def _predicted_change(self):
        moves = [
            tf.convert_to_tensor(variable.value) - before
            for variable, before in zip(
                self._variables, self._before, strict=True
            )
        ]
        outputs = self._likelihood.outputs
        with differentiated_twice():
            moved = moved_outputs(outputs, self._variables, moves)
        return self._likelihood.change(moved)

    def _loss_now(self):
        """The loss of the batch at the new weights."""
        # Statistics move with each forward pass: only the step's own counts.
        model = self._step.model
        state = [
            (variable, tf.identity(variable.value))
            for variable in model.non_trainable_weights
        ]
        step = self._step.with_outputs(self._step.forward())
        loss = Likelihood(step.loss_terms()).value()
        for variable, value in state:
            variable.assign(value)
        return loss


def levenberg(damping, ratio, factor, bounds):
    """λ after a step: smaller where ρ is good, larger where it is poor.

    Args:
        damping: Scalar tensor λ.
        ratio: Scalar tensor ρ, actual over predicted reduction of the loss.
        factor: Float in (0, 1).
        bounds: Pair of floats.
    """
    factor = tf.constant(factor, damping.dtype)
    # NaN is not good, and not above what is poor.
    changed = tf.where(ratio > _GOOD, damping * factor, damping)
    changed = tf.where(ratio >= _POOR, changed, damping / factor)
    low, high = (tf.constant(bound, damping.dtype) for bound in bounds)
    return tf.clip_by_value(changed, low, high)


def _checked_bounds(bounds):
    is_pair = isinstance(bounds, (tuple, list)) and len(bounds) == 2
    if is_pair:
        bounds = tuple(
            checked_number("damping_bounds", b, above=0) for b in bounds
        )
    if not is_pair or bounds[0] > bounds[1]:
        raise ValueError(
            "`damping_bounds` must be a pair of numbers, the lower one "
            f"first. Received: damping_bounds={bounds!r}."
        )
    return bounds
