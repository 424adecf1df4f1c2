"""Solvers that see one evaluation of the loss a step and choose the next."""

import warnings
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_curvature.autodiff._tensorflow import in_xla_context
from keras_curvature.optimizers import _seen_loss
from keras_curvature.optimizers._checks import (
    checked_integer,
    checked_number,
    refuse_options,
)
from keras_curvature.optimizers._flatten import Flattening
from keras_curvature.optimizers._replicas import (
    assign_on_replicas,
    sum_over_replicas,
)
from keras_curvature.optimizers._status import FIRST_ERROR, REASONS, Status

# What the next evaluation is for: the point where a run starts; the same
# point once more, to see whether the loss is a function of the weights; a
# trial; the accepted point once more, after no trial was better.
START, CONFIRM, TRIAL, VERIFY = range(4)
# Not an evaluation: the next trial is still to be chosen.
CHOOSE = 4


class Evaluation(NamedTuple):
    """Loss and gradient at the weights that the model has."""

    weights: tf.Tensor
    loss: tf.Tensor
    gradient: tf.Tensor
    curvature: object


class ReverseCommunication(keras.optimizers.Optimizer):
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
        _seen_loss.remember(self, loss)
        return super().scale_loss(loss)

    def apply(self, grads, trainable_variables=None):
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        variables = list(trainable_variables)
        self.build(variables)
        loss = _seen_loss.take(self)
        evaluation = self._evaluation(loss, list(grads), variables)
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
        gradient = self._flattening.flatten(ordered)
        gradient /= tf.cast(self.loss_scale_factor or 1.0, gradient.dtype)
        loss = tf.cast(tf.reduce_sum(loss), tf.float64)
        loss, gradient = sum_over_replicas([loss, gradient])
        return Evaluation(
            self._flattening.flatten(self._trainable_variables),
            loss,
            gradient,
            self._curvature(ordered),
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

    def _step(self, state, evaluation):
        """The weights and the state after one batch."""
        parts = self.gradient_accumulation_steps
        if not parts:
            return self._advance(state, evaluation)
        loss = state["accumulated_loss"] + evaluation.loss
        gradient = state["accumulated_gradient"] + evaluation.gradient

        def last():
            weights, after = self._advance(
                state,
                evaluation._replace(
                    loss=loss / parts,
                    gradient=gradient / tf.cast(parts, gradient.dtype),
                ),
            )
            return weights, after | {
                "accumulated_loss": tf.zeros_like(loss),
                "accumulated_gradient": tf.zeros_like(gradient),
            }

        def another():
            return evaluation.weights, state | {
                "accumulated_loss": loss,
                "accumulated_gradient": gradient,
            }

        is_last = (tf.convert_to_tensor(self._iterations) + 1) % parts == 0
        return tf.cond(is_last, last, another)

    def _advance(self, state, evaluation):
        """The weights and the state after one evaluation."""
        phase, status = state["phase"], state["status"]
        moved = tf.reduce_any(evaluation.weights != state["trial"])
        returned = (state["resumed"] > 0) | moved
        same = tf.reduce_all(evaluation.weights == state["point"]) & _is_same(
            state, evaluation
        )
        failed = status >= FIRST_ERROR
        fresh = (phase == START) | (returned & (~same | failed))
        if not in_xla_context():
            # Its error was raised, and `fit` was called again.
            fresh |= failed
        state = state | {"resumed": tf.zeros_like(state["resumed"])}
        stopped = status != Status.RUNNING
        holds = stopped | (returned & (phase == TRIAL))

        def follow():
            return tf.cond(
                phase == TRIAL,
                lambda: self._judge(state, evaluation),
                lambda: self._compare(state, same),
            )

        after = tf.cond(
            fresh,
            lambda: self._start(state, evaluation),
            lambda: tf.cond(holds, lambda: state, follow),
        )
        counts = tf.cast(fresh | ~stopped, tf.int64)
        after = after | {"evaluations": after["evaluations"] + counts}
        after = tf.cond(
            after["phase"] == CHOOSE,
            lambda: self._choose(after, evaluation),
            lambda: after,
        )
        return after["trial"], after

    def _start(self, state, evaluation):
        """The state of a new run from the weights that the model has."""
        finite = _is_finite(evaluation)
        return {name: tf.zeros_like(t) for name, t in state.items()} | {
            "phase": tf.constant(CONFIRM, tf.int64),
            "status": either(
                finite, Status.RUNNING, Status.NON_FINITE, state["status"]
            ),
            "evaluations": state["evaluations"],
            "loss": evaluation.loss,
            "initial_loss": evaluation.loss,
            "point": evaluation.weights,
            "trial": evaluation.weights,
            "gradient": evaluation.gradient,
        }

    def _compare(self, state, same):
        """After a second evaluation of the accepted point."""
        confirmed = state["phase"] == CONFIRM
        status = either(
            confirmed, Status.RUNNING, Status.PRECISION, state["status"]
        )
        return state | {
            "phase": either(confirmed & same, CHOOSE, state["phase"]),
            "status": either(same, status, Status.BATCHES),
        }

    def _noise(self, state):
        """Rounding error of the loss.

        A loss of squares r² has the error 2 r δr, where δr is that of the
        outputs, whose size the initial loss tells.
        """
        scale = tf.sqrt(tf.abs(state["loss"] * state["initial_loss"]))
        return 10 * epsilon(state) * tf.maximum(tf.abs(state["loss"]), scale)

    def _raise_on_error(self, status):
        """The error in a step, where XLA does not leave it out."""
        for error in Status:
            if error < FIRST_ERROR:
                continue
            if not tf.executing_eagerly():
                tf.debugging.Assert(status != error, [REASONS[error]])
            elif status == error:
                raise RuntimeError(f"{self.name}: {REASONS[error]}")

    # Between and after steps

    def restore_accepted_point(self):
        """Gives the model the best point that was accepted.

        Between two steps the model has the weights of the next trial. The
        next step sees the difference: it spends its evaluation on the
        accepted point, and goes on from the trial if the loss is the same.
        """
        if self.built and self._state["phase"].numpy() != START:
            self._put(self._state["point"])

    def restore_trial(self):
        """Gives the model the weights that the next step is to evaluate."""
        if self.built and self._state["phase"].numpy() != START:
            self._put(self._state["trial"])

    def _put(self, vector):
        parts = self._flattening.unflatten(tf.convert_to_tensor(vector))
        for variable, part in zip(
            self._trainable_variables, parts, strict=True
        ):
            variable.assign(part)

    def finalize_variable_values(self, var_list):
        """Leaves the best accepted point in the model; `fit` calls this."""
        if not self.built:
            return
        self.restore_accepted_point()
        self._state["resumed"].assign(1)
        status = Status(int(self._state["status"].numpy()))
        if status >= FIRST_ERROR:
            raise RuntimeError(f"{self.name}: {REASONS[status]}")
        evaluations = int(self._state["evaluations"].numpy())
        if status == Status.RUNNING and evaluations - self._finalized <= 1:
            warnings.warn(
                f"{self.name}: this `fit` made one evaluation, which cannot "
                "go beyond the accepted point. Use more epochs in one `fit`, "
                "or `train_on_batch`.",
                stacklevel=2,
            )
        self._finalized = evaluations

    _finalized = 0

    @property
    def progress(self):
        """What a log shows of the run, as a dict of floats."""
        return {
            name: float(tf.convert_to_tensor(value).numpy())
            for name, value in self._progress(self._state).items()
        }

    def _progress(self, state):
        return {
            "accepted_loss": state["loss"],
            "gradient_norm": largest(tf.convert_to_tensor(state["gradient"])),
            "evaluations": state["evaluations"],
            "accepted_steps": state["accepted_steps"],
        }

    @property
    def converged(self):
        """Whether the run has ended; further steps change nothing."""
        return self.stop_reason is not None

    @property
    def stop_reason(self):
        """Why the run has ended, or None."""
        if not self.built:
            return None
        return REASONS.get(Status(int(self._state["status"].numpy())))

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


def either(condition, yes, no, like=None):
    """`tf.where` whose Python numbers take the dtype of the tensors."""
    like = next(t for t in (like, yes, no) if tf.is_tensor(t))
    yes, no = (
        t if tf.is_tensor(t) else tf.constant(t, like.dtype) for t in (yes, no)
    )
    return tf.where(condition, yes, no)


def largest(vector):
    """Largest absolute entry, as a float64 scalar."""
    return tf.cast(tf.reduce_max(tf.abs(vector)), tf.float64)


def _is_finite(evaluation):
    return tf.math.is_finite(evaluation.loss) & tf.reduce_all(
        tf.math.is_finite(evaluation.gradient)
    )


def _is_same(state, evaluation):
    """Whether loss and gradient at the accepted point are those it had.

    Data in another order differ by rounding; other data differ in both.
    """
    tolerance = tf.sqrt(epsilon(state))
    old, new = state["loss"], evaluation.loss
    change = tf.abs(new - old) - 100 * epsilon(state) * tf.abs(
        state["initial_loss"]
    )
    same_loss = change <= tolerance * tf.maximum(tf.abs(old), tf.abs(new))
    size = tf.maximum(largest(state["gradient"]), largest(evaluation.gradient))
    turn = largest(evaluation.gradient - state["gradient"])
    return _is_finite(evaluation) & (same_loss | (turn <= tolerance * size))


def epsilon(state):
    """Unit of rounding of the weights."""
    dtype = state["point"].dtype
    return tf.constant(
        tf.experimental.numpy.finfo(dtype.as_numpy_dtype).eps, tf.float64
    )


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
