"""What all solvers of this package are to the one who uses them."""

from typing import Any

import keras
import tensorflow as tf

from keras_curvature._checks import checked_number
from keras_curvature._typing import LearningRate, Variables
from keras_curvature.optimizers._common.options import refuse_options
from keras_curvature.optimizers.stop_reason import RUNNING, StopReason


class SolverError(RuntimeError):
    """A run that cannot go on, with the sentence of its `StopReason`.

    Example:

    ```python
    from keras_curvature.optimizers import SolverError

    try:
        ...  # model.fit(x, y)
    except SolverError as error:
        print(error, error.reason)
    ```
    """

    def __init__(self, message: str, reason: StopReason | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class Solver(keras.optimizers.Optimizer):
    """Base class of `LBFGS`, `NewtonCG`, `LevenbergMarquardt`, `GaussNewton`.

    A solver minimizes one deterministic loss from the weights that the model
    has when its run begins, finds the length of its steps itself, and knows
    when it has arrived. A run begins at the first step, after `reset()`, and
    wherever the weights were moved by hand. `fit` of `keras_curvature.Model`
    and `keras_curvature.Sequential` ends with the run; a plain Keras model
    takes `keras_curvature.callbacks.SolverProgress` for that.

    In a loop of one's own, `optimizer.finalize_variable_values(variables)`
    after the last step, which `fit` calls, gives the model the best point that
    was accepted: between two steps it may stand at a trial.

    A subclass gives `_status` (a variable or tensor with the code of the
    `StopReason`, 0 while the run goes on), `_progress()` and `reset()`; one
    whose model stands at a trial point between two steps also gives
    `restore_accepted_point()` and `restore_trial()`.

    Args:
        gradient_tolerance: Float ≥ 0, see the subclass.
        loss_tolerance: Float in [0, 1), see the subclass.
        name: String.
        options: Dict of further arguments, all of which are refused: options
            of Keras's optimizers that a solver cannot have.
        **kwargs: `loss_scale_factor`.

    Example:

    ```python
    from keras_curvature.optimizers import LBFGS, Solver

    isinstance(LBFGS(), Solver)  # True
    ```

    A loop of one's own, which ends where the solver has arrived:

    ```python
    import keras
    import numpy as np
    import keras_curvature
    from keras_curvature.optimizers import LBFGS

    x = np.linspace(-1, 1, 20)[:, None]
    model = keras_curvature.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1)]
    )
    model.compile(LBFGS(), "mse")
    for step in range(50):
        model.train_on_batch(x, 3 * x + 1)
        if model.optimizer.stop_reason:
            break
    model.optimizer.finalize_variable_values(model.trainable_variables)
    ```
    """

    # Whether TensorFlow's graph optimizer takes longer than it saves, as the
    # step that was traced last has found.
    runs_as_traced = False

    def __init__(
        self,
        *,
        gradient_tolerance: float,
        loss_tolerance: float,
        name: str | None,
        options: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        refuse_options(type(self).__name__, options)
        super().__init__(learning_rate=1.0, name=name, **kwargs)
        self.gradient_tolerance = checked_number(
            "gradient_tolerance", gradient_tolerance, minimum=0
        )
        self.loss_tolerance = checked_number(
            "loss_tolerance", loss_tolerance, minimum=0, below=1
        )

    # How the run stands

    @property
    def progress(self) -> dict[str, float]:
        """How the run stands, as a dict of floats.

        `accepted_loss`, `gradient_norm`, `evaluations` and `accepted_steps`
        for every solver, and what else the method has. Empty before the first
        step. `fit` writes it to the history of each epoch.
        """
        if not self.built:
            return {}
        return {name: number(value) for name, value in self._progress().items()}

    @property
    def stop_reason(self) -> StopReason | None:
        """The `StopReason` of a run that has ended, else None."""
        if not self.built:
            return None
        return StopReason.of_code(int(number(self._status)))

    @property
    def converged(self) -> bool:
        """Whether the run has ended without an error."""
        reason = self.stop_reason
        return reason is not None and not reason.is_error

    @property
    def has_ended(self) -> tf.Tensor:
        """Whether the run has ended, a scalar bool tensor.

        What `stop_reason` is to Python, for a loop of TensorFlow's.
        """
        return tf.convert_to_tensor(self._status) != RUNNING

    def raise_on_error(self) -> None:
        """Raises `SolverError` where the run cannot go on."""
        reason = self.stop_reason
        if reason is not None and reason.is_error:
            raise SolverError(f"{self.name}: {reason.sentence}", reason)

    def warn(self) -> None:
        """Warns, once, of what the run has noticed and a user should know."""

    def reset(self) -> None:
        """Forgets the run; the next step begins one from the model's weights.

        Call it after a change of data or loss. Weights moved by hand begin a
        new run without it.
        """
        raise NotImplementedError

    def announce_new_data(self) -> None:
        """Says that the next step sees other data, and that the run goes on.

        For data that are drawn anew from the same source, as collocation
        points are: `keras_curvature.solve(resample=...)` calls it. The run
        goes on from its accepted point, which the model is given; loss and
        gradient there are taken again. What the solver has learned of the
        problem stays: the pairs of `LBFGS`, trust radius and damping, the
        scale of the weights. A run that had converged goes on.
        """
        raise NotImplementedError

    # The accepted point

    def restore_accepted_point(self) -> None:
        """Gives the model the best weights that were accepted.

        Needed only where a run was left between two steps: `fit` calls it.
        """

    def restore_trial(self) -> None:
        """Gives the model the weights that the next step is to evaluate."""

    def finalize_variable_values(self, var_list: Variables) -> None:
        """Leaves the accepted point in the model; `fit` calls this at its end.

        In a training loop of your own, call it after the last step.

        Raises:
            SolverError: if the run cannot go on.
        """
        if self.built:
            self.restore_accepted_point()
            self.raise_on_error()

    @property
    def was_rejected(self) -> Any:
        """Whether the last step evaluated weights that were not accepted.

        A scalar bool tensor, or None where it cannot be told or where a step
        leaves nothing else of its trials in the model.
        """
        return None

    # For subclasses

    @property
    def _status(self):
        raise NotImplementedError

    def _progress(self):
        """What `progress` holds, as scalar tensors or variables."""
        raise NotImplementedError

    @property
    def learning_rate(self) -> Any:
        """1: the length of a step is found, not set."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: LearningRate) -> None:
        refuse_options(type(self).__name__, {"learning_rate": learning_rate})

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({settings})"

    def get_config(self) -> dict[str, Any]:
        return {
            "gradient_tolerance": self.gradient_tolerance,
            "loss_tolerance": self.loss_tolerance,
            "name": self.name,
        }


def number(value):
    """A scalar tensor or variable as a float, also one on replicas."""
    return float(keras.ops.convert_to_numpy(tf.convert_to_tensor(value)))
