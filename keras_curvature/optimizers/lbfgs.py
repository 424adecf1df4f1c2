"""Limited-memory BFGS."""

import math
from typing import Any, Literal

import keras

from keras_curvature._checks import (
    checked_choice,
    checked_integer,
)
from keras_curvature.optimizers._evaluations.limited_memory import (
    LimitedMemory,
)
from keras_curvature.optimizers._evaluations.line_search import Rules
from keras_curvature.optimizers._evaluations.line_search_solver import (
    LineSearchSolver,
)


@keras.saving.register_keras_serializable(package="keras_curvature")
class LBFGS(LineSearchSolver):
    """Limited-memory BFGS with a strong Wolfe line search.

        x₊ = x − α H g,   H ≈ (∇²L)⁻¹ from the last pairs
        s = x₊ − x and y = g₊ − g

    For losses that are a deterministic function of the weights: small and
    ill-conditioned problems, curve fitting, physics-informed networks. Works
    on any Keras model by reverse communication: each step of `fit` is one
    evaluation of loss and gradient at a trial point, and the optimizer
    chooses the next one. The loss must be the same function in every step:

    - the whole data in one batch, `fit(batch_size=len(x), shuffle=False)`, so
      that an epoch is an evaluation; or
    - many batches of equal size and `gradient_accumulation_steps` equal to
      their number, so that again an epoch is an evaluation.

    The first accepted point is evaluated twice. If its loss changed (shuffled
    mini-batches, Dropout), the training stops with an error that explains it.
    A trial whose loss is not finite is taken for too long a step.

    While `fit` runs, the model has the weights of the next trial, which may
    be worse; after `fit` it has the best accepted point. `fit` of
    `keras_curvature.Model` and `keras_curvature.Sequential` ends by itself at
    convergence, logs the progress, and shows validation, checkpoints and
    other callbacks the accepted point. A plain Keras model takes
    `keras_curvature.callbacks.SolverProgress` for all that; without it the
    steps after convergence change nothing. A second `fit` continues the first.

    With the whole data as one batch `keras_curvature.solve` takes these steps
    without Keras's epoch around each, which costs ten of them on small models.
    It also takes conditions with point sets of their own.

    Args:
        history_size: Int ≥ 1, number of pairs kept, each two vectors of the
            size of the weights. Defaults to `10`.
        line_search: `"strong_wolfe"`, or `"armijo"` for the first condition
            alone: fewer evaluations for a step, and steps that may give no
            pair. Defaults to `"strong_wolfe"`.
        sufficient_decrease: Float in [0, 0.5), μ of the Wolfe conditions.
            Defaults to `1e-4`.
        wolfe_curvature: Float in [sufficient_decrease, 1), η of the Wolfe
            conditions; smaller is a more exact line search. Defaults to
            `0.9`.
        line_search_evaluations: Int ≥ 2, most evaluations in one line search.
            Defaults to `20`.
        gradient_tolerance: Float ≥ 0, absolute, in units of loss / weight.
            Stops where no entry of the gradient is larger. Defaults to `1e-8`.
        loss_tolerance: Float in [0, 1), dimensionless. Stops where a step
            lowered the loss by less than this part of its absolute value, or,
            once the loss has changed its sign, of its whole fall. Defaults to
            `0.0`, never.
        gradient_accumulation_steps: None or int ≥ 2, number of batches that
            make one evaluation, the mean of theirs. Defaults to `None`.
        loss_scale_factor: None or float, see `keras.optimizers.Optimizer`.
            Defaults to `None`.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if an argument breaks its rule, or is an option of Keras's
            optimizers that a line search cannot have (learning rate, weight
            decay, clipping, moving averages).
        SolverError: if the loss is not finite at the initial or an accepted
            point, changes at the same weights, or the weights come back
            altered. In a plain Keras model without `SolverProgress` the graph
            raises it as `tf.errors.InvalidArgumentError`, and with
            `jit_compile` it comes at the end of `fit`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.optimizers import LBFGS

    x = np.linspace(-1, 1, 64)[:, None]
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(LBFGS(), loss="mse")
    model.fit(
        x, np.sin(3 * x), batch_size=64, shuffle=False, epochs=100, verbose=0
    )
    ```

    References:
        Liu, Nocedal, 1989, "On the limited memory BFGS method for large scale
        optimization", Mathematical Programming 45.
        Moré, Thuente, 1994, "Line search algorithms with guaranteed
        sufficient decrease", ACM TOMS 20(3).
    """

    def __init__(
        self,
        history_size: int = 10,
        *,
        line_search: Literal["strong_wolfe", "armijo"] = "strong_wolfe",
        sufficient_decrease: float = 1e-4,
        wolfe_curvature: float = 0.9,
        line_search_evaluations: int = 20,
        gradient_tolerance: float = 1e-8,
        loss_tolerance: float = 0.0,
        gradient_accumulation_steps: int | None = None,
        loss_scale_factor: float | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            gradient_tolerance=gradient_tolerance,
            loss_tolerance=loss_tolerance,
            gradient_accumulation_steps=gradient_accumulation_steps,
            loss_scale_factor=loss_scale_factor,
            name=name,
            options=options,
        )
        self.history_size = checked_integer("history_size", history_size, 1)
        self.line_search = checked_choice(
            "line_search", line_search, ("strong_wolfe", "armijo")
        )
        self.quasi_newton = LimitedMemory(self.history_size)
        rules = Rules.checked(
            sufficient_decrease, wolfe_curvature, line_search_evaluations
        )
        self.sufficient_decrease, self.wolfe_curvature, _ = rules
        self.line_search_evaluations = rules.evaluations
        if line_search == "armijo":
            rules = rules._replace(curvature=math.inf)
        self.rules = rules

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "history_size": self.history_size,
            "line_search": self.line_search,
            "sufficient_decrease": self.sufficient_decrease,
            "wolfe_curvature": self.wolfe_curvature,
            "line_search_evaluations": self.line_search_evaluations,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }
