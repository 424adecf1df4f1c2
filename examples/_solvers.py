"""What the examples of the solvers share: training by the clock, and plots."""

import time

import keras
import numpy as np
import tensorflow as tf
from _report import BLUE, GREEN, GREY, ORANGE, print_table, save_plot

from keras_curvature.optimizers import (
    LBFGS,
    GaussNewton,
    LevenbergMarquardt,
    NewtonCG,
)

PURPLE = "#CC79A7"

# Name of --optimizers: what the plots call it, how it is made, its colour.
OPTIMIZERS = {
    "levenberg_marquardt": (
        "LevenbergMarquardt",
        lambda: LevenbergMarquardt(geodesic_acceleration=True),
        BLUE,
    ),
    "gauss_newton": ("GaussNewton", GaussNewton, GREEN),
    "lbfgs": ("LBFGS", LBFGS, PURPLE),
    "newton_cg": ("NewtonCG", NewtonCG, GREY),
    "adam": (
        "Adam",
        lambda: keras.optimizers.Adam(
            keras.optimizers.schedules.ExponentialDecay(1e-2, 1000, 0.9)
        ),
        ORANGE,
    ),
}


def add_options(parser, seconds, default=("levenberg_marquardt", "adam")):
    parser.add_argument(
        "--optimizers",
        nargs="+",
        choices=OPTIMIZERS,
        default=default,
        help="which to compare",
    )
    parser.add_argument(
        "--seconds", type=float, default=seconds, help="for each optimizer"
    )
    return parser


def train(make_model, name, data, measure, seconds, chunk=20):
    """Trains on the whole data as one batch, for some seconds.

    Args:
        make_model: Callable without arguments, the same model every time.
        name: Key of `OPTIMIZERS`.
        data: Arrays `(x, y)`, or a callable that maps the model to new ones,
            called before each chunk.
        measure: Callable that maps the model to its error.
        seconds: Float, without the time to trace the step.
        chunk: Int, steps between two measurements.

    Returns:
        Tuple `(model, rows)` with rows of (steps, seconds, error).
    """
    label, make_optimizer, _ = OPTIMIZERS[name]
    model = make_model()
    model.compile(make_optimizer(), "mse", jit_compile=False)
    dataset = tf.data.Dataset.from_tensors
    batches = None if callable(data) else dataset(data).repeat()
    rows, elapsed, steps = [(0, 0.0, measure(model))], 0.0, 0
    while elapsed < seconds:
        began = time.perf_counter()
        count = 1 if steps == 0 else chunk
        if callable(data):
            batches = dataset(data(model)).repeat()
        logs = model.fit(
            batches, steps_per_epoch=count, shuffle=False, verbose=0
        ).history
        # The first step is traced, which is no part of the comparison.
        elapsed += 0 if steps == 0 else time.perf_counter() - began
        steps += count
        rows.append((steps, elapsed, measure(model)))
        print(
            f"\r{label}: step {steps}, {elapsed:.1f} s, "
            f"loss {logs['loss'][-1]:.1e}, error {rows[-1][2]:.1e}   ",
            end="",
            flush=True,
        )
        if "stop_reason" in logs:
            print(f"\n{label}: {logs['stop_reason'][0]}", end="")
            break
    print()
    return model, rows


def draw_errors(axes, runs, ylabel="relative L2 error"):
    """Error over seconds for `{name: rows}`."""
    for name, rows in runs.items():
        label, _, color = OPTIMIZERS[name]
        rows = np.array(rows)
        axes.semilogy(rows[:, 1], rows[:, 2], color=color, label=label)
    axes.set(xlabel="seconds", ylabel=ylabel)


def report(runs, figure, folder, plot):
    """Prints the table of `{name: rows}` and saves the figure."""
    print_table(
        ("optimizer", "steps", "seconds", "error at the end"),
        [
            [
                OPTIMIZERS[name][0],
                str(rows[-1][0]),
                f"{rows[-1][1]:.1f}",
                f"{rows[-1][2]:.1e}",
            ]
            for name, rows in runs.items()
        ],
    )
    print(f"\nPlot: {save_plot(figure, folder, plot)}")


def relative_error(values, exact):
    return float(np.linalg.norm(values - exact) / np.linalg.norm(exact))
