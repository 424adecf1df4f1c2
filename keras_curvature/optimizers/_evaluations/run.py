"""What an evaluation makes of the state of a run, as functions of both."""

import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import in_xla_context
from keras_curvature.optimizers._common.status import FIRST_ERROR, Status
from keras_curvature.optimizers._evaluations.evaluation import (
    either,
    is_finite,
    is_same,
)

# What the next evaluation is for: the point where a run starts; the same
# point once more, to see whether the loss is a function of the weights; a
# trial; the accepted point once more, after no trial was better.
START, CONFIRM, TRIAL, VERIFY = range(4)
# Not an evaluation: the next trial is still to be chosen.
CHOOSE = 4


class RunState:
    """For `ReverseCommunication`: from state to state, in one step.

    The state is a dict of tensors. Nothing is assigned here, so that it runs
    on replicas, compiled and eagerly.
    """

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
        same = tf.reduce_all(evaluation.weights == state["point"]) & is_same(
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
        finite = is_finite(evaluation)
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
