"""Steps of a solver on one batch, without Keras's epochs around them."""

import time

import keras
import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import optimized_unless
from keras_curvature.training._keras import compiled_state
from keras_curvature.training.solver_callback import raise_its_error

# Python looks at a run about so often: for Ctrl-C and the progress bar.
_SECONDS = 0.2
# A call from Python costs some tenths of a millisecond, which a loop of
# TensorFlow's saves. To compile that loop takes seconds: it pays in a run that
# has taken so many already, with steps shorter than this.
_LONG_RUN = 10.0
_SHORT_STEP = 0.02


class SolverSteps:
    """Takes training steps of a compiled model on one batch.

    Args:
        model: A compiled model whose optimizer is a `Solver`.
    """

    def __init__(self, model):
        self._model = model
        self._state = compiled_state(model)
        self._one = _compiled(self._step, model)
        self._test = _compiled(model.test_step, model)
        self._several = tf.function(self._loop, autograph=False)
        self._is_traced = False
        # Of the steps so far that were called from Python.
        self._seconds, self._made = 0.0, 0
        self._at_once = 1

    @classmethod
    def of(cls, model):
        """Those that the model was last solved with, or new ones.

        Kept as Keras keeps its train function, so that to go on traces
        nothing.
        """
        kept = vars(model).get(_KEPT)
        if kept is None or not kept._fits(model):
            kept = vars(model)[_KEPT] = cls(model)
        return kept

    def _fits(self, model):
        state = compiled_state(model)
        return len(state) == len(self._state) and all(
            a is b for a, b in zip(state, self._state, strict=True)
        )

    def run(self, data, most):
        """Takes up to `most` steps, for about a fifth of a second.

        Ends early where the run of the solver does.

        Returns:
            The logs of the last step, a dict of tensors.
        """
        solver = self._model.optimizer
        try:
            with optimized_unless(lambda: solver.runs_as_traced):
                if self._loop_pays():
                    return self._run_in_tensorflow(data, most)
                return self._run_in_python(data, most)
        except tf.errors.InvalidArgumentError as error:
            raise_its_error(solver, error)

    def evaluate(self, data):
        """Loss and metrics of one batch, as a dict of floats."""
        self._model.reset_metrics()
        return numbers(self._test(data))

    def _loop_pays(self):
        return (
            not self._model.run_eagerly
            and self._seconds > _LONG_RUN
            and self._seconds < _SHORT_STEP * self._made
        )

    def _run_in_python(self, data, most):
        began = time.perf_counter()
        for made in range(1, most + 1):  # noqa: B007
            logs, has_ended = self._one(data)
            seconds = time.perf_counter() - began
            if has_ended or seconds > _SECONDS:
                break
        if self._is_traced:
            self._seconds += seconds
            self._made += made
        self._is_traced = True
        return logs

    def _run_in_tensorflow(self, data, most):
        most = min(most, self._at_once)
        began = time.perf_counter()
        logs, made = self._several(data, tf.constant(most))
        seconds = time.perf_counter() - began
        # Doubled at most: the first call compiles.
        self._at_once = max(
            1, min(2 * self._at_once, int(_SECONDS * int(made) / seconds))
        )
        return logs

    def _step(self, data):
        model = self._model
        # What is logged is of this step, not a mean over points on the way.
        model.reset_metrics()
        logs = model.distribute_strategy.run(model.train_step, args=(data,))
        return logs, model.optimizer.has_ended

    def _loop(self, data, most):
        """Up to `most` steps, at least one: new data follow after an end."""
        specs, _ = self._one.get_concrete_function(data).structured_outputs
        start = tf.nest.map_structure(
            lambda spec: tf.zeros(spec.shape, spec.dtype), specs
        )
        made, _, logs = tf.while_loop(
            lambda made, has_ended, logs: (made < most) & ~has_ended,
            lambda made, has_ended, logs: (
                made + 1,
                *reversed(self._one(data)),
            ),
            (tf.constant(0), tf.constant(False), start),
            parallel_iterations=1,
        )
        return logs, made


def _compiled(function, model):
    """As the model was told to run by `compile`."""
    if model.run_eagerly:
        return function
    return tf.function(function, autograph=False, jit_compile=model.jit_compile)


# Where a model keeps its steps.
_KEPT = "_keras_curvature_solver_steps"


def numbers(logs):
    """Logs as floats."""
    return {
        name: float(keras.ops.convert_to_numpy(value))
        for name, value in logs.items()
    }
