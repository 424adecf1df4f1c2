"""Rows of Jacobians: as they are, or as products of layers."""

import numpy as np


class DenseRows:
    """J of each sample as numbers.

    Args:
        jacobian: Array of shape `(batch, m, n)`.
    """

    def __init__(self, jacobian):
        self._jacobian = jacobian

    @property
    def shape(self):
        """`(batch, m, n)`."""
        return self._jacobian.shape

    def dense(self):
        """J, of shape `(batch, m, n)`."""
        return self._jacobian

    def quadratic(self, variances):
        """J·diag(variances)·Jᵀ, of shape `(batch, m, m)`."""
        scaled = self._jacobian * variances
        return scaled @ self._jacobian.transpose(0, 2, 1)

    def times(self, matrix):
        """J·matrix, of shape `(batch, m, k)`, for an `(n, k)`."""
        return self._jacobian @ matrix

    def at(self, places):
        """The columns at places of shape `(groups, inputs, outputs)`."""
        return Products(None, None, self._jacobian[..., places])


class LayerRows:
    """J of each sample, made of Σ a⊗g of layers; never formed as a whole.

    Args:
        layers: List of tuples `(places, a, g)`: where the weights of a kernel
            or a bias stand among the n, `(groups, inputs, outputs)`; the
            inputs `(batch, positions, groups, inputs)`; and the signals
            `(batch, m, positions, groups, outputs)`.
        size: Int, n.
    """

    def __init__(self, layers, size):
        self._layers = layers
        first = layers[0][2]
        self.shape = (*first.shape[:2], size)

    def dense(self):
        """J, of shape `(batch, m, n)`."""
        rows = np.zeros(self.shape)
        for places, a, g in self._layers:
            rows[..., places] = Products(a, g).formed()
        return rows

    def quadratic(self, variances):
        """J·diag(variances)·Jᵀ, of shape `(batch, m, m)`."""
        return sum(
            Products(a, g).quadratic(variances[places])
            for places, a, g in self._layers
        )

    def times(self, matrix):
        """J·matrix, of shape `(batch, m, k)`, for an `(n, k)`."""
        return sum(
            Products(a, g).times(matrix[places])
            for places, a, g in self._layers
        )

    def at(self, places):
        """The columns at places of shape `(groups, inputs, outputs)`."""
        for own, a, g in self._layers:
            if np.array_equal(own, places):
                return Products(a, g)
        return Products(None, None, self.dense()[..., places])


class Products:
    """Rows by the weights of one kernel, as Σ a⊗g over positions or formed.

    Args:
        a: Array of shape `(batch, positions, groups, inputs)`, or None.
        g: Array of shape `(batch, m, positions, groups, outputs)`, or None.
        formed: Array of shape `(batch, m, groups, inputs, outputs)`, or None
            for that of a and g. Defaults to None.
    """

    def __init__(self, a, g, formed=None):
        self._a, self._g, self._formed = a, g, formed
        # A product of sums over several positions has mixed terms.
        self._is_product = formed is None and a.shape[1] == 1

    def formed(self):
        """Of shape `(batch, m, groups, inputs, outputs)`."""
        if self._formed is None:
            # Matrices, (batch, 1 or m, groups, inputs or positions, ...).
            a = self._a.transpose(0, 2, 3, 1)[:, np.newaxis]
            self._formed = a @ self._g.transpose(0, 1, 3, 2, 4)
        return self._formed

    def turned(self, left, right):
        """Those of leftᵀ·W·right in place of W; of diagonal factors nothing.

        Args:
            left: `(groups, inputs, inputs)`, or with an axis less.
            right: `(groups, outputs, outputs)`, or with an axis less.
        """
        if self._formed is not None:
            return Products(None, None, turned(self._formed, left, right))
        a = _by_group(self._a, left) if left.ndim == 3 else self._a
        g = _by_group(self._g, right) if right.ndim == 3 else self._g
        return Products(a, g)

    def quadratic(self, variances):
        """Σ J·variances·Jᵀ over the weights, of shape `(batch, m, m)`.

        Args:
            variances: Array of shape `(groups, inputs, outputs)`.
        """
        if self._is_product:
            # (groups, batch, inputs) by (groups, inputs, outputs).
            squares = self._a[:, 0].transpose(1, 0, 2) ** 2 @ variances
            g = self._g[:, :, 0]
            scaled = g * squares.transpose(1, 0, 2)[:, np.newaxis]
            scaled, g = _flat(scaled), _flat(g)
        else:
            g = self.formed()
            scaled, g = _flat(g * variances), _flat(g)
        return scaled @ g.transpose(0, 2, 1)

    def times(self, matrix):
        """J·matrix, of shape `(batch, m, k)`.

        Args:
            matrix: Array of shape `(groups, inputs, outputs, k)`.
        """
        groups, inputs, outputs, k = matrix.shape
        if not self._is_product:
            return _flat(self.formed()) @ matrix.reshape(-1, k)
        # First the inputs, which all rows of a sample share.
        wide = matrix.reshape(groups, inputs, outputs * k)
        shared = self._a[:, 0].transpose(1, 0, 2) @ wide
        batch = shared.shape[1]
        shared = shared.reshape(groups, batch, outputs, k).swapaxes(0, 1)
        shared = shared.reshape(batch, groups * outputs, k)
        return _flat(self._g[:, :, 0]) @ shared


def turned(matrices, left, right):
    """leftᵀ·matrix·right for each group; of diagonal factors nothing."""
    if left.ndim == 3:
        matrices = np.swapaxes(left, 1, 2) @ matrices
    if right.ndim == 3:
        matrices = matrices @ right
    return matrices


def _by_group(rows, basis):
    """Rows (..., positions, groups, size) times the basis of each group."""
    if len(basis) == 1:
        return rows @ basis[0]
    return (rows[..., np.newaxis, :] @ basis)[..., 0, :]


def _flat(rows):
    return rows.reshape(*rows.shape[:2], -1)
