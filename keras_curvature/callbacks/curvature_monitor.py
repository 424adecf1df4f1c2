"""The curvature of a model along its training."""

import math
import os
import warnings
from typing import Any

import keras

from keras_curvature._checks import (
    checked_flag,
    checked_integer,
    checked_number,
)
from keras_curvature._typing import Array, Data
from keras_curvature.callbacks._measurements import Measurement, Measurements
from keras_curvature.callbacks._tensorboard import CurvatureWriter
from keras_curvature.diagnostics.activation_report import ActivationReport
from keras_curvature.linalg.spectral_density import SpectralDensity
from keras_curvature.optimizers.solver import Solver


class CurvatureMonitor(keras.callbacks.Callback):
    """Measures the curvature of the loss along a training.

    - `sharpness`: λ, the largest eigenvalue of the Hessian of the loss on the
      data given here. Beside it `two_over_learning_rate`: gradient descent
      with learning rate η grows along an eigenvector with λ > 2/η. With
      `momentum=β` the limit is (1 + β)·2/η.
    - `hessian_trace` with its standard error `hessian_trace_error`.
    - with `activations=True`, for the activation of each layer:
      `NAME/saturated`, `NAME/dead`, `NAME/gradient_norm` (which it passes on)
      and `NAME/gradient_passed` (the share): see
      `diagnostics.activation_report`.

    The numbers go into the logs of the epochs in which they are measured, and
    so into `History` and the callbacks that follow in the list; into
    TensorBoard, if there is a `log_dir`; and into `history`, with the steps
    they belong to, from the weights before the first step on.

    The training stays as it is, bit by bit: no weights, states or random
    numbers of the model change. Its loss is computed without dropout unless
    `training=True`, which refuses random layers.

    Args:
        x: Inputs, as for `operators.Hessian`: some hundred samples suffice for
            the largest eigenvalue.
        y: Targets; None for data sets, which yield them. Defaults to `None`.
        sample_weight: Array, or None. Defaults to `None`.
        every_epochs: Int ≥ 1, epochs between measurements. Defaults to 1
            unless `every_steps` is given.
        every_steps: Int ≥ 1, steps between measurements in place of epochs.
            With `steps_per_execution` the next that ends an execution.
            Defaults to `None`.
        probes: Int ≥ 2, products for the trace; 0 for no trace. Defaults to
            20.
        activations: Bool, whether to report on activations. Defaults to
            `False`.
        density_steps: Int ≥ 1, Lanczos steps of the spectral density, of which
            four runs are taken; 0 for no density. Defaults to 0.
        tolerance: Float > 0, of the residual of the largest eigenvalue
            relative to the norm of the Hessian. Defaults to 1e-3.
        log_dir: Path of a folder for TensorBoard, or None. Densities are
            written as images if matplotlib is installed. Defaults to `None`.
        seed: Int ≥ 0 of the vectors. Defaults to 0.
        **options: `loss`, `loss_weights`, `training` and `batch_size`, as for
            `operators.Hessian`.

    Attributes:
        history: Dict from `"step"` and the names above to lists. Steps are
            those of the optimizer.
        reports: List of `diagnostics.ActivationReport`s, as long as those.
        densities: List of `linalg.SpectralDensity`s, as long as those.

    Raises:
        ValueError: at the begin of `fit`, for what `operators.Hessian`
            refuses. When a loss or a product is not finite later, all numbers
            are NaN, with a warning.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.callbacks import CurvatureMonitor

    x = np.linspace(-1, 1, 32)[:, None]
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(8, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    monitor = CurvatureMonitor(x, np.sin(3 * x), activations=True)
    model.fit(x, np.sin(3 * x), epochs=3, callbacks=[monitor], verbose=0)
    model.history.history["sharpness"], monitor.history["step"]
    print(monitor.reports[-1])
    ```

    References:
        Cohen, Kaur, Li, Kolter, Talwalkar, 2021, "Gradient descent on neural
        networks typically occurs at the edge of stability", arXiv 2103.00065.
    """

    def __init__(
        self,
        x: Data,
        y: Data | None = None,
        sample_weight: Array | None = None,
        *,
        every_epochs: int | None = None,
        every_steps: int | None = None,
        probes: int = 20,
        activations: bool = False,
        density_steps: int = 0,
        tolerance: float = 1e-3,
        log_dir: str | os.PathLike[str] | None = None,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        self._every_epochs, self._every_steps = _schedule(
            every_epochs, every_steps
        )
        if probes != 0:
            checked_integer("probes", probes, minimum=2)
        self._data = (x, y, sample_weight)
        self._options = _checked_options(options)
        self._wanted = {
            "probes": probes,
            "activations": checked_flag("activations", activations),
            "density_steps": checked_integer(
                "density_steps", density_steps, minimum=0
            ),
            "tolerance": checked_number("tolerance", tolerance, above=0),
            "seed": checked_integer("seed", seed, minimum=0),
        }
        self._log_dir = log_dir
        self._writer: CurvatureWriter | None = None
        self._measurements: Measurements | None = None
        self._names: list[str] = []
        self._epoch_numbers: dict[str, float] = {}
        self.history: dict[str, list[float]] = {"step": []}
        self.reports: list[ActivationReport] = []
        self.densities: list[SpectralDensity] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._measurements is None or not self._measurements.fits(
            self.model
        ):
            self._measurements = Measurements(
                self.model, self._data, self._options, **self._wanted
            )
        if self._log_dir is not None:
            self._writer = CurvatureWriter(self._log_dir)
        if not self.history["step"] or self.history["step"][-1] != self._step:
            # What is refused is to be heard of before the first step.
            self._record(self._measurements.take())

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        self._epoch_numbers = {}

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._every_steps is None:
            return
        if self._step - self.history["step"][-1] >= self._every_steps:
            self._measure()

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._every_epochs and (epoch + 1) % self._every_epochs == 0:
            self._measure()
        if logs is not None:
            logs.update(self._epoch_numbers)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._writer is not None:
            self._writer.close()

    @property
    def _step(self):
        return int(self.model.optimizer.iterations)

    def _measure(self):
        try:
            measurement = self._measurements.take()
        except ValueError as error:
            warnings.warn(
                f"CurvatureMonitor could not measure: {error}", stacklevel=2
            )
            nothing = dict.fromkeys(self._names, math.nan)
            measurement = Measurement(nothing, None, None)
        self._record(measurement)

    def _record(self, measurement):
        numbers = measurement.numbers
        optimizer = self.model.optimizer
        if not isinstance(optimizer, Solver):
            rate = float(optimizer.learning_rate)
            numbers["two_over_learning_rate"] = 2 / rate if rate else math.inf
        self._names = list(numbers)
        self._epoch_numbers = dict(numbers)
        self.history["step"].append(self._step)
        for name, value in numbers.items():
            self.history.setdefault(name, []).append(value)
        self.reports.append(measurement.report)
        self.densities.append(measurement.density)
        if self._writer is not None:
            self._writer.write(self._step, measurement)


def _schedule(every_epochs, every_steps):
    """Epochs and steps between measurements, one of them None."""
    if every_steps is None:
        epochs = 1 if every_epochs is None else every_epochs
        return checked_integer("every_epochs", epochs, minimum=1), None
    if every_epochs is not None:
        raise ValueError(
            "`every_epochs` must be None where `every_steps` is given. "
            f"Received: every_epochs={every_epochs!r} and "
            f"every_steps={every_steps!r}."
        )
    return None, checked_integer("every_steps", every_steps, minimum=1)


def _checked_options(options):
    known = ("loss", "loss_weights", "training", "batch_size")
    for name in options:
        if name not in known:
            raise TypeError(
                f"Options of CurvatureMonitor must be among {', '.join(known)}"
                f" and its own. Received: {name}."
            )
    return options
