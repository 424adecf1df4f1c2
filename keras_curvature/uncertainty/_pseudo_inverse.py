"""The inverse of AᵀA from the triangular factor of A."""

import numpy as np


def inverse_square_root(factor, precision):
    """L with L·Lᵀ = (AᵀA)⁺, and the directions that A does not see.

    The columns of A are scaled to length 1 first, so that the units of the
    weights do not decide what counts as zero.

    Args:
        factor: R, array of shape `(rows, n)`, rows ≥ n, with RᵀR = AᵀA.
        precision: Float, the relative rounding error of the entries of A.

    Returns:
        Tuple of L, of shape `(n, rank)`; an array of shape `(n − rank, n)`
        with unit vectors along which A is zero, their largest entry positive;
        an array of n bools, which weights such a vector moves; and an
        orthonormal basis of the range of R, of shape `(rows, rank)`.
    """
    lengths = np.linalg.norm(factor, axis=0)
    lengths = np.where(lengths > 0, lengths, 1.0)
    basis, values, rows = np.linalg.svd(factor / lengths, full_matrices=False)
    # Rounding errors of n columns of length 1 add up to at most this.
    tolerance = max(values[0], 1.0) * len(values) * precision
    seen = values > tolerance
    root = (rows[seen].T / values[seen]) / lengths[:, np.newaxis]
    # Rounding tilts these vectors by precision over the next singular value.
    is_unseen = np.linalg.norm(rows[~seen], axis=0) > np.sqrt(precision)
    unseen = rows[~seen] / lengths
    unseen /= np.linalg.norm(unseen, axis=1, keepdims=True)
    largest = np.argmax(np.round(np.abs(unseen), 6), axis=1)
    unseen *= np.sign(unseen[np.arange(len(unseen)), largest])[:, np.newaxis]
    return root, unseen, is_unseen, basis[:, seen]


def in_words(direction, names, terms=4):
    """A direction as a sum of its largest entries: "0.71·a - 0.71·b"."""
    order = np.argsort(-np.round(np.abs(direction), 6), kind="stable")
    order = [k for k in order if abs(direction[k]) > 0.01]
    words = ""
    for k in order[:terms]:
        sign = "-" if direction[k] < 0 else "+" if words else ""
        gap = " " if words else ""
        words += f"{gap}{sign}{gap}{abs(direction[k]):.2f}·{names[k]}"
    return words + (" + ..." if len(order) > terms else "")
