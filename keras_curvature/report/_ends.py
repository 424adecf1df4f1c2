"""Both ends of a spectrum as one list."""


def both_ends(report):
    """Tuples `(rank, eigenvalue, residual, converged)`, descending.

    Args:
        report: `CurvatureReport`, whose ends overlap in a small matrix.
    """
    size = report.weights
    found = {}
    for pairs, ranks in (
        (report.smallest, range(size, 0, -1)),
        (report.largest, range(1, size + 1)),
    ):
        rows = zip(
            ranks, pairs.values, pairs.residuals, pairs.converged, strict=False
        )
        found |= {row[0]: row for row in rows}
    return [found[rank] for rank in sorted(found)]
