"""Interleaved timing, memory and JSON lines, for every benchmark here.

By the standard library alone: scripts of the peers use it too.
"""

import json
import os
import pathlib
import resource
import statistics
import sys
import time


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


def peak_mebibytes():
    """The most memory that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def resident_mebibytes():
    """What this process holds now, on Linux."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def fit_and_predict(fit, predict):
    """Seconds of a fit and of two predictions, and the memory they took."""

    def timed(function):
        wall, processor = time.perf_counter(), time.process_time()
        function()
        return time.perf_counter() - wall, time.process_time() - processor

    before = peak_mebibytes()
    fitted = timed(fit)
    after_fit = peak_mebibytes()
    first, again = timed(predict), timed(predict)
    return {
        "fit": fitted[0],
        "fit_processor": fitted[1],
        "predict": first[0],
        "predict_processor": first[1],
        "again": again[0],
        "again_processor": again[1],
        "mebibytes_before": before,
        "mebibytes_fit": after_fit,
        "mebibytes": peak_mebibytes(),
    }
