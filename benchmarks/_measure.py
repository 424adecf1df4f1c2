"""Interleaved timing and JSON lines, for every benchmark here."""

import json
import statistics


def interleaved(cases, repeats):
    """Seconds of each case, measured in turn so that noise meets all alike.

    Args:
        cases: Dict from name to a callable that returns its own seconds.
        repeats: Int, measurements for each case.

    Returns:
        Dict from name to a list of seconds.
    """
    seconds = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            seconds[name].append(case())
    return seconds


def print_ratio(question, numerator, denominator, **labels):
    """One JSON line: the ratio of the medians and the spread of ratios."""
    ratios = sorted(n / d for n, d in zip(numerator, denominator, strict=True))
    print_figure(
        question,
        **labels,
        ratio=statistics.median(numerator) / statistics.median(denominator),
        lowest=ratios[0],
        highest=ratios[-1],
        milliseconds=1e3 * statistics.median(numerator),
        repeats=len(numerator),
    )


def print_figure(question, **figures):
    rounded = {
        key: float(f"{value:.4g}") if isinstance(value, float) else value
        for key, value in figures.items()
    }
    print(json.dumps({"question": question, **rounded}), flush=True)
