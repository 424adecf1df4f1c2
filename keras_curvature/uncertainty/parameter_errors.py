"""Errors of fitted weights, and of what the model predicts with them."""

import dataclasses

import keras
import numpy as np
from numpy.typing import ArrayLike

from keras_curvature._checks import checked_number
from keras_curvature._typing import Data, Layers
from keras_curvature.autodiff.variables import checksum
from keras_curvature.operators.jacobian import Jacobian
from keras_curvature.uncertainty._parts import in_parts
from keras_curvature.uncertainty._quantiles import (
    normal_quantile,
    student_quantile,
)

# Inputs whose Jacobians are held at once.
_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True)
class ParameterErrors:
    """What `parameter_covariance` found; `print` shows a table.

    Attributes:
        names: List of n strings, one for each fitted number.
        estimates: Array of shape `(n,)`, the weights of the model.
        root: Array of shape `(n, rank)`, L with covariance = L·Lᵀ.
        degrees_of_freedom: Int, targets with a weight less the rank.
        residual_standard_error: Float, s = √(Σ wᵢ·rᵢ² / degrees of freedom),
            in the units of the targets; None for several losses.
        absolute_errors: Bool, whether 1/wᵢ are the variances of the targets.
        undetermined: Tuple of strings, the directions the data do not see.
        is_undetermined: Array of shape `(n,)`, which weights such a direction
            moves: the data leave them open.
        at_bound: Array of shape `(n,)`, which weights lie at a bound and have
            no error.
        model: The fitted model.
        layers: Which of its layers were fitted, or None.
        checksum: Int, of all weights of the model at the fit.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_curvature
    from keras_curvature.uncertainty import parameter_covariance

    model = keras_curvature.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, name="line")]
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "mse")
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 50)[:, None]
    y = 2 * x + 1 + 0.1 * rng.normal(size=x.shape)
    keras_curvature.solve(model, x, y, verbose=0)
    errors = parameter_covariance(model, x, y)
    errors.correlations[0, 1]  # -0.86
    errors.confidence_intervals(0.95)  # of shape (2, 2)
    low, high = errors.prediction_band(x)  # for new observations
    ```
    """

    names: list[str]
    estimates: np.ndarray
    root: np.ndarray = dataclasses.field(repr=False)
    degrees_of_freedom: int
    residual_standard_error: float | None
    absolute_errors: bool
    undetermined: tuple[str, ...]
    is_undetermined: np.ndarray = dataclasses.field(repr=False)
    at_bound: np.ndarray = dataclasses.field(repr=False)
    model: keras.Model = dataclasses.field(repr=False)
    layers: Layers | None
    checksum: int = dataclasses.field(repr=False)

    @property
    def covariance(self) -> np.ndarray:
        """Array of shape `(n, n)`, of the directions that the data see."""
        return self.root @ self.root.T

    @property
    def standard_errors(self) -> np.ndarray:
        """Array of shape `(n,)`: 0 at a bound, infinite where undetermined."""
        seen = np.linalg.norm(self.root, axis=1)
        return np.where(self.is_undetermined, np.inf, seen)

    @property
    def correlations(self) -> np.ndarray:
        """Array of shape `(n, n)`; NaN where an error is 0 or infinite."""
        errors = self.standard_errors
        lengths = np.where(np.isfinite(errors), errors, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            rows = self.root / lengths[:, np.newaxis]
        return rows @ rows.T

    def confidence_intervals(self, level: float = 0.95) -> np.ndarray:
        """Where each weight lies, of shape `(n, 2)`: lower and upper ends.

        By Student's t distribution, or the normal one with absolute errors.

        Args:
            level: Float between 0 and 1, how often such an interval holds the
                true value. Defaults to 0.95.

        Raises:
            ImportError: if SciPy, which has the distributions, is missing.
        """
        reach = self._quantile(level) * self.standard_errors
        return np.stack([self.estimates - reach, self.estimates + reach], 1)

    def confidence_band(
        self, x: Data, level: float = 0.95
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the curve lies: for each output, of the mean of observations.

        Args:
            x: Inputs: array, list or dict of arrays.
            level: As for `confidence_intervals`, for each point alone.

        Returns:
            Tuple of the lower and upper ends, arrays in the shape of the
            outputs.

        Raises:
            ValueError: if the model has other weights than at the fit.
            ImportError: if SciPy is missing.
        """
        mean, variance = self._predicted(x)
        reach = self._quantile(level) * np.sqrt(variance)
        return mean - reach, mean + reach

    def prediction_band(
        self,
        x: Data,
        level: float = 0.95,
        sample_weight: ArrayLike | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where a new observation lies: the curve's error and its own.

        Args:
            x: Inputs: array, list or dict of arrays.
            level: As for `confidence_intervals`, for each point alone.
            sample_weight: w of the new observations, whose variance is s²/w,
                or 1/w with absolute errors. Defaults to 1 for all.

        Returns:
            Tuple of the lower and upper ends, arrays in the shape of the
            outputs.

        Raises:
            ValueError: if the model has other weights than at the fit, or
                several losses.
            ImportError: if SciPy is missing.
        """
        if self.residual_standard_error is None:
            raise ValueError(
                "A prediction band needs a model with one loss, whose noise "
                "is known. Received: several losses. Use confidence_band()."
            )
        mean, variance = self._predicted(x)
        noise = 1.0 if self.absolute_errors else self.residual_standard_error
        weight = np.asarray(1.0 if sample_weight is None else sample_weight)
        if weight.shape not in ((), (len(mean),)) or not np.all(weight > 0):
            raise ValueError(
                "`sample_weight` must be one number > 0, or one for each of "
                f"the {len(mean)} samples. Received: {weight}."
            )
        weight = np.reshape(
            weight, np.shape(weight) + (1,) * (mean.ndim - np.ndim(weight))
        )
        reach = self._quantile(level) * np.sqrt(variance + noise**2 / weight)
        return mean - reach, mean + reach

    def _predicted(self, x):
        """Outputs and the variances that the weights give them."""
        means, variances = [], []
        for part in in_parts(x, _AT_ONCE):
            jacobian = Jacobian(self.model, part, layers=self.layers)
            self._refuse_moved(jacobian)
            mean = self.model(part, training=False)
            if keras.tree.is_nested(mean):
                raise ValueError(
                    "Bands need a model with one output tensor. Received: "
                    f"{len(keras.tree.flatten(mean))} of them."
                )
            means.append(np.asarray(mean, float))
            roots = np.asarray(jacobian @ self.root, float)
            variances.append(np.sum(roots**2, 1).reshape(means[-1].shape))
        return np.concatenate(means), np.concatenate(variances)

    def _refuse_moved(self, jacobian):
        now = [np.asarray(v.value, float).ravel() for v in jacobian.variables]
        is_same = np.array_equal(np.concatenate(now), self.estimates)
        if not is_same or checksum(self.model) != self.checksum:
            raise ValueError(
                "The model must have the weights it was fitted with. "
                "Received: a model trained on. Call parameter_covariance() "
                "again."
            )

    def _quantile(self, level):
        level = checked_number("level", level, above=0, below=1)
        upper = 0.5 + level / 2
        if self.absolute_errors:
            return normal_quantile(upper)
        return student_quantile(upper, self.degrees_of_freedom)

    def __str__(self) -> str:
        rows = [("", "estimate", "standard error", "relative")]
        for name, value, error, held in zip(
            self.names,
            self.estimates,
            self.standard_errors,
            self.at_bound,
            strict=True,
        ):
            if held or np.isinf(error):
                words = "at a bound" if held else "not determined"
                rows.append((name, f"{value:.8g}", words, "-"))
                continue
            share = f"{abs(error / value):.1e}" if value else "-"
            digits = _digits(value, error)
            rows.append((name, f"{value:.{digits}g}", f"{error:.3g}", share))
        widths = [max(len(row[k]) for row in rows) for k in range(4)]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0])]
                + [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
            )
            for row in rows
        ]
        if self.residual_standard_error is not None:
            lines.append(
                f"residual standard error {self.residual_standard_error:.4g} "
                f"with {self.degrees_of_freedom} degrees of freedom"
            )
        lines += [f"not determined: {words}" for words in self.undetermined]
        return "\n".join(line.rstrip() for line in lines)


def _digits(value, error):
    """The digits of an estimate down to the third of its error."""
    if not value or not 0 < error < np.inf:
        return 8
    return int(np.clip(np.ceil(np.log10(abs(value / error))) + 3, 3, 17))
