"""What one activation does to the gradient."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ActivationStatistics:
    """One application of an activation f(z), over a data set.

    A unit is an index of the last axis of z: of a convolution, a channel.
    Gradient norms are those of the loss of a sample, as a root mean square
    over the samples.

    Attributes:
        name: Name of the layer.
        function: Name of f.
        units: Int, their number.
        mean_first: Mean of |f′(z)|.
        mean_second: Mean of |f″(z)|.
        saturated: Share of the values with |f′(z)| < `saturation`.
        dead: Share of the units for which that holds at every sample.
        gradient_norm: ‖∂L/∂f(z)‖, which reaches the activation from above;
            None where the loss is computed from z itself.
        passed_norm: ‖∂L/∂z‖, which it passes on.

    Example:

    ```python
    from keras_curvature.diagnostics import ActivationStatistics

    ActivationStatistics(
        name="dense",
        function="tanh",
        units=8,
        mean_first=0.4,
        mean_second=0.5,
        saturated=0.3,
        dead=0.0,
        gradient_norm=0.2,
        passed_norm=0.05,
    ).passed  # 0.25
    ```
    """

    name: str
    function: str
    units: int
    mean_first: float
    mean_second: float
    saturated: float
    dead: float
    gradient_norm: float | None
    passed_norm: float | None

    @property
    def passed(self) -> float | None:
        """‖∂L/∂z‖ / ‖∂L/∂f(z)‖, None where either is unknown or 0."""
        if self.passed_norm is None or not self.gradient_norm:
            return None
        return self.passed_norm / self.gradient_norm
