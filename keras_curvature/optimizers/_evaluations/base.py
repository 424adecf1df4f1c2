"""Solvers that see one evaluation of the loss a step and choose the next."""

import warnings

import keras
import tensorflow as tf

from keras_curvature._checks import (
    checked_integer,
    checked_number,
)
from keras_curvature.autodiff.repairs import (
    refuse_inexact_nested_derivatives,
)
from keras_curvature.optimizers._common.flattening import Flattening
from keras_curvature.optimizers._common.options import refuse_options
from keras_curvature.optimizers._common.replicas import (
    assign_on_replicas,
    sum_over_replicas,
)
from keras_curvature.optimizers._common.status import (
    FIRST_ERROR,
    REASONS,
    Status,
)
from keras_curvature.optimizers._evaluations import seen_loss
from keras_curvature.optimizers._evaluations.accepted_point import AcceptedPoint
from keras_curvature.optimizers._evaluations.evaluation import Evaluation
from keras_curvature.optimizers._evaluations.run import RunState


class ReverseCommunication(RunState, AcceptedPoint, keras.optimizers.Optimizer):
    """Base of the solvers whose steps are evaluations at trial points.

    The state is a dict of tensors, one for each optimizer variable, and all
    that happens in a step is a function from state to state: nothing is
    assigned in a branch, so that it runs on replicas, compiled and eagerly.

    A subclass implements `_method_state(size, dtype)`, `_judge(state,
    evaluation)` and `_choose(state, evaluation)`.
    """

    def __init__(
        self,
        gradient_tolerance,
        loss_tolerance,
        gradient_accumulation_steps,
        loss_scale_factor,
        name,
        options,
    ):
        refuse_options(type(self).__name__, options)
        super().__init__(
            learning_rate=1.0, loss_scale_factor=loss_scale_factor, name=name
        )
        # Set here and not by the base class, which would add accumulators
        # that it fills itself.
        if gradient_accumulation_steps is not None:
            self.gradient_accumulation_steps = checked_integer(
                "gradient_accumulation_steps", gradient_accumulation_steps, 2
            )
        self.gradient_tolerance = checked_number(
            "gradient_tolerance", gradient_tolerance, minimum=0
        )
        self.loss_tolerance = checked_number(
            "loss_tolerance", loss_tolerance, minimum=0, below=1
        )

    # State

    def build(self, variables):
        if self.built:
            return
        variables = list(variables)
        for variable in variables:
            _refuse_variable(self.name, variable)
        accumulation = self.gradient_accumulation_steps
        self.gradient_accumulation_steps = None
        super().build(variables)
        self.gradient_accumulation_steps = accumulation
        self._flattening = Flattening(variables)
        size, dtype = self._flattening.size, self._flattening.dtype.name
        self._state = {
            name: self.add_variable(
                shape=shape,
                dtype=dtype,
                aggregation="only_first_replica",
                name=name,
            )
            for name, (shape, dtype) in self._state_shapes(size, dtype).items()
        }

    def _state_shapes(self, size, dtype):
        shapes = {
            "phase": ((), "int64"),
            "status": ((), "int64"),
            "resumed": ((), "int64"),
            "evaluations": ((), "int64"),
            "accepted_steps": ((), "int64"),
            "loss": ((), "float64"),
            "initial_loss": ((), "float64"),
            "point": ((size,), dtype),
            "gradient": ((size,), dtype),
            "trial": ((size,), dtype),
        }
        if self.gradient_accumulation_steps:
            shapes["accumulated_loss"] = ((), "float64")
            shapes["accumulated_gradient"] = ((size,), dtype)
        return shapes | self._method_state(size, dtype)

    # One step of `fit`

    def scale_loss(self, loss):
        seen_loss.remember(self, loss)
        return super().scale_loss(loss)

    def apply(self, grads, trainable_variables=None):
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        variables = list(trainable_variables)
        self.build(variables)
        grads = list(grads)
        refuse_inexact_nested_derivatives(grads)
        loss = seen_loss.take(self)
        evaluation = self._evaluation(loss, grads, variables)
        state = {
            name: tf.convert_to_tensor(variable)
            for name, variable in self._state.items()
        }
        weights, state = self._run(state, evaluation)
        assign_on_replicas(
            [*self._trainable_variables, *self._state.values()],
            [*self._flattening.unflatten(weights), *state.values()],
        )
        self._iterations.assign_add(1)
        self._raise_on_error(state["status"])

    def _evaluation(self, loss, grads, variables):
        """The global batch's loss and gradient, as one vector."""
        places = [self._get_variable_index(v) for v in variables]
        ordered = [None] * len(self._trainable_variables)
        for place, gradient in zip(places, grads, strict=True):
            ordered[place] = gradient
        if all(gradient is None for gradient in ordered):
            raise ValueError(
                "`grads` must hold a gradient for at least one variable. "
                "Received: None for each."
            )
        curvature = self._curvature(ordered)
        self._warn_of_unused(ordered)
        gradient = self._flattening.flatten(ordered)
        gradient /= tf.cast(self.loss_scale_factor or 1.0, gradient.dtype)
        loss = tf.cast(tf.reduce_sum(loss), tf.float64)
        return Evaluation(
            self._flattening.flatten(self._trainable_variables),
            # One by one: tensors of one reduction must have the same dtype.
            *sum_over_replicas([loss]),
            *sum_over_replicas([gradient]),
            curvature,
        )

    def _warn_of_unused(self, gradients):
        unused = [
            variable.path
            for variable, gradient in zip(
                self._trainable_variables, gradients, strict=True
            )
            if gradient is None
        ]
        if unused:
            warnings.warn(
                f"{self.name}: there is no gradient for {', '.join(unused)}, "
                "so these variables stay as they are.",
                stacklevel=3,
            )

    def _curvature(self, gradients):
        """What a method needs besides loss and gradient."""
        return None

    def _run(self, state, evaluation):
        """`_step`, as a graph where it would run operation by operation."""
        if not tf.executing_eagerly() or evaluation.curvature is not None:
            return self._step(state, evaluation)
        if self._compiled is None:
            self._compiled = tf.function(self._step)
        return self._compiled(state, evaluation)

    _compiled = None

    def _raise_on_error(self, status):
        """The error in a step, where XLA does not leave it out."""
        for error in Status:
            if error < FIRST_ERROR:
                continue
            if not tf.executing_eagerly():
                tf.debugging.Assert(status != error, [REASONS[error]])
            elif status == error:
                raise RuntimeError(f"{self.name}: {REASONS[error]}")

    @property
    def learning_rate(self):
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        refuse_options(type(self).__name__, {"learning_rate": learning_rate})

    def get_config(self):
        return {
            "gradient_tolerance": self.gradient_tolerance,
            "loss_tolerance": self.loss_tolerance,
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }


def _refuse_variable(name, variable):
    path = getattr(variable, "path", variable.name)
    if getattr(variable, "constraint", None) is not None:
        raise ValueError(
            f"{name} needs variables without a constraint, because a "
            "projection moves the trial point off the line that is searched. "
            f"Received: a constraint on {path}. Write the bound into the "
            "model (for example softplus of a free variable)."
        )
    if keras.backend.standardize_dtype(variable.dtype) not in (
        "float32",
        "float64",
    ):
        raise ValueError(
            f"{name} needs variables of float32 or float64, because losses "
            "of lower precision cannot be compared near a minimum. Received: "
            f"{path} of {keras.backend.standardize_dtype(variable.dtype)}."
        )
