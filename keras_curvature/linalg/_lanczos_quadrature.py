"""Gauss's quadrature for vᵀf(A)v by Lanczos steps, for many v at once."""

import numpy as np


def lanczos_quadrature(products, start, steps):
    """Nodes and weights for each column v of `start`.

        vᵀf(A)v / vᵀv ≈ Σⱼ wⱼ·f(θⱼ)

    Args:
        products: `Products`.
        start: Array of shape (n, runs).
        steps: Int, products.

    Returns:
        NumPy arrays of shape (runs, steps), nodes and their weights.
    """
    # As rows, each of which is contiguous.
    vectors = np.array(np.transpose(start), order="C")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    previous = np.zeros_like(vectors)
    tridiagonal = np.zeros((len(vectors), steps + 1, steps + 1))
    betas = np.zeros(len(vectors))
    for step in range(steps):
        images = np.array(products(vectors.T).numpy().T, order="C")
        # What is shorter is rounding.
        least = 10 * products.epsilon * products.scale
        for run, matrix in enumerate(tridiagonal):
            matrix[step, step], betas[run] = _advance(
                images[run], vectors[run], previous[run], betas[run], least
            )
            matrix[step, step + 1] = matrix[step + 1, step] = betas[run]
        previous, vectors = vectors, images
    nodes, components = np.linalg.eigh(tridiagonal[:, :steps, :steps])
    weights = components[:, 0, :] ** 2
    # The nodes of zeros after a closed space are no eigenvalues.
    heaviest = np.argmax(weights, axis=1)[:, np.newaxis]
    known = np.take_along_axis(nodes, heaviest, axis=1)
    return np.where(weights > 0, nodes, known), weights


def _advance(image, vector, previous, beta, least):
    """α and β of one step; makes the next vector of the image."""
    image -= image.dtype.type(beta) * previous
    alpha = image @ vector
    image -= alpha * vector
    beta = np.linalg.norm(image)
    if beta > least:
        image /= beta
    else:
        # The Krylov space has closed: its vector knows all these nodes. Zeros
        # go on in its place; their nodes have no weight.
        image[:] = beta = 0
    return alpha, beta
