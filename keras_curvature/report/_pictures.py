"""Plots as pictures within a page, in its own colors and type."""

import numpy as np

from keras_curvature.linalg import Eigenpairs
from keras_curvature.plots import (
    plot_activation_report,
    plot_curvature_split,
    plot_eigenvalues,
    plot_loss_landscape,
    plot_reliability,
    plot_spectral_density,
)
from keras_curvature.report._ends import both_ends
from keras_curvature.report._numbers import power_of_ten
from keras_curvature.report._svg import INK, as_inline_svg

# In pixels, those of a narrow phone: wider pages magnify.
_WIDTH, _HEIGHT = 340, 240
_PIXELS_PER_INCH = 72
# Rows of bars that a picture shows; the tables show all.
MOST_ROWS = 20
_LONGEST_NAME = 16


def eigenvalue_picture(report):
    """The eigenvalues of both ends, and the limit of stability if near."""
    rows = both_ends(report)
    _, values, residuals, converged = map(np.array, zip(*rows, strict=True))
    joined = Eigenpairs(
        values, None, residuals, converged, iterations=0, products=0
    )

    def draw(ax):
        plot_eigenvalues(joined, ax=ax)
        limit = report.stability_limit
        if limit is not None and limit < 2 * report.sharpness:
            ax.axhline(limit, color="#D55E00", linestyle="--", linewidth=1.2)
            ax.annotate(
                "2 / learning rate",
                (1, limit),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
            )
        upper = len(report.largest.values)
        lower = len(rows) - upper
        beside = f", then the {lower} smallest" if lower else ""
        ax.set_xlabel(f"the {upper} largest{beside}")

    return _picture("eigenvalues", "Eigenvalues of the Hessian", draw)


def density_picture(report):
    def draw(ax):
        plot_spectral_density(report.density, ax=ax, points=500)

    return _picture("density", "Density of the eigenvalues", draw)


def split_picture(report):
    rows = shown_rows(report.split.layers)
    split = type(report.split)(rows, report.split.total, [])

    def draw(ax):
        plot_curvature_split(split, ax=ax)
        names = [layer_name(row.name) for row in rows]
        _name_rows(ax, [*names, "all"])

    title = "Trace of the parts of the Hessian, by layer"
    return _picture("split", title, draw, rows=len(rows) + 1)


def activation_picture(report):
    rows = report.activations.activations[:MOST_ROWS]
    shown = type(report.activations)(rows, 0.0, 1, [])

    def draw(ax):
        plot_activation_report(shown, ax=ax)
        _name_rows(ax, [row.name for row in rows])
        for text, short in zip(
            ax.get_legend().texts, ("passed on", "saturated", "dead"),
            strict=True,
        ):  # fmt: skip
            text.set_text(short)

    title = "What each activation does to the gradient"
    return _picture("activations", title, draw, rows=len(rows))


def landscape_picture(report):
    """The line of losses, with its parabola to second order."""

    def draw(ax):
        plot_loss_landscape(report.landscape, ax=ax)
        a, losses = report.landscape.coordinates[0], report.landscape.losses
        parabola = report.loss + report.slope * a + report.sharpness * a**2 / 2
        finite = losses[np.isfinite(losses)]
        low, high = ax.get_ylim()
        ax.plot(a, parabola, "--", color="#767676", linewidth=1.2, zorder=0)
        reach = finite.max() - finite.min() or 1.0
        if ax.get_yscale() == "linear":
            low = finite.min() - 0.1 * reach
            high = finite.max() + 0.1 * reach
        ax.set_ylim(low, high)
        ax.set_xlabel("distance along the first eigenvector")

    title = "Loss along the steepest direction"
    return _picture("landscape", title, draw)


def reliability_picture(report):
    def draw(ax):
        plot_reliability(report.reliability, ax=ax)
        ax.set_title("")
        # Room for what is right every time.
        ax.set_ylim(0, 1.04)

    return _picture("reliability", "Accuracy beside confidence", draw)


def shown_rows(layers):
    """The layers with the largest traces, in their order."""
    by_size = sorted(layers, key=lambda row: -abs(row.traces["hessian"].value))[
        :MOST_ROWS
    ]
    return [row for row in layers if row in by_size]


def layer_name(path):
    """The name of a layer from its path."""
    return path.rpartition("/")[2]


def _name_rows(ax, names):
    short = [
        name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
        for name in names
    ]
    # Dollars would begin a formula.
    ax.set_yticks(ax.get_yticks(), [n.replace("$", r"\$") for n in short])


def _picture(name, title, draw, rows=None):
    """A figure with one plot, as `Markup`."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    height = _HEIGHT if rows is None else 85 + 42 * rows
    size = (_WIDTH / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(
            figsize=size, dpi=_PIXELS_PER_INCH, layout="constrained"
        )
        ax = figure.subplots()
        draw(ax)
        ax.spines[["top", "right"]].set_visible(False)
        if ax.get_xscale() == "linear":
            ax.xaxis.get_major_locator().set_params(nbins=6)
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_formatter(lambda x, _: power_of_ten(x))
                axis.set_minor_formatter(NullFormatter())
        return as_inline_svg(figure, name, title)


_STYLE = {
    "font.size": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.handlelength": 1.2,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    # Text that is text takes the type of the page.
    "svg.fonttype": "none",
}
