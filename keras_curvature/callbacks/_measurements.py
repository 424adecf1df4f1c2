"""What is measured of the curvature at the weights that a model has."""

import math
from typing import NamedTuple

from keras_curvature.diagnostics import ActivationReport
from keras_curvature.diagnostics.activation_report import ActivationSurvey
from keras_curvature.linalg import (
    SpectralDensity,
    eigenpairs,
    spectral_density,
    trace,
)
from keras_curvature.operators import Hessian


class Measurement(NamedTuple):
    """One measurement.

    Attributes:
        numbers: Dict from names to floats.
        report: `ActivationReport`, or None.
        density: `SpectralDensity`, or None.
    """

    numbers: dict
    report: ActivationReport | None
    density: SpectralDensity | None


class Measurements:
    """Measures a model, whose products are compiled once.

    Args:
        model: `keras.Model`.
        data: Tuple `(x, y, sample_weight)`.
        options: Dict of options of `Hessian`.
        probes: Int, vectors for the trace; 0 for none.
        activations: Bool, whether to report on activations.
        density_steps: Int, Lanczos steps of the density; 0 for none.
        tolerance: Float, of the residual of the largest eigenvalue.
        seed: Int.
    """

    def __init__(
        self,
        model,
        data,
        options,
        *,
        probes,
        activations,
        density_steps,
        tolerance,
        seed,
    ):
        self._hessian = Hessian(model, *data, **options)
        self._variables = list(model.trainable_variables)
        self._model = model
        self._probes = probes
        self._density_steps = density_steps
        self._tolerance = tolerance
        self._seed = seed
        self._activations = None
        if activations:
            self._activations = ActivationSurvey(
                model, *data, saturation=0.05, **options
            )

    def fits(self, model):
        """Whether a model has the weights that are measured here."""
        ours = [id(v) for v in self._variables]
        theirs = [id(v) for v in model.trainable_variables]
        return model is self._model and ours == theirs

    def take(self):
        """The `Measurement` now.

        Raises:
            ValueError: if the loss or a product is not finite.
        """
        hessian, seed = self._hessian, self._seed
        loss = hessian.loss
        if not math.isfinite(loss):
            raise ValueError(f"the loss on the data of the monitor is {loss}.")
        largest = eigenpairs(hessian, tolerance=self._tolerance, seed=seed)
        numbers = {"sharpness": float(largest.values[0])}
        if self._probes:
            estimate = trace(hessian, probes=self._probes, seed=seed)
            numbers["hessian_trace"] = estimate.value
            numbers["hessian_trace_error"] = estimate.standard_error
        report = density = None
        if self._activations is not None:
            report = self._activations.report()
            numbers |= _numbers_of(report)
        if self._density_steps:
            density = spectral_density(
                hessian, steps=self._density_steps, runs=4, seed=seed
            )
        return Measurement(numbers, report, density)


def _numbers_of(report):
    """Dict from names to what a report says of single activations."""
    numbers = {}
    for a in report.activations:
        found = {
            "saturated": a.saturated,
            "dead": a.dead,
            "gradient_norm": a.passed_norm,
            "gradient_passed": a.passed,
        }
        # What is not known is no number.
        numbers |= {
            f"{a.name}/{key}": value
            for key, value in found.items()
            if value is not None
        }
    return numbers
