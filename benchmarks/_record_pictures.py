"""Errors of saved runs over seconds, beside those of published records."""

import itertools
import json
import pathlib

import matplotlib

matplotlib.use("Agg")
from _record_problems import PROBLEMS
from matplotlib import pyplot as plt

# Of Okabe and Ito's palette, which color-blind readers can tell apart.
BLUE, ORANGE = "#0072B2", "#E69F00"
COLUMNS = 4
# The same in all panels, so that they compare.
SECONDS = 0.5, 10_000


def draw_records(files, picture):
    """A panel for each problem that the runs are of; the path of the PNG.

    Args:
        files: Paths of JSON files that `records.py --save` has written.
        picture: Path of the PNG.
    """
    runs = [json.loads(pathlib.Path(file).read_text("utf-8")) for file in files]
    found = {run["problem"] for run in runs}
    problems = [name for name in PROBLEMS if name in found]
    columns = min(COLUMNS, len(problems))
    figure, axes = plt.subplots(
        -(-len(problems) // columns),
        columns,
        figsize=(3.2 * columns, 2.7 * -(-len(problems) // columns)),
        layout="constrained",
        squeeze=False,
    )
    for ax, name in itertools.zip_longest(axes.flat, problems):
        if name is None:
            ax.set_axis_off()
        else:
            _draw(ax, name, [run for run in runs if run["problem"] == name])
    clocks = {run["cpu_time"] for run in runs}
    figure.supxlabel(
        "blue: ours, seconds of the processor; orange: published, of the clock"
        if clocks == {True}
        else "seconds; blue: ours, orange: published",
        fontsize=9,
    )
    figure.supylabel("relative L2 error", fontsize=9)
    picture = pathlib.Path(picture)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=85)
    plt.close(figure)
    return picture.resolve()


def _draw(ax, name, runs):
    problem = PROBLEMS[name]
    for run in runs:
        seconds = [row["seconds"] for row in run["rows"]]
        errors = [row["error"] for row in run["rows"]]
        ax.loglog(seconds, errors, color=BLUE, lw=1.2)
    timed = [point for point in problem.published if point[0]]
    if timed:
        ax.loglog(*zip(*timed, strict=True), "o--", color=ORANGE, lw=1)
    best = min(error for _, error in problem.published)
    ax.axhline(best, color=ORANGE, lw=1, ls=":")
    # The corner where neither ours nor theirs have a point.
    ax.text(
        0.98,
        0.96,
        f"published: {best:.1e}\n{problem.publisher}",
        transform=ax.transAxes,
        ha="right",
        va="top",
        fontsize=7,
    )
    ax.set_xlim(*SECONDS)
    ax.set_title(problem.name, fontsize=10)
    ax.tick_params(labelsize=8)
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)
