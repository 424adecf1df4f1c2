"""A solver in a plain Keras model."""

import keras

from keras_curvature.optimizers.solver import Solver
from keras_curvature.training.solver_callback import SolverCallback


class SolverProgress(SolverCallback):
    """Logs of a solver, and the end of `fit` at convergence.

    For plain Keras models that are trained by `LBFGS` or `NewtonCG`;
    `keras_curvature.Model` and `Sequential` do the same without it.

    Adds `optimizer.progress` to the logs and the history of each epoch, and
    ends `fit` with the run of the solver, with the `StopReason` in
    `optimizer.stop_reason` and in `history["stop_reason"]`. A run that cannot
    go on raises `SolverError` at that step. Interrupted (Ctrl-C), the model
    has the accepted point.

    Between the epochs, while `fit` validates and in the callbacks that follow
    this one in the list, the model has the accepted point instead of the next
    trial. So put it first, and let callbacks that watch the loss monitor
    `"accepted_loss"`: the loss of trials goes up and down. In a plain model
    Keras's `EarlyStopping` needs `mode="min"` with it; everywhere it needs
    more patience than a line search needs evaluations.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.callbacks import SolverProgress
    from keras_curvature.optimizers import LBFGS

    x = np.linspace(-1, 1, 64)[:, None]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(LBFGS(), loss="mse")
    history = model.fit(
        x,
        np.sin(3 * x),
        batch_size=64,
        shuffle=False,
        epochs=100,
        callbacks=[SolverProgress()],
        verbose=0,
    ).history
    history["gradient_norm"][-1], history["stop_reason"]
    ```
    """

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        if not isinstance(model.optimizer, Solver):
            raise TypeError(
                "SolverProgress needs a model that is compiled with LBFGS, "
                "NewtonCG, LevenbergMarquardt or GaussNewton. Received: "
                f"{type(model.optimizer).__name__}."
            )
