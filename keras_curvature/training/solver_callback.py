"""What a training by a solver needs beyond its steps."""

from typing import Any

import keras
import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import optimized_unless

# Of what a solver logs, what callbacks may watch for an improvement.
_MINIMIZED = ("accepted_loss", "gradient_norm")


class SolverCallback(keras.callbacks.Callback):
    """Ends a training with the run of its solver.

    `keras_curvature.Model` adds it by itself where its optimizer is a
    `keras_curvature.optimizers.Solver`; for plain Keras models see
    `keras_curvature.callbacks.SolverProgress`.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        model = self.model
        model.train_function = watched(model.train_function, model)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self.model.optimizer.restore_trial()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.model.optimizer.restore_accepted_point()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        solver = self.model.optimizer
        solver.restore_accepted_point()
        solver.warn()
        if logs is not None:
            logs.update(solver.progress)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        reason = self.model.optimizer.stop_reason
        if reason is not None:
            self.model.history.history["stop_reason"] = [reason]


def minimize_progress(callbacks):
    """Lets callbacks watch the progress of a solver without `mode="min"`.

    Keras knows the direction of the loss and of metrics alone.
    """
    for callback in callbacks:
        if (
            getattr(callback, "monitor", None) in _MINIMIZED
            and getattr(callback, "mode", None) == "auto"
        ):
            callback.mode = "min"


def watched(train_function, model):
    """The train function of a model, which looks at its solver after a step.

    It ends `fit` with the run, raises the solver's own error in the place of
    TensorFlow's, and leaves the accepted point in the model when interrupted.
    """
    if getattr(train_function, "watches_solver", False):
        return train_function

    def function(iterator):
        solver = model.optimizer
        try:
            with optimized_unless(lambda: solver.runs_as_traced):
                logs = train_function(iterator)
        except KeyboardInterrupt:
            solver.restore_accepted_point()
            raise
        except tf.errors.InvalidArgumentError as error:
            raise_its_error(solver, error)
        if solver.stop_reason is not None:
            solver.raise_on_error()
            model.stop_training = True
        return logs

    function.watches_solver = True
    return function


def raise_its_error(solver, error):
    """The error of the solver, whose sentence stands first, or the other."""
    try:
        solver.raise_on_error()
    except Exception as own:
        raise own from None
    raise error
