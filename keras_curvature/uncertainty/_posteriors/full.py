"""A precision with all correlations."""

import functools
import warnings

import numpy as np

from keras_curvature.linalg.inverse_cholesky import (
    invert_factor,
    lower_rows,
    span,
    whole,
)
from keras_curvature.operators.gauss_newton import GaussNewton

# Weights; the lower triangle then takes 64 MiB.
_MOST_IN_FLOAT64 = 4096


class Full:
    """G as a matrix.

    Args:
        arrays: Dict with `rows_k`, for k = 0, 1, ..., the block rows of the
            lower triangle of G.
    """

    operator = GaussNewton

    def __init__(self, arrays):
        self.arrays = arrays

    @classmethod
    def from_curvature(cls, operator, factor, rank):
        """All of G, in float64 unless that takes much memory."""
        is_small = operator.shape[0] <= _MOST_IN_FLOAT64
        rows = operator.to_lower_rows("float64" if is_small else None)
        for row in rows:
            row *= factor
        return cls(_named(rows))

    def at(self, scale, prior):
        """The distribution with the precision scale·G + diag(prior)."""
        rows = self._rows
        _warn_of_rounding(rows, scale, prior)
        try:
            return _FullNormal(rows, scale, prior)
        except np.linalg.LinAlgError:
            pass
        positive, largest = self._positive
        try:
            return _FullNormal(positive, scale, prior)
        except np.linalg.LinAlgError as error:
            raise ValueError(
                "`prior_precision` must not be below the rounding of the "
                f"curvature in float64. Received: {prior.min():.1e}, and "
                f"eigenvalues up to {scale * largest:.1e}."
            ) from error

    @property
    def _rows(self):
        return [self.arrays[f"rows_{k}"] for k in range(len(self.arrays))]

    @functools.cached_property
    def _positive(self):
        """The rows without eigenvalues below zero, and the largest of them.

        Rounding of a model in float32 leaves such. Kept, since each prior that
        is tried asks for them.
        """
        values, vectors = np.linalg.eigh(whole(self._rows).astype(float))
        positive = (vectors * np.maximum(values, 0)) @ vectors.T
        return lower_rows(positive), values[-1]


def _warn_of_rounding(rows, scale, prior):
    """Warns where rounding of the curvature is larger than the prior."""
    largest = max(np.diagonal(row, span(row)[0]).max() for row in rows)
    rounding = float(np.finfo(rows[0].dtype).eps * scale * largest)
    if prior.min() < rounding:
        warnings.warn(
            f"The prior precision {prior.min():.1e} is below the rounding of "
            f"the curvature, {rounding:.1e}: what it alone decides comes out "
            "wrong. Build the model in float64, or raise it.",
            stacklevel=2,
        )


def _named(rows):
    return {f"rows_{k}": row for k, row in enumerate(rows)}


class _FullNormal:
    """P = D^½·(I + D^(−½)·G·D^(−½))·D^½, whose inner matrix is at least I.

    With the lower triangular root L of the inner one, X = L⁻¹·D^(−½) has
    Xᵀ·X = P⁻¹; it is held as block rows.
    """

    def __init__(self, rows, scale, prior):
        lengths = 1 / np.sqrt(prior)
        self._rows = [_inner(row, scale, lengths) for row in rows]
        invert_factor(self._rows)
        self.log_determinant = float(np.sum(np.log(prior)))
        for row in self._rows:
            start, end = span(row)
            diagonal = np.diagonal(row, start)
            self.log_determinant -= 2 * float(np.sum(np.log(diagonal)))
            row *= lengths[:end]

    @property
    def variances(self):
        total = np.zeros(span(self._rows[-1])[1])
        for row in self._rows:
            total[: row.shape[1]] += np.sum(row**2, 0)
        return total

    def covariance(self, rows):
        """J·P⁻¹·Jᵀ of each sample, `(batch, m, m)`, of `DenseRows` or such."""
        total = 0.0
        for row in self._rows:
            columns = np.zeros((rows.shape[2], len(row)))
            columns[: row.shape[1]] = row.T
            seen = rows.times(columns)
            total = total + seen @ seen.transpose(0, 2, 1)
        return total

    def samples(self, normals):
        """P^(−½)·z for each row z of standard normal numbers."""
        drawn = np.zeros_like(normals)
        for row in self._rows:
            start, end = span(row)
            drawn[:, :end] += normals[:, start:end] @ row
        return drawn


def _inner(row, scale, lengths):
    """A block row of I + D^(−½)·scale·G·D^(−½), in float64."""
    start, end = span(row)
    inner = np.multiply(row, scale * lengths[:end], dtype=float)
    inner *= lengths[start:end, np.newaxis]
    inner[:, start:][np.diag_indices(len(row))] += 1
    return inner
