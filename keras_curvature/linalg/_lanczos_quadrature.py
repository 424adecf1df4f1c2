"""Gauss's quadrature for vᵀf(A)v by Lanczos steps, for many v at once."""

import numpy as np
import tensorflow as tf


def lanczos_quadrature(products, start, steps):
    """Nodes and weights for each column v of `start`.

        vᵀf(A)v / vᵀv ≈ Σⱼ wⱼ·f(θⱼ)

    Args:
        products: `Products`.
        start: Tensor of shape (n, runs).
        steps: Int, products.

    Returns:
        NumPy arrays of shape (runs, steps), nodes and their weights.
    """
    vectors = start / tf.norm(start, axis=0)
    previous = tf.zeros_like(vectors)
    betas = tf.zeros_like(vectors[0])
    tridiagonal = np.zeros((start.shape[1], steps, steps))
    scale = tf.zeros_like(betas)
    for step in range(steps):
        images = products(vectors)
        alphas, new_betas, scale, following = _advance(
            images, vectors, previous, betas, scale
        )
        tridiagonal[:, step, step] = alphas.numpy()
        if step + 1 < steps:
            tridiagonal[:, step, step + 1] = new_betas.numpy()
            tridiagonal[:, step + 1, step] = new_betas.numpy()
        previous, vectors, betas = vectors, following, new_betas
    nodes, components = np.linalg.eigh(tridiagonal)
    weights = components[:, 0, :] ** 2
    # The nodes of zeros after a closed space are no eigenvalues.
    heaviest = np.argmax(weights, axis=1)[:, np.newaxis]
    known = np.take_along_axis(nodes, heaviest, axis=1)
    return np.where(weights > 0, nodes, known), weights


@tf.function(reduce_retracing=True)
def _advance(images, vectors, previous, betas, scale):
    """One step of the three-term recurrence."""
    scale = tf.maximum(scale, tf.norm(images, axis=0))
    images -= betas * previous
    alphas = tf.reduce_sum(images * vectors, axis=0)
    images -= alphas * vectors
    betas = tf.norm(images, axis=0)
    # A run whose Krylov space has closed has all nodes that its vector
    # knows. Zeros go on in its place; their nodes have no weight.
    epsilon = np.finfo(images.dtype.as_numpy_dtype).eps
    goes_on = betas > 10 * epsilon * scale
    betas = tf.where(goes_on, betas, 0)
    following = tf.where(goes_on, images / tf.where(goes_on, betas, 1), 0)
    return alphas, betas, scale, following
