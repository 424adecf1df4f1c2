"""Solvers that see one evaluation of the loss a step and choose the next."""

import re
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_curvature._checks import checked_integer
from keras_curvature._typing import Variables
from keras_curvature.autodiff.curvature_of import not_recorded
from keras_curvature.autodiff.repairs import (
    refuse_inexact_nested_derivatives,
)
from keras_curvature.autodiff.variables import created_outside_of_traces
from keras_curvature.optimizers._common.flattening import Flattening
from keras_curvature.optimizers._common.known_variables import (
    SavesVariableNames,
    check_known,
)
from keras_curvature.optimizers._common.replicas import (
    assign_on_replicas,
    sum_over_replicas,
)
from keras_curvature.optimizers._common.run_state import RunState
from keras_curvature.optimizers._common.seen_loss import SeesLoss
from keras_curvature.optimizers._evaluations import run
from keras_curvature.optimizers._evaluations.between_steps import BetweenSteps
from keras_curvature.optimizers._evaluations.evaluation import (
    Evaluation,
)
from keras_curvature.optimizers._evaluations.given import (
    in_order,
    refuse_half_precision,
    refuse_variable,
)
from keras_curvature.optimizers._evaluations.method import Method
from keras_curvature.optimizers._evaluations.seen_loss import seen_loss
from keras_curvature.optimizers._evaluations.state import (
    next_weights,
    shapes_of_accumulation,
    shapes_of_run,
)
from keras_curvature.optimizers.stop_reason import StopReason


class ReverseCommunication(Method, SeesLoss, SavesVariableNames, BetweenSteps):
    """Base of the solvers whose steps are evaluations at trial points.

    The state is a dict of tensors, kept in a `RunState`, and all that happens
    in a step is a function from state to state (`run.advance`): nothing is
    assigned in a branch, so that it runs on replicas, compiled and eagerly.
    Between two steps the model has the weights of the next trial.

    A subclass is the `Method` of the run, and gives `_method_shapes(size,
    dtype)`, the shapes of its own part of the state.
    """

    def __init__(
        self,
        *,
        gradient_tolerance: float,
        loss_tolerance: float,
        name: str | None,
        options: dict[str, Any],
        gradient_accumulation_steps: int | None = None,
        loss_scale_factor: float | None = None,
    ) -> None:
        super().__init__(
            gradient_tolerance=gradient_tolerance,
            loss_tolerance=loss_tolerance,
            name=name,
            options=options,
            loss_scale_factor=loss_scale_factor,
        )
        # Set here and not by the base class, which would add accumulators
        # that it fills itself.
        if gradient_accumulation_steps is not None:
            self.gradient_accumulation_steps = checked_integer(
                "gradient_accumulation_steps", gradient_accumulation_steps, 2
            )

    # State

    @created_outside_of_traces()
    def build(self, variables: Variables) -> None:
        if self.built:
            return
        variables = list(variables)
        for variable in variables:
            refuse_variable(self.name, variable)
        accumulation = self.gradient_accumulation_steps
        self.gradient_accumulation_steps = None
        super().build(variables)
        self.gradient_accumulation_steps = accumulation
        self._flattening = Flattening(variables)
        size, dtype = self._flattening.size, self._flattening.dtype.name
        shapes = shapes_of_run(size, dtype, len(variables))
        if accumulation:
            shapes |= shapes_of_accumulation(size, dtype)
        shapes |= self._method_shapes(size, dtype)
        self._state = RunState(self, shapes)

    @property
    def _status(self):
        return self._state["status"]

    def _progress(self):
        names = ("evaluations", "accepted_steps", "non_finite_evaluations")
        return {
            "accepted_loss": self._state["loss"],
            "gradient_norm": self._state["gradient_size"],
        } | {name: self._state[name] for name in names}

    @property
    def was_rejected(self) -> Any:
        # With accumulation the other batches of an evaluation are past.
        if not self.built or self.gradient_accumulation_steps:
            return None
        return self._state["rejected"] > 0

    # One step of `fit`

    # Calls nothing of the user's. In a loop of one's own AutoGraph would
    # convert all that follows, which takes longer than to trace it.
    @tf.autograph.experimental.do_not_convert
    def apply(
        self, grads: Sequence[Any], trainable_variables: Variables | None = None
    ) -> None:
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        variables = list(trainable_variables)
        self.build(variables)
        check_known(self, variables)
        grads = list(grads)
        refuse_half_precision(self.name, grads)
        refuse_inexact_nested_derivatives(grads)
        loss = seen_loss(self)
        self.runs_as_traced = self._is_short(loss)
        with not_recorded():
            state = self._state.read()
            gradients = in_order(self, grads, variables)
            evaluation = self._evaluation(loss, gradients, state)
            weights, state = self._run(state, evaluation)
            assign_on_replicas(
                [*self._trainable_variables, *self._state.variables],
                [
                    *self._flattening.unflatten(weights),
                    *self._state.values(state),
                ],
            )
        self._iterations.assign_add(1)
        self._raise_in_step()

    def _evaluation(self, loss, gradients, state):
        """The global batch's loss and gradient, as one vector."""
        curvature = self._curvature(gradients)
        gradient = self._unscaled(self._flattening.flatten(gradients))
        loss = tf.cast(tf.reduce_sum(loss), tf.float64)
        weights = self._flattening.flatten(self._trainable_variables)
        split = self._flattening.split
        is_moved = weights != self._rounded(next_weights(state))
        return Evaluation(
            weights,
            # One by one: tensors of one reduction must have the same dtype.
            *sum_over_replicas([loss]),
            *sum_over_replicas([gradient]),
            tf.stack([tf.reduce_any(part) for part in split(is_moved)]),
            tf.constant([gradient is not None for gradient in gradients]),
            curvature,
        )

    def _is_short(self, loss):
        """Whether a step is as short as it was traced."""
        return False

    def _curvature(self, gradients):
        """What a method needs besides loss and gradient."""
        return None

    def _unscaled(self, vector):
        """A derivative without the factor of `loss_scale_factor`."""
        if self.loss_scale_factor is None:
            return vector
        return vector / tf.constant(self.loss_scale_factor, vector.dtype)

    def _rounded(self, vector):
        """Weights as the variables can hold them."""
        if self._flattening.is_uniform:
            return vector
        return self._flattening.flatten(self._flattening.unflatten(vector))

    def _run(self, state, evaluation):
        """`_step`, compiled when called eagerly."""
        if not tf.executing_eagerly() or evaluation.curvature is not None:
            return self._step(state, evaluation)
        if self._compiled is None:
            self._compiled = tf.function(self._step, autograph=False)
        return self._compiled(state, evaluation)

    _compiled = None

    def _step(self, state, evaluation):
        parts = self.gradient_accumulation_steps
        if parts:
            return run.accumulate(self, state, evaluation, parts)
        return run.advance(self, state, evaluation)

    def _raise_in_step(self):
        """Raises the error during the step; XLA drops the assertion."""
        if tf.executing_eagerly():
            self.raise_on_error()
            return
        # Read after it was assigned, so that whoever sees TensorFlow's error
        # finds the reason in the solver.
        status = self._status
        errors = [reason for reason in StopReason if reason.is_error]
        codes = tf.constant([reason.code for reason in errors], status.dtype)
        fine = tf.unstack(status != codes)
        for reason, is_fine in zip(errors, fine, strict=True):
            sentence = f"{self.name}: {reason.sentence}"
            # TensorFlow's error begins with the name of the operation, and
            # has the sentence at its end, behind a long list of lines.
            name = re.sub("[^A-Za-z0-9]+", "_", sentence.partition(". ")[0])
            tf.raw_ops.Assert(
                condition=is_fine, data=[sentence], name=name.strip("_")
            )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "loss_scale_factor": self.loss_scale_factor
        }
