"""One call of `solve`: steps, epochs, callbacks, and how it came to an end."""

import time
from math import nan

import keras

from keras_curvature.training._keras import build_with
from keras_curvature.training._solve_display import SolveDisplay
from keras_curvature.training._solver_steps import SolverSteps, numbers
from keras_curvature.training.solve_result import SolveResult, SolveStatus
from keras_curvature.training.solver_callback import SolverCallback


class SolveRun:
    """Trains a model on one batch until something ends it.

    Args:
        model: Compiled model with a `Solver`.
        data: `(x, y, sample_weight)` of tensors.
        validation_data: The same, or None.
        callbacks: List of callbacks, a `CallbackList`, or None.
        resampling: `Resampling`.
        verbose: 0, 1 or 2.
    """

    def __init__(
        self, model, data, validation_data, callbacks, resampling, verbose
    ):
        self._model, self._solver = model, model.optimizer
        self._data, self._validation_data = data, validation_data
        self._given_callbacks = callbacks
        self._resampling = resampling
        self._verbose = verbose
        self._steps_made = 0
        self._first_step_seconds = 0.0
        self._logs = {}

    @property
    def data(self):
        """`(x, y, sample_weight)` of tensors, those of the last draw."""
        return self._data

    def result(self, max_steps, steps_per_epoch):
        """Trains, and returns the `SolveResult`."""
        began = time.perf_counter()
        build_with(self._model, self._data)
        self._steps = SolverSteps.of(self._model)
        self._began_with = self._solver.progress
        self._iterations = int(self._solver.iterations.numpy())
        self._callbacks = self._callback_list(max_steps, steps_per_epoch)
        self._display = SolveDisplay(self._verbose, max_steps)
        self._model.stop_training = False
        self._callbacks.on_train_begin()
        try:
            status = self._train(max_steps, steps_per_epoch)
        except KeyboardInterrupt:
            status = SolveStatus.INTERRUPTED
        finally:
            self._solver.restore_accepted_point()
            self._display.close(self._made(), self._solver)
        self._solver.finalize_variable_values(self._model.trainable_variables)
        return self._ended(status, time.perf_counter() - began)

    def _train(self, max_steps, steps_per_epoch):
        epoch = 0
        while True:
            self._callbacks.on_epoch_begin(epoch)
            self._solver.restore_trial()
            end = min((epoch + 1) * steps_per_epoch, max_steps)
            is_over = self._run_until(end)
            self._callbacks.on_epoch_end(epoch, self._epoch_logs())
            self._display.epoch(self._made(), self._logs)
            epoch += 1
            if is_over:
                return SolveStatus.CONVERGED
            if self._model.stop_training:
                return SolveStatus.CALLBACK
            if end == max_steps:
                return SolveStatus.MAX_STEPS

    def _run_until(self, end):
        """Makes steps; returns whether the run has come to its end before."""
        step = self._made()
        while step < end and not self._model.stop_training:
            most = end - step
            left = self._resampling.steps_left(step)
            if left == 0:
                self._draw(step)
                continue
            self._take(min(most, left or most))
            step = self._made()
            self._solver.raise_on_error()
            self._display.steps(step, self._solver)
            if self._solver.stop_reason is None:
                continue
            if not self._resampling.follows_end(self._solver):
                return True
            self._draw(step)
        return False

    def _take(self, most):
        """Some steps, and what callbacks see of each of them."""
        began = time.perf_counter()
        step = self._made()
        if self._has_batch_hooks:
            self._callbacks.on_train_batch_begin(step)
            self._logs = self._steps.run(self._data, 1)
            self._callbacks.on_train_batch_end(step, self._logs)
        else:
            self._logs = self._steps.run(self._data, most)
        if step == 0:
            self._first_step_seconds = time.perf_counter() - began

    def _draw(self, step):
        self._data = self._resampling.draw(self._model, self._data, step)

    def _made(self):
        """How many steps this call has made, also when interrupted in one."""
        return int(self._solver.iterations.numpy()) - self._iterations

    def _epoch_logs(self):
        solver = self._solver
        solver.restore_accepted_point()
        solver.warn()
        progress = solver.progress
        self._logs = numbers(self._logs) | progress
        self._logs["loss"] = progress["accepted_loss"]
        if self._validation_data is not None:
            self._callbacks.on_test_begin()
            values = self._steps.evaluate(self._validation_data)
            self._callbacks.on_test_end(values)
            self._logs |= {f"val_{k}": v for k, v in values.items()}
        return self._logs

    def _callback_list(self, max_steps, steps_per_epoch):
        given = self._given_callbacks
        if isinstance(given, keras.callbacks.CallbackList):
            given = given.callbacks
        given = [
            callback
            for callback in keras.tree.flatten(given or [])
            # What it does for `fit` is done here.
            if not isinstance(callback, SolverCallback)
        ]
        self._has_batch_hooks = any(_has_batch_hooks(c) for c in given)
        return keras.callbacks.CallbackList(
            given,
            add_history=True,
            model=self._model,
            verbose=self._verbose,
            epochs=-(-max_steps // steps_per_epoch),
            steps=steps_per_epoch,
        )

    def _ended(self, status, seconds):
        solver, history = self._solver, self._model.history
        reason = solver.stop_reason if status == "converged" else None
        if reason is not None:
            history.history["stop_reason"] = [reason]
        self._callbacks.on_train_end(self._logs)
        progress = solver.progress
        if not progress["evaluations"]:
            # Interrupted while the first step was traced.
            progress |= dict.fromkeys(("accepted_loss", "gradient_norm"), nan)
        before = self._began_with.get("evaluations", 0)
        return SolveResult(
            status=status,
            stop_reason=reason,
            optimizer=type(solver).__name__,
            steps=self._made(),
            evaluations=int(progress["evaluations"] - before),
            loss=progress["accepted_loss"],
            gradient_norm=progress["gradient_norm"],
            seconds=seconds,
            first_step_seconds=self._first_step_seconds,
            history=dict(history.history),
        )


def _has_batch_hooks(callback):
    names = (
        "on_batch_begin",
        "on_batch_end",
        "on_train_batch_begin",
        "on_train_batch_end",
    )
    return any(
        getattr(type(callback), name)
        is not getattr(keras.callbacks.Callback, name)
        for name in names
    )
