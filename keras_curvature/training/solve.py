"""Training a compiled model by a solver, at the speed of its steps."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras

from keras_curvature._checks import (
    checked_choice,
    checked_flag,
    checked_integer,
)
from keras_curvature._typing import Data, Structure
from keras_curvature.optimizers.solver import Solver
from keras_curvature.training._resampling import Resampling
from keras_curvature.training._solve_run import SolveRun
from keras_curvature.training._whole_batch import whole_batch
from keras_curvature.training.solve_result import SolveResult
from keras_curvature.uncertainty.parameter_covariance import (
    parameter_covariance,
    refuse_other_losses,
)


def solve(
    model: keras.Model,
    x: Data,
    y: Data | None = None,
    sample_weight: Structure = None,
    *,
    max_steps: int = 1000,
    steps_per_epoch: int = 100,
    validation_data: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    resample: Callable[[keras.Model], Any] | None = None,
    resample_period: int = 100,
    errors: bool = False,
    verbose: Literal["auto", 0, 1, 2] = "auto",
) -> SolveResult:
    """Trains a compiled model by its solver, on the whole data as one batch.

    What `fit(batch_size=len(x), shuffle=False, epochs=max_steps)` does, without
    what Keras does around each epoch, some ten times the price of a step on
    small models. For `LBFGS`, `NewtonCG`, `LevenbergMarquardt` and
    `GaussNewton`, the first two also in plain Keras models. A step of the
    first two is one evaluation of the loss and its gradient, a step of the
    others one linearization with all its trials.

    It ends where the run of the solver does, after `max_steps`, where a
    callback sets `model.stop_training`, or with Ctrl-C. The model then has the
    accepted point. As with `fit`, a second call goes on from there, with what
    the solver has learned, unless weights were set or `optimizer.reset()` was
    called in between.

    An epoch is `steps_per_epoch` steps. Between epochs the model has the
    accepted point, is validated, and Keras's callbacks are called, with these
    logs:

    - `loss`: the loss at the accepted point;
    - what else `optimizer.progress` has: `gradient_norm`, `evaluations`, ...;
    - the metrics of `compile`, in the last evaluation;
    - the same with `val_` before their names, for `validation_data`.

    `on_train_batch_begin` and `on_train_batch_end` are called for each step if
    a callback has them (`ModelCheckpoint` and `TensorBoard` do); a step then
    costs some tenths of a millisecond more. `steps_per_execution` of
    `compile` concerns `fit` alone: here TensorFlow makes as many steps at once
    as take a fifth of a second.

    Args:
        model: Compiled `keras.Model` with a solver as its optimizer.
        x: Inputs, an array or a nested structure of arrays of any number type;
            or a finite `tf.data.Dataset` or `keras.utils.PyDataset` of
            `(x, y)` or `(x, y, sample_weight)`, whose batches are put one
            behind the other. Arrays of a dict may differ in length, see the
            second example.
        y: Targets, in the structure of the model's outputs. Defaults to None,
            for losses that need none.
        sample_weight: Weights of the samples, in the structure of `y`.
            Defaults to None, equal weights.
        max_steps: Int ≥ 1, the most steps of this call. Defaults to 1000.
        steps_per_epoch: Int ≥ 1, steps between validations and calls of
            callbacks. Defaults to 100.
        validation_data: `(x, y)`, `(x, y, sample_weight)` or a dataset, to be
            evaluated as one batch after each epoch. Defaults to None.
        callbacks: List of `keras.callbacks.Callback`s. `SolverProgress` is not
            needed. Defaults to None.
        resample: Callable that maps the model to new data: `x`, `(x, y)` or
            `(x, y, sample_weight)`, of the same shapes; what it leaves out
            stays. Called after every `resample_period` steps, and where the
            run has converged, which then goes on until it converges on two
            draws in succession. Defaults to None, the same data throughout.
        resample_period: Int ≥ 1, steps between two draws. Defaults to 100.
        errors: Bool, whether the result has the standard errors of the weights
            as `result.errors`, for a fit by the mean squared error: see
            `keras_curvature.uncertainty.parameter_covariance`, which also
            knows further options. Defaults to `False`.
        verbose: 0 for silence, 1 for a progress bar, 2 for one line an epoch.
            Defaults to `"auto"`, which is 1.

    Returns:
        A `keras_curvature.training.SolveResult`, which prints.

    Raises:
        SolverError: if the run cannot go on; the model has the accepted point.
        ValueError: if the model is not compiled, its optimizer is no solver,
            the data are empty or differ in length, or the model is trained on
            several replicas, which share batches among them: use `fit`.

    Warns:
        UserWarning: if `x` or `y` are in float64 that the float type of
            Keras, float32 by default, cannot hold: where it rounds them by
            more than 3e-5 of their standard deviation, as numbers between
            6.00e9 and 6.01e9, or where squares of `y` leave its range.

    Examples:

    ```python
    import keras
    import numpy as np
    import keras_curvature

    x = np.linspace(-1, 1, 200)[:, None]
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(10, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "mse")
    print(keras_curvature.solve(model, x, np.sin(4 * x), max_steps=50))
    ```

    Conditions with point sets of their own: each loss is a mean over its own
    points, and the model takes and returns them by name. A coefficient of the
    equation u' = −k·u is found besides u, from three measurements.

    ```python
    import keras
    import numpy as np
    import tensorflow as tf
    import keras_curvature

    class Decay(keras_curvature.Model):
        def __init__(self):
            super().__init__()
            self.u = keras.Sequential(
                [
                    keras.Input((1,)),
                    keras.layers.Dense(8, activation="tanh"),
                    keras.layers.Dense(1),
                ]
            )
            self.k = self.add_weight(shape=(), initializer="ones")

        def call(self, t):
            with tf.GradientTape() as tape:
                tape.watch(t["equation"])
                u = self.u(t["equation"])
            slope = tape.gradient(u, t["equation"])
            return {
                "equation": slope + self.k * u,
                "measured": self.u(t["measured"]),
            }

    t = {
        "equation": np.random.default_rng(0).uniform(0, 1, (50, 1)),
        "measured": np.array([[0.0], [0.5], [1.0]]),
    }
    y = {
        "equation": np.zeros((50, 1)),
        "measured": np.exp(-2 * t["measured"]),
    }

    def new_points(model):
        return t | {"equation": np.random.uniform(0, 1, (50, 1))}

    model = Decay()
    model.compile(
        keras_curvature.optimizers.LevenbergMarquardt(),
        loss={"equation": "mse", "measured": "mse"},
        loss_weights={"equation": 0.1, "measured": 1.0},
    )
    keras_curvature.solve(
        model, t, y, max_steps=60, resample=new_points, resample_period=20
    )
    print(float(model.k.numpy()))  # 2
    ```
    """
    _refuse_model(model)
    max_steps = checked_integer("max_steps", max_steps, minimum=1)
    steps_per_epoch = checked_integer(
        "steps_per_epoch", steps_per_epoch, minimum=1
    )
    verbose = checked_choice("verbose", verbose, ("auto", 0, 1, 2))
    data = whole_batch(x, y, sample_weight)
    _refuse_missing_targets(model, data[1])
    if validation_data is not None:
        if not isinstance(validation_data, (tuple, list)):
            validation_data = (validation_data,)
        validation_data = whole_batch(*validation_data)
    if checked_flag("errors", errors):
        # Before the model is trained for them.
        refuse_other_losses(model)
    run = SolveRun(
        model,
        data,
        validation_data,
        callbacks,
        resampling=Resampling(resample, resample_period),
        verbose=1 if verbose == "auto" else int(verbose),
    )
    result = run.result(max_steps, min(steps_per_epoch, max_steps))
    if not errors:
        return result
    found = parameter_covariance(model, *run.data)
    return dataclasses.replace(result, errors=found)


def _refuse_missing_targets(model, y):
    if y is None and model.loss is not None:
        raise ValueError(
            "`y` must be given where the model was compiled with a loss. "
            "Received: y=None. The target of a residual is 0: np.zeros(...) "
            "in the shape of the model's outputs."
        )


def _refuse_model(model):
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a compiled keras.Model. Received: "
            f"{type(model).__name__}."
        )
    if not model.compiled:
        raise ValueError(
            "`model` must be compiled. Received: a model without an optimizer "
            "and a loss. Call, for example, "
            "model.compile(keras_curvature.optimizers.LBFGS(), loss='mse')."
        )
    solver = model.optimizer
    if not isinstance(solver, Solver):
        raise ValueError(
            "`model` must be compiled with a solver: LBFGS, NewtonCG, "
            "LevenbergMarquardt or GaussNewton of keras_curvature.optimizers. "
            f"Received: {type(solver).__name__}. Train it with fit(), or "
            "compile it with a solver."
        )
    if solver.gradient_accumulation_steps:
        raise ValueError(
            "`gradient_accumulation_steps` must be None in solve(), where the "
            "whole data are one batch. Received: "
            f"{solver.gradient_accumulation_steps}. Leave it out, or train "
            "with fit()."
        )
    replicas = model.distribute_strategy.num_replicas_in_sync
    if replicas > 1:
        raise ValueError(
            "solve() runs on one device. Received: a model under a strategy "
            f"with {replicas} replicas. Use fit(batch_size=len(x), "
            "shuffle=False), which shares the batch among them, or make the "
            "model without a strategy."
        )
