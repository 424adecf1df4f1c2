"""The inverse of a Cholesky factor, in place of its matrix."""

import numpy as np

# Of a block: products of such take nearly all of the time, and little memory.
ROWS = 256


def lower_rows(matrix):
    """The lower triangle of a matrix as block rows: half of its memory.

    Args:
        matrix: Symmetric array or tensor of shape `(n, n)`.

    Returns:
        List of arrays `matrix[start:end, :end]`, of `ROWS` rows but for the
        last.
    """
    size = len(matrix)
    ends = [*range(ROWS, size, ROWS), size]
    starts = [0, *ends[:-1]]
    return [
        np.array(matrix[start:end, :end])
        for start, end in zip(starts, ends, strict=True)
    ]


def span(row):
    """The start and the end of the rows of a block row."""
    count, end = row.shape
    return end - count, end


def whole(rows):
    """The symmetric matrix of the block rows of its lower triangle."""
    size = rows[-1].shape[1]
    matrix = np.zeros((size, size), rows[0].dtype)
    for row in rows:
        start, end = span(row)
        matrix[start:end, :end] = row
        matrix[:start, start:end] = row[:, :start].T
    return matrix


def invert_factor(rows):
    """Overwrites A by L⁻¹, where A = L·Lᵀ.

    LAPACK's own routines factorize several times slower on two threads than
    these products of blocks, and do not work in place from NumPy.

    Args:
        rows: Block rows of the lower triangle of A, positive definite; those
            of L⁻¹ afterwards.

    Raises:
        numpy.linalg.LinAlgError: if A is not positive definite. The rows are
            spoiled then.
    """
    inverses = []
    for row in rows:
        for other, inverse in zip(rows, inverses, strict=False):
            start, end = span(other)
            row[:, start:end] -= row[:, :start] @ other[:, :start].T
            row[:, start:end] = row[:, start:end] @ inverse.T
        start, _ = span(row)
        row[:, start:] -= row[:, :start] @ row[:, :start].T
        root = np.linalg.cholesky(row[:, start:])
        # Pivoting leaves rounding above the diagonal.
        inverses.append(np.tril(np.linalg.inv(root)))
    for number, (row, inverse) in enumerate(zip(rows, inverses, strict=True)):
        start, _ = span(row)
        # L·X of the rows above, of which the products are held one at a time.
        total = np.zeros((len(row), start), row.dtype)
        product = np.empty_like(total)
        for other in rows[:number]:
            first, last = span(other)
            np.matmul(row[:, first:last], other, out=product[:, :last])
            total[:, :last] += product[:, :last]
        np.matmul(-inverse, total, out=row[:, :start])
        row[:, start:] = inverse
