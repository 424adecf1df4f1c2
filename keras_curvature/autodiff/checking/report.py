"""What `check_second_derivatives` returns."""

import dataclasses

# Central differences that agree no better than this show nothing.
RESOLVED = 1e-2
UNRESOLVED = (
    "not resolved: central differences disagree among themselves, as at a "
    "kink or a tie"
)


@dataclasses.dataclass(frozen=True)
class LayerCheck:
    """The check of one layer, by itself, at the inputs it was given.

    Attributes:
        name: The layer's path.
        layer: Its class.
        error: Relative error of its Hessian products, None if not measured.
        problem: Why it was not measured, or was refused; else empty.
        resolution: Estimated relative error of the central differences.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.autodiff import LayerCheck, check_second_derivatives

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    x, y = np.random.rand(8, 3), np.random.rand(8, 1)
    first = check_second_derivatives(model, x, y, loss="mse").layers[0]
    assert isinstance(first, LayerCheck)
    first.name, first.error
    ```
    """

    name: str
    layer: str
    error: float | None
    problem: str = ""
    resolution: float = 0.0


@dataclasses.dataclass(frozen=True)
class SecondDerivativeReport:
    """Errors of second derivatives, relative, in the maximum norm.

    Attributes:
        error: That of the whole model and loss; None if refused.
        gradient_error: That of the gradient against the loss.
        resolution: Estimated relative error of the central differences.
        tolerance: The largest error that passes.
        layers: List of `LayerCheck`s, in the order of the calls.
        guilty: Names of the innermost layers that do not pass.
        dtype: The precision that was computed in.
        problem: The refusal of the whole, or empty.
        notes: List of what the reader should know.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.autodiff import check_second_derivatives

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    x, y = np.random.rand(8, 3), np.random.rand(8, 1)
    report = check_second_derivatives(model, x, y, loss="mse")
    report.passed, report.error, report.guilty
    ```
    """

    error: float | None
    gradient_error: float
    resolution: float
    tolerance: float
    layers: list[LayerCheck]
    guilty: list[str]
    dtype: str
    problem: str
    notes: list[str]

    @property
    def passed(self) -> bool:
        """Whether second derivatives of the whole model are exact."""
        return (
            self.error is not None
            and self.resolution <= RESOLVED
            and self.error <= self.tolerance
        )

    def __str__(self) -> str:
        verdict = "exact" if self.passed else "WRONG"
        if self.error is None:
            verdict = "refused"
        elif not self.resolution <= RESOLVED:
            verdict = UNRESOLVED
        lines = [
            f"Second derivatives: {verdict} ({self.dtype})",
            f"  Hessian products   error {_number(self.error)}, tolerance "
            f"{self.tolerance:.0e}, resolution {self.resolution:.0e}",
            f"  gradient           error {_number(self.gradient_error)}",
        ]
        width = max((len(check.name) for check in self.layers), default=0)
        lines += [
            f"  {check.name:<{width}}  {_number(check.error):>8}  "
            f"{'<- ' if check.name in self.guilty else ''}{check.problem}"
            for check in self.layers
        ]
        if self.problem:
            lines.append(f"  {self.problem}")
        if self.guilty:
            lines.append(f"Look at: {', '.join(self.guilty)}")
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(line.rstrip() for line in lines)


def _number(value):
    return "-" if value is None else f"{value:.1e}"
