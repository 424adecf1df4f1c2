"""Probabilities of classes from normally distributed logits."""

import numpy as np


def probit(mean, covariance, samples, rng, classes):
    """With each logit divided by √(1 + π/8·variance).

    Spiegelhalter, Lauritzen 1990; MacKay 1992; for several classes, Gibbs
    1997, which leaves correlations out.
    """
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    return _to_probabilities(mean / np.sqrt(1 + np.pi / 8 * variance), classes)


def monte_carlo(mean, covariance, samples, rng, classes):
    """The mean of the probabilities of sampled logits."""
    values, vectors = np.linalg.eigh(covariance)
    roots = vectors * np.sqrt(np.maximum(values, 0))[:, np.newaxis]
    total = np.zeros_like(mean)
    for _ in range(samples):
        normals = rng.normal(size=(*mean.shape, 1))
        logits = mean + (roots @ normals)[..., 0]
        total += _to_probabilities(logits, classes)
    return total / samples


def laplace_bridge(mean, covariance, samples, rng, classes):
    """The mean of the Dirichlet distribution that the bridge leads to.

        αₖ = (1 − 2/K + exp(μₖ)/K²·Σ exp(−μₗ)) / Σₖₖ

    for logits that add up to zero. Hobbhahn, Kristiadi, Hennig 2022, "Fast
    predictive uncertainty for classification with Bayesian deep networks".
    """
    if not classes:
        raise ValueError(
            "link='bridge' is for several classes that exclude each other. "
            "Received: a model with binary_crossentropy. Use 'probit'."
        )
    count = mean.shape[1]
    sums = covariance.sum(-1)
    total = sums.sum(-1, keepdims=True)
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    # Logits that add up to zero by themselves have no variance to take away.
    is_free = total > 1e-9 * variance.sum(-1, keepdims=True)
    total = np.where(is_free, total, 1.0)
    sums = np.where(is_free, sums, 0.0)
    mean = mean - sums * mean.sum(-1, keepdims=True) / total
    variance = variance - sums**2 / total
    spread = np.exp(-mean).sum(-1, keepdims=True) / count**2
    alpha = (1 - 2 / count + np.exp(mean) * spread) / variance
    return alpha / alpha.sum(-1, keepdims=True)


def _to_probabilities(logits, classes):
    """Softmax over the outputs, or the logistic function of each."""
    if not classes:
        return 0.5 * (1 + np.tanh(logits / 2))
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


LINKS = {
    "probit": probit,
    "monte_carlo": monte_carlo,
    "bridge": laplace_bridge,
}
