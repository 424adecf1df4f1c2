"""Laplace posteriors whose prior and noise are chosen by data."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from keras_curvature._checks import (
    checked_flag,
    checked_integer,
    checked_number,
)
from keras_curvature._typing import Data
from keras_curvature.uncertainty._arguments import groups_of
from keras_curvature.uncertainty._evidence import maximize_evidence
from keras_curvature.uncertainty._laplace_state import LaplaceState
from keras_curvature.uncertainty._validation import best_precision
from keras_curvature.uncertainty.calibration import negative_log_likelihood

_PRECISIONS = tuple(np.logspace(-4, 4, 17))


class TunableLaplace(LaplaceState):
    """Chooses a prior precision and a noise: by the evidence, or other data."""

    def tune(
        self,
        *,
        per_layer: bool = False,
        max_iterations: int = 200,
        tolerance: float = 1e-4,
    ) -> float:
        """Sets prior precision and noise by maximizing the evidence.

        By MacKay's fixed point: δ = γ/‖w‖² and noise² = Σr²/(N − Σγ), with
        the numbers γ of weights that the data determine.

        Args:
            per_layer: Bool, one precision for each layer instead of one for
                all. Defaults to `False`.
            max_iterations: Int. Defaults to 200.
            tolerance: Float, the relative change at which it ends. Defaults
                to 1e-4.

        Returns:
            The log marginal likelihood that was reached.
        """
        self.prior_precision, self.noise = maximize_evidence(
            self._fitted,
            self._precision,
            self._noise,
            groups_of(self.variables, per_layer),
            checked_integer("max_iterations", max_iterations, 1),
            checked_number("tolerance", tolerance, above=0),
        )
        return self.log_marginal_likelihood()

    def tune_by_validation(
        self,
        x: Data,
        y: ArrayLike,
        *,
        per_layer: bool = False,
        precisions: Iterable[float] = _PRECISIONS,
        link: Literal["probit", "monte_carlo", "bridge"] = "probit",
    ) -> float:
        """Sets the prior precision that predicts other data best.

        The least `negative_log_likelihood` of the predictions over a grid;
        with `per_layer`, of one layer after the other from the best for all.
        The noise stays as it is.

        Args:
            x: Inputs that the model was not trained on: array, list or dict
                of arrays.
            y: Their targets, an array; for classes, their numbers.
            per_layer: Bool, one precision for each layer instead of one for
                all. Defaults to `False`.
            precisions: List of floats > 0, the grid. Defaults to 17 from 10⁻⁴
                to 10⁴.
            link: As for `predict`. Defaults to `"probit"`.

        Returns:
            The negative log-likelihood of a sample that was reached.
        """
        checked_flag("per_layer", per_layer)

        def score(precision):
            self.prior_precision = list(precision)
            return negative_log_likelihood(self.predict(x, link=link), y)

        best, reached = best_precision(
            score,
            [checked_number("precisions", p, above=0) for p in precisions],
            groups_of(self.variables, per_layer),
        )
        self.prior_precision = list(best)
        return reached
