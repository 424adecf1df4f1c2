"""The evidence, and the prior precision and noise that maximize it."""

import numpy as np


class Evidence:
    """The distribution of the weights for one prior precision and noise.

    Args:
        fit: `Fit`.
        precision: Array, the prior precision of each variable.
        noise: Float, the standard deviation of targets with normal errors.
    """

    def __init__(self, fit, precision, noise):
        self._fit = fit
        self._noise = noise
        self._prior = np.repeat(precision, fit.sizes)
        scale = fit.likelihood.scale(noise)
        self.normal = fit.structure.at(scale, self._prior)

    def log_marginal_likelihood(self):
        """log p(data | w*) − ½·(w*ᵀ·D·w* + log det P − log det D)."""
        fit = self._fit
        scatter = float(np.sum(self._prior * fit.values**2))
        occam = self.normal.log_determinant - float(np.sum(np.log(self._prior)))
        likelihood = fit.likelihood.log_likelihood(
            fit.loss, fit.count, self._noise
        )
        return likelihood - 0.5 * (scatter + occam)

    def fixed_point(self, groups):
        """MacKay's step towards the maximum of the evidence.

            γ_g = n_g − δ_g·Σ_g diag(P⁻¹),  δ_g = γ_g/‖w_g‖²,
            noise² = Σ r²/(N − Σ γ)

        Args:
            groups: Array, for each variable the number of the group whose
                precision δ it shares.

        Returns:
            Tuple of a prior precision for each variable, and the noise.
        """
        fit = self._fit
        starts = np.cumsum([0, *fit.sizes])[:-1]
        open_ = np.add.reduceat(self._prior * self.normal.variances, starts)
        squares = np.add.reduceat(fit.values**2, starts)
        determined = fit.sizes - open_
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = [
                determined[groups == g].sum() / squares[groups == g].sum()
                for g in groups
            ]
            residuals = 2 * fit.likelihood.factor * fit.loss
            noise = np.sqrt(residuals / (fit.count - determined.sum()))
        if fit.likelihood.classes:
            noise = self._noise
        return np.array(precision), float(noise)


def maximize_evidence(fit, precision, noise, groups, iterations, tolerance):
    """The prior precision and the noise at a maximum of the evidence.

    Args:
        fit: `Fit`.
        precision, noise: As for `Evidence`, where it begins.
        groups: As for `Evidence.fixed_point`.
        iterations: Int, the most.
        tolerance: Float, the relative change at which it ends.

    Returns:
        Tuple `(precision, noise)`.

    Raises:
        ValueError: if a number runs off, as where all weights of a group are
            zero or the data leave no residuals.
    """
    for _ in range(iterations):
        before = np.append(precision, noise)
        precision, noise = Evidence(fit, precision, noise).fixed_point(groups)
        after = np.append(precision, noise)
        if not (np.isfinite(after).all() and (after > 0).all()):
            raise ValueError(
                "The evidence must have a maximum at a finite prior precision "
                f"and noise > 0. Received: precision {precision}, noise "
                f"{noise}. Set `prior_precision` and `noise` by hand."
            )
        if np.all(np.abs(after - before) <= tolerance * before):
            break
    return precision, noise
