"""What the activations of a model do to its gradient."""

from __future__ import annotations

import dataclasses
import math
from typing import cast

import keras
import numpy as np

from keras_curvature._checks import checked_number
from keras_curvature._typing import Array, Data, Loss, LossWeights
from keras_curvature.diagnostics._activation_sums import SumsOfBatch
from keras_curvature.diagnostics._activations import activation_sites
from keras_curvature.diagnostics._notes import notes_on, refuse_without_sites
from keras_curvature.diagnostics._table import table
from keras_curvature.diagnostics.activation_statistics import (
    ActivationStatistics,
)
from keras_curvature.operators.data_pass import DataPass


@dataclasses.dataclass(frozen=True)
class ActivationReport:
    """Who kills the gradient, and where: see `activation_report`.

    Attributes:
        activations: List of `ActivationStatistics`, in the order of the calls.
        saturation: Float, the bound of |f′| that counted as saturated.
        samples: Int, samples in the data.
        notes: List of sentences on activations that were left out.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import activation_report

    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, "tanh", name="hidden")]
    )
    x = np.ones((5, 2))
    report = activation_report(model, x, np.zeros((5, 3)), loss="mse")
    report["hidden"].passed
    ```
    """

    activations: list[ActivationStatistics]
    saturation: float
    samples: int
    notes: list[str]

    def __getitem__(self, name: str) -> ActivationStatistics:
        """The `ActivationStatistics` with that name."""
        for activation in self.activations:
            if activation.name == name:
                return activation
        names = [activation.name for activation in self.activations]
        raise KeyError(f"{name!r} is none of {', '.join(names)}.")

    @property
    def narrowest(self) -> ActivationStatistics | None:
        """The one that passes the smallest share of the gradient, or None."""
        known = [a for a in self.activations if a.passed is not None]
        return (
            min(known, key=lambda a: cast(float, a.passed)) if known else None
        )

    def __str__(self) -> str:
        header = [
            *("activation", "f", "units", "mean |f′|", "mean |f″|"),
            *("saturated", "dead", "gradient", "passed on", "share"),
        ]
        rows = [
            (
                a.name,
                a.function,
                str(a.units),
                f"{a.mean_first:.3g}",
                f"{a.mean_second:.3g}",
                f"{a.saturated:.1%}",
                f"{a.dead:.1%}",
                _number(a.gradient_norm),
                _number(a.passed_norm),
                _number(a.passed) + (" <-" if a is self.narrowest else "   "),
            )
            for a in self.activations
        ]
        lines = [table(header, rows)]
        if self.narrowest is not None:
            a = self.narrowest
            lines.append(
                f"The least of the gradient passes {a.name}: {a.passed:.1%}."
            )
        return "\n".join(lines + [f"Note: {note}" for note in self.notes])


def activation_report(
    model: keras.Model,
    x: Data,
    y: Data | None = None,
    sample_weight: Array | None = None,
    *,
    saturation: float = 0.05,
    loss: Loss | None = None,
    loss_weights: LossWeights | None = None,
    training: bool = False,
    batch_size: int = 256,
    verbose: int = 0,
) -> ActivationReport:
    """Slope, bend and saturation of each activation of a model.

        ∂L/∂z = f′(z) · ∂L/∂f(z)

    The gradient of the loss comes to an activation from above, and f′ says
    what of it goes on below. f′ and f″ are exact, by automatic
    differentiation. Looked at are elementwise functions in layers: layers of
    `keras_curvature.layers`, Keras's `Activation`, `ReLU`, `LeakyReLU` and
    `ELU`, and the argument `activation` of Dense, convolutions and the like,
    in models of any kind. What is applied otherwise, such as `tf.tanh` in the
    `call` of a model, is named in the notes.

    Args:
        model: `keras.Model`, compiled with a loss or not.
        x: Inputs: array, list or dict of arrays, `tf.data.Dataset` of batches,
            or `keras.utils.PyDataset`.
        y: Targets; None for data sets, which yield them. Defaults to `None`.
        sample_weight: Array, or None. Defaults to `None`.
        saturation: Float ≥ 0: a value with |f′(z)| below it is saturated.
            Defaults to 0.05.
        loss: As in `compile`. Defaults to the loss the model is compiled with.
        loss_weights: As in `compile`, for a given `loss`. Defaults to `None`.
        training: Bool, the mode in which the model is called. Defaults to
            `False`.
        batch_size: Int, samples of a batch of arrays. Defaults to 256.
        verbose: 0, or 1 for a bar of progress. Defaults to 0.

    Returns:
        `ActivationReport`, which prints as a table.

    Raises:
        ValueError: if the model applies no elementwise function in a layer,
            if a value is not finite, and as for `operators.Hessian`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.diagnostics import activation_report

    layers = [keras.layers.Dense(8, "sigmoid") for _ in range(4)]
    model = keras.Sequential(
        [keras.Input((3,)), *layers, keras.layers.Dense(1)]
    )
    x = np.random.default_rng(0).normal(size=(50, 3))
    print(activation_report(model, x, x[:, :1], loss="mse"))
    ```

    References:
        Glorot, Bengio, 2010, "Understanding the difficulty of training deep
        feedforward neural networks".
    """
    return ActivationSurvey(
        model,
        x,
        y,
        sample_weight,
        saturation=saturation,
        loss=loss,
        loss_weights=loss_weights,
        training=training,
        batch_size=batch_size,
        verbose=verbose,
    ).report()


class ActivationSurvey:
    """Reports on a model again and again, whose passes are compiled once.

    Args: as for `activation_report`.
    """

    def __init__(
        self, model, x, y=None, sample_weight=None, *, saturation, **options
    ):
        self._saturation = checked_number("saturation", saturation, minimum=0)
        self._data = DataPass(model, x, y, sample_weight, **options)
        self._model = model
        self._sites, self._left_out = activation_sites(model)
        self._sums_of_batch = SumsOfBatch(
            self._data.model_loss, self._sites, self._saturation
        )

    def report(self):
        """The `ActivationReport` at the weights that the model has now."""
        of_batch = self._sums_of_batch
        sums = of_batch.results(self._data.sum(of_batch))
        refuse_without_sites(self._model, sums, self._left_out, of_batch)
        samples = self._data.samples
        return ActivationReport(
            activations=[_statistics(s, samples) for s in sums],
            saturation=self._saturation,
            samples=samples,
            notes=notes_on(self._left_out, of_batch),
        )


def _statistics(sums, samples):
    def norm(squares):
        # ∂L/∂z of a sample is 1/N of that of its own loss, in a mean.
        return None if squares is None else math.sqrt(samples * squares)

    result = ActivationStatistics(
        name=sums.name,
        function=sums.label,
        units=len(sums.units),
        mean_first=sums.first / sums.entries,
        mean_second=sums.second / sums.entries,
        saturated=1 - float(sums.units.sum()) / sums.entries,
        dead=float(np.mean(sums.units == 0)),
        gradient_norm=norm(sums.after),
        passed_norm=norm(sums.before),
    )
    for value in (result.mean_first, result.mean_second, result.passed_norm):
        if value is not None and not math.isfinite(value):
            raise ValueError(
                "Derivatives of activations must be finite. Received: "
                f"{value} in {result.name}. Look at the data and the weights "
                "for NaN, infinite and huge numbers."
            )
    return result


def _number(value):
    return "-" if value is None else f"{value:.3g}"
