"""A run, from state to state, without Keras."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers._evaluations import run
from keras_curvature.optimizers._evaluations.evaluation import Evaluation
from keras_curvature.optimizers._evaluations.method import Method
from keras_curvature.optimizers._evaluations.state import (
    CHOOSE,
    CONFIRM,
    START,
    TRIAL,
    VERIFY,
    next_weights,
    shapes_of_accumulation,
    shapes_of_run,
)
from keras_curvature.optimizers.stop_reason import StopReason


class Stepping(Method):
    """Tries w + 1; takes it where the loss falls, and gives up otherwise."""

    loss_tolerance = 0.0

    def judge(self, state, evaluation):
        return tf.cond(
            evaluation.loss < state["loss"],
            lambda: run.accept(
                state,
                evaluation.weights,
                evaluation.loss,
                evaluation.gradient,
                self.loss_tolerance,
                False,
            ),
            lambda: state | {"phase": tf.constant(VERIFY, tf.int64)},
        )

    def choose(self, state, evaluation):
        return state | {
            "phase": tf.constant(TRIAL, tf.int64),
            "trial": state["point"] + 1,
        }


class Driver:
    """Evaluates (w − 2)² + `offset`, `moves` the weights where it is told."""

    def __init__(self, method=None, parts=None):
        self.method, self.parts = method or Stepping(), parts
        shapes = shapes_of_run(2, "float64", 2)
        if parts:
            shapes |= shapes_of_accumulation(2, "float64")
        self.state = {
            name: tf.zeros(shape, dtype)
            for name, (shape, dtype) in shapes.items()
        }
        self.weights = tf.zeros(2, tf.float64)

    def step(self, weights=None, offset=0.0, has_gradient=(True, True)):
        expected = next_weights(self.state)
        given = self.weights if weights is None else tf.constant(weights)
        given = tf.cast(given, tf.float64)
        evaluation = Evaluation(
            given,
            tf.reduce_sum((given - 2) ** 2) + offset,
            2 * (given - 2) + offset,
            given != expected,
            tf.constant(has_gradient),
        )
        if self.parts:
            self.weights, self.state = run.accumulate(
                self.method, self.state, evaluation, self.parts
            )
        else:
            self.weights, self.state = run.advance(
                self.method, self.state, evaluation
            )
        return self

    def __getattr__(self, name):
        return self.state[name].numpy()

    @property
    def reason(self):
        return StopReason.of_code(int(self.status))


def test_the_second_evaluation_is_of_a_trial():
    run_of = Driver().step()
    assert run_of.phase == TRIAL
    np.testing.assert_array_equal(run_of.weights, [1, 1])
    np.testing.assert_array_equal(run_of.point, [0, 0])
    assert run_of.loss == run_of.initial_loss == 8


def test_the_first_accepted_point_is_evaluated_twice_and_no_other():
    run_of = Driver().step().step()
    assert run_of.phase == CONFIRM
    np.testing.assert_array_equal(run_of.weights, [1, 1])
    run_of.step()
    assert run_of.phase == TRIAL
    np.testing.assert_array_equal(run_of.weights, [2, 2])
    run_of.step()
    assert run_of.phase == TRIAL
    np.testing.assert_array_equal(run_of.weights, [3, 3])
    assert run_of.accepted_steps == 2


def test_a_run_ends_where_no_trial_is_better():
    run_of = Driver()
    for _ in range(5):
        run_of.step()
    assert run_of.phase == VERIFY
    assert run_of.reason is None
    run_of.step()
    assert run_of.reason is StopReason.PRECISION
    np.testing.assert_array_equal(run_of.weights, [2, 2])
    before = dict(run_of.state)
    run_of.step()
    for name, value in before.items():
        np.testing.assert_array_equal(run_of.state[name], value)


def test_another_loss_at_the_first_accepted_point_takes_the_step_back():
    run_of = Driver().step().step().step(offset=1.0)
    assert run_of.reason is StopReason.LOSS_CHANGED
    np.testing.assert_array_equal(run_of.weights, [0, 0])
    assert run_of.loss == 8


class Patient(Stepping):
    """Tries on where the loss does not fall."""

    def judge(self, state, evaluation):
        after = super().judge(state, evaluation)
        return after | {
            "phase": tf.where(
                after["phase"] == VERIFY, phase(TRIAL), after["phase"]
            )
        }


def phase(value):
    return tf.constant(value, tf.int64)


def test_after_two_rejected_trials_the_start_is_evaluated_twice():
    run_of = Driver(Patient()).step().step(offset=9.0).step(offset=9.0)
    assert run_of.phase == CONFIRM
    np.testing.assert_array_equal(run_of.weights, [0, 0])
    run_of.step()
    assert run_of.phase == TRIAL
    np.testing.assert_array_equal(run_of.weights, [1, 1])
    run_of.step()
    assert run_of.accepted_steps == 1
    assert run_of.phase == TRIAL


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_start_that_is_not_finite_is_an_error(bad):
    run_of = Driver().step(offset=bad)
    assert run_of.reason is StopReason.NON_FINITE


@pytest.mark.parametrize("steps", [2, 5])
def test_an_accepted_point_that_is_not_finite_is_an_error(steps):
    run_of = Driver()
    for _ in range(steps):
        run_of.step()
    run_of.step(offset=np.nan)
    assert run_of.reason is StopReason.NON_FINITE


def test_trials_that_are_not_finite_are_counted():
    run_of = Driver().step().step(offset=np.nan)
    assert run_of.reason is None
    assert run_of.non_finite_evaluations == 1
    assert run_of.evaluations == 2


def test_an_error_that_was_told_begins_a_new_run():
    run_of = Driver().step(offset=np.nan).step()
    assert run_of.reason is None
    assert run_of.phase == TRIAL


def test_other_weights_begin_a_new_run():
    run_of = Driver().step().step().step().step(weights=[-5.0, -5.0])
    np.testing.assert_array_equal(run_of.weights, [-4, -4])
    assert run_of.accepted_steps == 0
    assert run_of.evaluations == 4


def test_the_accepted_point_put_back_costs_one_evaluation():
    run_of = Driver().step().step().step()
    run_of.step(weights=[1.0, 1.0])
    assert run_of.accepted_steps == 1
    np.testing.assert_array_equal(run_of.weights, [2, 2])


def test_the_accepted_point_with_another_loss_begins_a_new_run():
    run_of = Driver().step().step().step()
    run_of.step(weights=[1.0, 1.0], offset=3.0)
    assert run_of.accepted_steps == 0
    assert run_of.initial_loss == 5


def test_a_variable_that_was_frozen_begins_a_new_run():
    run_of = Driver().step().step().step().step(has_gradient=(True, False))
    assert run_of.accepted_steps == 0
    np.testing.assert_array_equal(run_of.connected, [1, 0])


def test_weights_altered_in_three_successive_steps_are_an_error():
    run_of = Driver().step(weights=[0.0, 0.5])
    for _ in range(2):
        given = run_of.weights.numpy() * [1.0, 0.9]
        run_of.step(weights=given)
        assert run_of.reason is None
    run_of.step(weights=run_of.weights.numpy() * [1.0, 0.9])
    assert run_of.reason is StopReason.WEIGHTS_REWRITTEN
    np.testing.assert_array_equal(run_of.rewritten, [0, 3])


def test_weights_moved_by_hand_now_and_then_are_none():
    run_of = Driver().step()
    for shift in range(6):
        run_of.step(weights=[-1.0 - shift, 0.0]).step()
    assert run_of.reason is None


def test_batches_add_up_to_an_evaluation():
    run_of = Driver(parts=2).step()
    assert run_of.phase == START
    assert run_of.batches == 1
    run_of.step()
    assert run_of.phase == TRIAL
    assert run_of.batches == 0
    assert run_of.loss == 8
    np.testing.assert_array_equal(run_of.gradient, [-4, -4])


@pytest.mark.parametrize(
    "before, after, initial, expected",
    [
        (100.0, 99.5, 200.0, True),
        (100.0, 98.0, 200.0, False),
        # A Poisson likelihood: below 0 from the start.
        (-100.0, -100.5, -50.0, True),
        (-100.0, -102.0, -50.0, False),
        # Beyond 0 the fall of the run counts: 101 and 1.
        (0.1, -0.5, 100.0, True),
        (0.1, -0.5, 0.5, False),
    ],
)
def test_a_small_change_is_one_beside_the_size_of_the_loss(
    before, after, initial, expected
):
    method = Stepping()
    method.loss_tolerance = 0.01
    state = Driver(method).step().state | {
        "loss": tf.constant(before, tf.float64),
        "initial_loss": tf.constant(initial, tf.float64),
    }
    weights = tf.zeros(2, tf.float64)
    after = run.accept(
        state, weights, tf.constant(after, tf.float64), weights, 0.01, False
    )
    reason = StopReason.of_code(int(after["status"]))
    assert (reason is StopReason.LOSS_TOLERANCE) is expected
    assert after["phase"] != CHOOSE
