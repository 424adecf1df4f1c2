"""Prior precision and noise that make the data most likely."""

import numpy as np


def maximize_evidence(posterior, groups, max_iterations, tolerance):
    """Sets prior precision and noise of a `Laplace` by MacKay's fixed point.

        γ_g = n_g − δ_g·Σ_g diag(P⁻¹),  δ_g = γ_g/‖w_g‖²,
        noise² = Σ r² / (N − Σ γ)

    Args:
        posterior: `Laplace` after `fit`.
        groups: Array, for each variable the number of the group whose
            precision δ it shares.
        max_iterations: Int.
        tolerance: Float, the relative change at which it ends.

    Returns:
        The log marginal likelihood.

    Raises:
        ValueError: if a number runs off, as where all weights of a group are
            zero or the data leave no residuals.
    """
    for _ in range(max_iterations):
        before = np.append(posterior.prior_precision, posterior.noise)
        precision, noise = posterior.fixed_point(groups)
        if not np.isfinite(np.append(precision, noise)).all() or noise <= 0:
            raise ValueError(
                "The evidence must have a maximum at a finite prior precision "
                f"and noise. Received: precision {precision}, noise {noise}. "
                "Set `prior_precision` and `noise` by hand."
            )
        posterior.prior_precision, posterior.noise = list(precision), noise
        after = np.append(precision, noise)
        if np.all(np.abs(after - before) <= tolerance * before):
            break
    return posterior.log_marginal_likelihood()
