"""All that a page says of the curvature of a model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import keras

from keras_curvature._checks import checked_integer
from keras_curvature._typing import Array, Data, Layers, Loss
from keras_curvature.diagnostics import (
    ActivationReport,
    CurvatureSplit,
    LossLandscape,
)
from keras_curvature.linalg import Eigenpairs, SpectralDensity, TraceEstimate
from keras_curvature.report._measuring import Measuring
from keras_curvature.report._page import page
from keras_curvature.report._progress import Progress, Silence
from keras_curvature.report._writing import write_whole
from keras_curvature.uncertainty import Reliability


@dataclasses.dataclass(frozen=True)
class CurvatureReport:
    """What was measured of a model: see `curvature_report`.

    What could not be measured is None, and `missing` says why.

    Attributes:
        model: String, the name of the model.
        parameters: Int, all its weights.
        weights: Int, those whose curvature was measured, n.
        layers: The patterns that chose them, or None.
        samples: Int, samples in the data.
        loss: Float.
        loss_name: String.
        gradient_norm: Float, ‖∂L/∂w‖ over these weights.
        optimizer: String, its class, or None where the model has none.
        learning_rate: Float, what it is now, or None where there is none.
        largest: `linalg.Eigenpairs`, up to ten at the upper end.
        smallest: `linalg.Eigenpairs`, up to two at the lower end.
        trace: `linalg.TraceEstimate`.
        density: `linalg.SpectralDensity`.
        split: `diagnostics.CurvatureSplit`.
        activations: `diagnostics.ActivationReport`.
        landscape: `diagnostics.LossLandscape` along the eigenvector of the
            largest eigenvalue.
        slope: Float, the derivative of the loss in that direction.
        reliability: `uncertainty.Reliability` for classifiers, else None.
        accuracy: Float, share of samples that are classified rightly, or None.
        missing: Dict from the names of fields to reasons.
        notes: List of sentences, warnings of the measurements.
        products: Int, products of the Hessian with vectors.
        seconds: Float, how long it took.
        seed: Int.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.report import curvature_report

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    x = np.random.default_rng(0).normal(size=(20, 2))
    report = curvature_report(model, x, x[:, :1])
    report.sharpness < report.stability_limit
    ```
    """

    model: str
    parameters: int
    weights: int
    layers: tuple[str, ...] | None
    samples: int
    loss: float
    loss_name: str
    gradient_norm: float
    optimizer: str | None
    learning_rate: float | None
    largest: Eigenpairs
    smallest: Eigenpairs
    trace: TraceEstimate
    density: SpectralDensity | None
    split: CurvatureSplit | None
    activations: ActivationReport | None
    landscape: LossLandscape | None
    slope: float
    reliability: Reliability | None
    accuracy: float | None
    missing: dict[str, str]
    notes: list[str]
    products: int
    seconds: float
    seed: int

    @property
    def sharpness(self) -> float:
        """The largest eigenvalue."""
        return float(self.largest.values[0])

    @property
    def stability_limit(self) -> float | None:
        """2 / learning rate, None without one or where it is 0."""
        return 2 / self.learning_rate if self.learning_rate else None

    def to_html(self, source: Sequence[tuple[str, str]] = ()) -> str:
        """The page, a string that needs no other file and no script.

        Args:
            source: Pairs of strings, a name and a text, such as the files
                that the model and the data come from. Defaults to none.

        Raises:
            ImportError: without matplotlib.
        """
        return page(self, source)

    def save(
        self,
        path: str | os.PathLike[str],
        source: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Writes the page, whole or not at all.

        Args:
            path: Path of the file. One that exists is replaced.
            source: As for `to_html`.
        """
        write_whole(path, self.to_html(source))


def curvature_report(
    model: keras.Model,
    x: Data,
    y: Data | None = None,
    sample_weight: Array | None = None,
    *,
    loss: Loss | None = None,
    layers: Layers | None = None,
    batch_size: int = 256,
    seed: int = 0,
    verbose: int = 0,
) -> CurvatureReport:
    """Measures the curvature of a trained model, for a page.

    The largest and smallest eigenvalues of the Hessian, its trace and the
    density of its eigenvalues, the parts that the activations have in it, what
    they do to the gradient, and the loss along the steepest direction; for
    classifiers also how well their confidence is calibrated.

    All of it takes up to about 2,000 products with vectors, each of which
    costs two to three gradients over the data. For big models choose `layers`
    or fewer samples. Vectors of at most 1 GiB are kept, beside what a gradient
    of one batch needs.

    Args:
        model: `keras.Model`, compiled with a loss or not.
        x: Inputs: array, list or dict of arrays, `tf.data.Dataset` of batches,
            or `keras.utils.PyDataset`.
        y: Targets; None for data sets, which yield them. Defaults to `None`.
        sample_weight: Array, or None. Defaults to `None`.
        loss: As in `compile`. Defaults to the loss the model is compiled with.
        layers: Names of layers or patterns such as `"dense*"`, a string or a
            list, whose weights are meant. Defaults to all.
        batch_size: Int, samples of a batch of arrays. Defaults to 256.
        seed: Int ≥ 0 of the random vectors. Defaults to 0.
        verbose: 0, or 1 for a line for each measurement on the standard error.
            Defaults to 0.

    Returns:
        `CurvatureReport`, which saves itself as a page.

    Raises:
        ValueError: as `operators.Hessian`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.report import curvature_report

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(20, 2))
    report = curvature_report(model, x, x[:, :1], loss="mse")
    report.save("report.html")
    ```

    References:
        Ghorbani, Krishnan, Xiao, 2019, "An investigation into neural net
        optimization via Hessian eigenvalue density", arXiv 1901.10159.
        Cohen, Kaur, Li, Kolter, Talwalkar, 2021, "Gradient descent on neural
        networks typically occurs at the edge of stability", arXiv 2103.00065.
    """
    checked_integer("seed", seed, minimum=0)
    measuring = Measuring(
        model,
        (x, y, sample_weight),
        {"loss": loss, "batch_size": batch_size},
        layers=layers,
        seed=seed,
        progress=Progress() if verbose else Silence(),
    )
    return CurvatureReport(**measuring.take())
