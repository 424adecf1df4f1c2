"""What a Laplace posterior holds: data, prior, noise and their evidence."""

import os
from collections.abc import Sequence

import keras

from keras_curvature._checks import checked_number
from keras_curvature.uncertainty._arguments import precision_of
from keras_curvature.uncertainty._evidence import Evidence
from keras_curvature.uncertainty._linearized import Linearized
from keras_curvature.uncertainty._storage import save_fit


class LaplaceState:
    """A `Fit` with a prior precision and a noise that may be set.

    Args:
        model: `keras.Model`.
        structure: String, the name of one of `_posteriors`.
        prior_precision: Float or list, checked when there is a `Fit`.
        noise: Float > 0.
    """

    def __init__(
        self,
        model: keras.Model,
        structure: str,
        prior_precision: float | Sequence[float],
        noise: float,
    ) -> None:
        self.model = model
        self.structure = structure
        self._given_precision = prior_precision
        self._noise = checked_number("noise", noise, above=0)
        self._fit = None

    @property
    def variables(self) -> list[keras.Variable]:
        return self._fitted.variables

    @property
    def prior_precision(self) -> float | list[float] | None:
        return self._fitted and self._precision

    @prior_precision.setter
    def prior_precision(self, value: float | Sequence[float]) -> None:
        self._precision = precision_of(value, self._fitted.variables)
        self._evidence = None

    @property
    def noise(self) -> float:
        return self._noise

    @noise.setter
    def noise(self, value: float | Sequence[float]) -> None:
        self._noise = checked_number("noise", value, above=0)
        self._evidence = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all but the model to an `.npz` file.

        Args:
            path: String or path, beside the `.keras` file of the model.
        """
        settings = {"structure": self.structure, "noise": self._noise}
        save_fit(
            path,
            self._fitted,
            self.model,
            settings,
            prior_precision=self._precision,
        )

    def _take(self, new):
        self._fit = new
        self._linearized = Linearized(self.model, new)
        self.prior_precision = self._given_precision
        # The factorization is part of the fit, so that each prediction is fast.
        self._evidence = Evidence(new, self._precision, self._noise)

    @property
    def _fitted(self):
        """The `Fit`."""
        if self._fit is None:
            raise ValueError(
                "A posterior needs data first. Received: a call before "
                "fit(x, y)."
            )
        return self._fit

    @property
    def _now(self):
        """The `Evidence` for the prior and the noise of now."""
        self._fitted.refuse_moved()
        if self._evidence is None:
            self._evidence = Evidence(self._fit, self._precision, self._noise)
        return self._evidence
