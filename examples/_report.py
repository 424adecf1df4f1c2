"""What the examples share: comparing optimizers and showing the outcome."""

import argparse
import math
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import keras
import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib import ticker

# Of Okabe and Ito's palette, which color-blind readers can tell apart.
GREY, ORANGE, GREEN = "#555555", "#E69F00", "#009E73"
BLUE, PURPLE, RED = "#0072B2", "#CC79A7", "#D55E00"


class Method(NamedTuple):
    """An optimizer to compare.

    `passes` says how often one step differentiates: once for a gradient,
    twice for a gradient and a product with the Hessian, 1.1 times where that
    product is renewed on every tenth step. Budgets are counted in passes over
    the data, so a step that costs twice is taken half as often.
    """

    make: Callable
    rates: tuple
    passes: float
    color: str
    line: str = "-"


class Run(NamedTuple):
    rate: float
    history: dict
    score: float
    weights: list
    seconds: float


def compare(methods, make_model, budget, seeds, choose_by, measure, **fit):
    """Trains with every method and each of its rates; keeps its best rate.

    Args:
        methods: Dict from name to `Method`.
        make_model: Callable `(optimizer)` that returns a compiled model.
        budget: Int, passes over the training data in each run.
        seeds: Int, runs for each rate.
        choose_by: Entry of the history that chooses the rate, by the mean of
            its last values; the smaller the better.
        measure: Callable `(model)` that returns the score of a trained model.
            It chooses nothing.
        **fit: Arguments of `Model.fit`.

    Returns:
        Dict from name to a list of `Run`s at the best rate, one for each seed.
    """
    progress = Progress(seeds * sum(len(m.rates) for m in methods.values()))
    best = {}
    for name, method in methods.items():
        candidates = []
        keras.utils.clear_session()
        model = make_model(method.make(method.rates[0]))
        model.optimizer.build(model.trainable_variables)
        state = [variable.numpy() for variable in model.optimizer.variables]
        for rate in method.rates:
            runs = []
            for seed in range(seeds):
                progress.start(f"{name}, rate {rate:g}")
                _restart(model, make_model, state, rate, seed)
                began = time.perf_counter()
                history = model.fit(
                    epochs=round(budget / method.passes),
                    callbacks=[progress],
                    verbose=0,
                    **fit,
                ).history
                seconds = time.perf_counter() - began
                weights = model.get_weights()
                runs.append(
                    Run(rate, history, measure(model), weights, seconds)
                )
            candidates.append(runs)
        best[name] = min(candidates, key=lambda runs: _mean(runs, choose_by))
    progress.close()
    return best


def _restart(model, make_model, state, rate, seed):
    """Fresh weights and optimizer state in a model that is traced already."""
    keras.utils.set_random_seed(seed)
    model.set_weights(make_model("sgd").get_weights())
    # Those that are made in the first step are overwritten by it.
    for k, variable in enumerate(model.optimizer.variables):
        fresh = state[k] if k < len(state) else np.zeros(variable.shape)
        variable.assign(fresh)
    model.optimizer.learning_rate = rate


def _mean(runs, key):
    mean = statistics.fmean(run.history[key][-1] for run in runs)
    return math.inf if math.isnan(mean) else mean


class Progress(keras.callbacks.Callback):
    """One bar for many calls of `fit`."""

    def __init__(self, runs):
        super().__init__()
        self.runs, self.done, self.began = runs, -1, time.perf_counter()

    def start(self, label):
        self.done += 1
        self.label = label
        self._show(self.done)

    def on_epoch_end(self, epoch, logs=None):
        if sys.stdout.isatty():
            self._show(self.done + (epoch + 1) / self.params["epochs"])

    def close(self):
        self.label = "done"
        self._show(self.runs)
        print("\n", flush=True)

    def _show(self, done):
        bar = "#" * int(24 * done / self.runs)
        elapsed = time.perf_counter() - self.began
        left = f"{elapsed * (self.runs - done) / done:3.0f} s" if done else ""
        line = f"[{bar:24}] {done:4.1f}/{self.runs} {left:>5} {self.label}"
        # A terminal gets a bar that moves, a file a line for each run.
        if sys.stdout.isatty():
            print(f"\r{line:<79.79}", end="", flush=True)
        else:
            print(line, flush=True)


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


def draw_curves(axes, methods, results, curve, every=1):
    """Per method the median of `curve(history)` over its runs, and the range.

    `every` is the number of passes over the data in an epoch of one pass a
    step.
    """
    for name, runs in results.items():
        points = list(zip(*[curve(run.history) for run in runs], strict=True))
        method = methods[name]
        x = [every * (i + 1) * method.passes for i in range(len(points))]
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
