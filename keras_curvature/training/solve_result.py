"""What a call of `solve` came to."""

import dataclasses
import enum

from keras_curvature.optimizers.stop_reason import StopReason
from keras_curvature.uncertainty.parameter_errors import ParameterErrors


class SolveStatus(str, enum.Enum):
    """How a call of `keras_curvature.solve` ended.

    Members are strings, to compare and to store.

    Example:

    ```python
    from keras_curvature.training import SolveStatus

    SolveStatus.CONVERGED == "converged"  # True
    ```
    """

    CONVERGED = "converged"
    MAX_STEPS = "max_steps"
    CALLBACK = "callback"
    INTERRUPTED = "interrupted"


@dataclasses.dataclass(frozen=True)
class SolveResult:
    """What `keras_curvature.solve` did; `print` shows it.

    Args:
        status: `SolveStatus`.
        stop_reason: The `StopReason` of a run that has converged, else None.
        optimizer: Name of the solver.
        steps: Int, the steps of this call.
        evaluations: Int, evaluations of the loss in this call.
        loss: Float, the loss at the weights that the model has now.
        gradient_norm: Float, the norm of its gradient that the solver holds
            against `gradient_tolerance`, where it was last taken.
        seconds: Float, of the whole call.
        first_step_seconds: Float, how many of them the first step took, which
            traces and compiles.
        history: Dict from names to lists with one entry an epoch, as that of
            `keras.callbacks.History`.
        errors: `keras_curvature.uncertainty.ParameterErrors` where they were
            asked for, else None.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_curvature

    model = keras_curvature.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1)]
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "mse")
    x = np.linspace(-1, 1, 20)[:, None]
    result = keras_curvature.solve(model, x, 3 * x + 1, verbose=0)
    print(result)
    result.converged, result.loss, result.history["loss"]
    ```
    """

    status: SolveStatus
    stop_reason: StopReason | None
    optimizer: str
    steps: int
    evaluations: int
    loss: float
    gradient_norm: float
    seconds: float
    first_step_seconds: float
    history: dict[str, list[float]] = dataclasses.field(repr=False)
    errors: ParameterErrors | None = dataclasses.field(default=None, repr=False)

    @property
    def converged(self) -> bool:
        """Whether the run of the solver has come to its end."""
        return self.status is SolveStatus.CONVERGED

    @property
    def reason(self) -> str:
        """A sentence that says why it ended."""
        if self.converged and self.stop_reason is not None:
            return self.stop_reason.sentence
        return _SENTENCES[self.status]

    def __str__(self) -> str:
        errors = [] if self.errors is None else ["", str(self.errors)]
        return "\n".join(
            [
                f"{self.optimizer}: {self.reason}",
                f"  steps          {self.steps}",
                f"  evaluations    {self.evaluations}",
                f"  loss           {self.loss:.6e}",
                f"  gradient norm  {self.gradient_norm:.2e}",
                f"  seconds        {self.seconds:.2f}, the first step "
                f"{self.first_step_seconds:.2f}",
                *errors,
            ]
        )


_SENTENCES = {
    SolveStatus.MAX_STEPS: (
        "`max_steps` were made. Another solve() goes on from here."
    ),
    SolveStatus.CALLBACK: "A callback set `model.stop_training`.",
    SolveStatus.INTERRUPTED: (
        "Interrupted. The model has the accepted point; another solve() goes "
        "on from there."
    ),
}
