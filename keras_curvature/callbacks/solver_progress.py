"""Shows how a solver gets on, and stops `fit` where it has converged."""

import keras


class SolverProgress(keras.callbacks.Callback):
    """Logs of a solver, and the end of `fit` at convergence.

    For `LBFGS`, `NewtonCG`, `LevenbergMarquardt` and `GaussNewton`.

    Adds the entries of `optimizer.progress` to the logs and the history of
    each epoch: accepted loss, gradient norm, evaluations, accepted steps, and
    what else the solver has: step length, trust radius, CG iterations, Hessian
    products. Stops `fit` when the solver has converged, with the reason in
    `optimizer.stop_reason` and in `history["stop_reason"]`.

    Between the epochs, while `fit` validates and in the callbacks that follow
    this one in the list, the model has the accepted point instead of the next
    trial. So put it first, and let callbacks that watch the loss monitor
    `"accepted_loss"`: the loss of trials goes up and down.

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

    def set_model(self, model):
        super().set_model(model)
        if not hasattr(model.optimizer, "restore_accepted_point"):
            raise TypeError(
                "SolverProgress needs a model that is compiled with LBFGS, "
                "NewtonCG, LevenbergMarquardt or GaussNewton. Received: "
                f"{type(model.optimizer).__name__}."
            )

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.restore_trial()

    def on_test_begin(self, logs=None):
        self.model.optimizer.restore_accepted_point()

    def on_epoch_end(self, epoch, logs=None):
        optimizer = self.model.optimizer
        optimizer.restore_accepted_point()
        if logs is not None:
            logs.update(optimizer.progress)
        if optimizer.converged:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        reason = self.model.optimizer.stop_reason
        if reason is not None:
            self.model.history.history["stop_reason"] = [reason]
