"""What the examples of the solvers share: training by the clock, and plots."""

import sys
import time
import warnings

import keras
import numpy as np
import tensorflow as tf
from _report import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    print_table,
    save_plot,
)

from keras_curvature.callbacks import SolverProgress
from keras_curvature.optimizers import (
    LBFGS,
    GaussNewton,
    LevenbergMarquardt,
    NewtonCG,
    Solver,
)

# Name of --optimizers: what the plots call it, how it is made, its color.
OPTIMIZERS = {
    "levenberg_marquardt": ("LevenbergMarquardt", LevenbergMarquardt, BLUE),
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

    A solver that has converged ends earlier.

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
    trace(model, data(model) if callable(data) else data)
    clock = Clock(label, measure, seconds, chunk)
    run(model, data, clock)
    return model, clock.rows


def run(model, data, clock, callbacks=()):
    """Trains a compiled model until the clock's time is over."""
    # First, so that what is measured is the accepted point.
    solver = isinstance(model.optimizer, Solver)
    callbacks = [*([SolverProgress()] if solver else ()), *callbacks, clock]
    clock.start(model)
    while not clock.is_over:
        batches = data(model) if callable(data) else data
        history = model.fit(
            tf.data.Dataset.from_tensors(batches).repeat(),
            steps_per_epoch=clock.chunk,
            # One fit as long as the data stay the same.
            epochs=1 if callable(data) else 10**6,
            # Keras warns otherwise that it cannot shuffle a Dataset.
            shuffle=False,
            callbacks=callbacks,
            verbose=0,
        ).history
        if "stop_reason" in history:
            clock.stop_reason = history["stop_reason"][0]
            break
    clock.close()


def trace(model, data, steps=1):
    """Steps that are undone: they trace what `run` will use."""
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before = [variable.numpy() for variable in variables]
    with warnings.catch_warnings():
        # One step does not get far, which is what is wanted.
        warnings.simplefilter("ignore", UserWarning)
        batches = tf.data.Dataset.from_tensors(data).repeat()
        model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


class Clock(keras.callbacks.Callback):
    """Measures after each epoch, and ends `fit` when the time is over.

    Measuring stops it, and so does all between two epochs. `timer` is what
    it reads.
    """

    def __init__(self, label, measure, seconds, chunk, timer=time.perf_counter):
        super().__init__()
        self.timer = timer
        self.label, self.measure = label, measure
        self.seconds, self.chunk = seconds, chunk
        self.elapsed, self.rows, self.stop_reason = 0.0, [], None

    @property
    def is_over(self):
        return self.elapsed >= self.seconds

    def start(self, model):
        self.rows.append((0, self.elapsed, self.measure(model)))

    def on_epoch_begin(self, epoch, logs=None):
        self.began = self.timer()

    def on_epoch_end(self, epoch, logs=None):
        self.elapsed += self.timer() - self.began
        steps = self.rows[-1][0] + self.chunk
        self.rows.append((steps, self.elapsed, self.measure(self.model)))
        if sys.stdout.isatty():
            self._show("\r", "")
        if self.is_over:
            self.model.stop_training = True

    def close(self):
        """Ends the line, with the reason why a solver has stopped."""
        self._show("\r" if sys.stdout.isatty() else "", "\n")
        if self.stop_reason:
            print(f"{self.label}: {self.stop_reason}", flush=True)

    def _show(self, begin, end):
        steps, seconds, error = self.rows[-1]
        clock = f"{seconds:.1f} of {self.seconds:g} s"
        line = f"{self.label}: step {steps}, {clock}, error {error:.1e}"
        print(f"{begin}{line:<79}", end=end, flush=True)


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
    print(f"\nPlot: {save_plot(figure, folder, plot).resolve()}")


def relative_error(values, exact):
    return float(np.linalg.norm(values - exact) / np.linalg.norm(exact))
