"""What the examples share: tables, plots and their command line."""

import argparse
import pathlib
import statistics

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib import ticker

# Of Okabe and Ito's palette, which color-blind readers can tell apart.
GREY, ORANGE, GREEN = "#555555", "#E69F00", "#009E73"
BLUE, PURPLE, RED = "#0072B2", "#CC79A7", "#D55E00"


def mean_and_spread(values, digits):
    """The mean ± the standard deviation, as text."""
    values = list(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.{digits}f} ± {spread:.{digits}f}"


def print_table(headers, rows):
    """Columns under their headers; the first to the left, others right."""
    table = [headers, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in [headers, ["-" * width for width in widths], *rows]:
        first = row[0].ljust(widths[0])
        rest = [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        print("  ".join([first, *rest]))


def new_figure(columns, title):
    figure, axes = plt.subplots(
        1, columns, figsize=(4.6 * columns, 4.4), layout="constrained"
    )
    figure.suptitle(title)
    for ax in axes:
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_curves(axes, methods, results, curve, every=1, clock=False):
    """Per method the median of `curve(history)` over its runs, and the range.

    `every` is the number of passes over the data in an epoch of one pass a
    step. With `clock` the abscissa is the seconds of the median run instead.
    """
    for name, runs in results.items():
        points = list(zip(*[curve(run.history) for run in runs], strict=True))
        method = methods[name]
        unit = every * method.passes
        if clock:
            unit = statistics.median(run.seconds for run in runs) / len(points)
        x = [unit * (i + 1) for i in range(len(points))]
        axes.plot(
            x,
            [statistics.median(values) for values in points],
            method.line,
            color=method.color,
            label=name,
        )
        axes.fill_between(
            x,
            [min(values) for values in points],
            [max(values) for values in points],
            color=method.color,
            alpha=0.15,
            linewidth=0,
        )


def rate_and_tried(run):
    """The learning rate, and the lowest and highest that were tried."""
    return f"{run.rate:g} ({run.tried[0]:g} to {run.tried[-1]:g})"


def use_log_scale(axes):
    """A logarithmic ordinate that stays readable over less than a decade."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 100 * low:
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 3, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def save_plot(figure, folder, name):
    """Writes a PNG with the legend of its first axes below; its path."""
    lines, methods = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        lines,
        methods,
        loc="outside lower center",
        ncols=-(-len(methods) // 2),
        frameon=False,
    )
    path = pathlib.Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def arguments(description, **options):
    """A command line with an integer option for each (default, help)."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for name, (default, text) in options.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=text)
    parser.add_argument("--plots", default="plots", help="folder of the plot")
    return parser
