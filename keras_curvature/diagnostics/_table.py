"""Tables in plain text."""


def table(header, rows):
    """Columns under their headers; the first to the left, others right.

    Args:
        header: Sequence of strings.
        rows: List of tuples of strings.
    """
    widths = [max(map(len, c)) for c in zip(header, *rows, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if k else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (tuple(header), rule, *rows)
    )
