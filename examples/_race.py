"""Optimizers by the clock: each compiled and traced once for several runs."""

import math
import sys
from collections.abc import Callable
from typing import NamedTuple

import keras
from _compare import TUNING_SEED, bracketed
from _solvers import OPTIMIZERS, Clock, run, trace

from keras_curvature.optimizers import Solver

ADAM = "adam"


class Problem(NamedTuple):
    """A model to train by the clock.

    `starts` has the weights of each run by its seed, `measure` maps the model
    to its error. `rate` is where the search for Adam's learning rate begins.
    """

    name: str
    title: str
    what: str
    model: keras.Model
    data: tuple
    starts: dict
    measure: Callable
    seeds: int
    seconds: float
    rate: float


class Result(NamedTuple):
    """Rows of (steps, seconds, error) for each run."""

    tracing: float
    runs: list
    models: list
    note: str

    @property
    def errors(self):
        """At the end of each run."""
        return [rows[-1][2] for rows in self.runs]


class Cosine(keras.callbacks.Callback):
    """A learning rate that falls along a cosine to 0 at the clock's end."""

    def __init__(self, rate, clock):
        super().__init__()
        self.rate, self.clock = rate, clock

    def on_epoch_begin(self, epoch, logs=None):
        share = min(1.0, self.clock.elapsed / self.clock.seconds)
        rate = self.rate * (1 + math.cos(math.pi * share)) / 2
        self.model.optimizer.learning_rate = rate


class Race:
    """One optimizer on a problem, compiled and traced once for all runs."""

    def __init__(self, problem, name, timer):
        self.timer = timer
        self.problem, self.label = problem, OPTIMIZERS[name][0]
        self.model, self.is_adam = problem.model, name == ADAM
        # For Adam many steps in one call, lest Keras's own time weigh.
        self.chunk = 100 if self.is_adam else 10
        together = self.chunk if self.is_adam else 1
        if sys.stdout.isatty():
            line = f"{problem.name}, {self.label}: tracing ..."
            print(f"{line:<79}", end="\r", flush=True)
        began = timer()
        optimizer = keras.optimizers.Adam() if self.is_adam else None
        self.model.compile(
            optimizer or OPTIMIZERS[name][1](),
            "mse",
            jit_compile=False,
            steps_per_execution=together,
        )
        trace(self.model, problem.data, together)
        traced = timer()
        # Again, for the time of the steps that tracing has taken.
        trace(self.model, problem.data, together)
        self.tracing = 2 * traced - began - timer()
        variables = self.model.optimizer.variables
        self.fresh = [variable.numpy() for variable in variables]

    def run(self, seed, seconds, rate=None):
        """The rows of one run of that many seconds of steps."""
        self.model.set_weights(self.problem.starts[seed])
        variables = self.model.optimizer.variables
        for variable, value in zip(variables, self.fresh, strict=True):
            variable.assign(value)
        if isinstance(self.model.optimizer, Solver):
            self.model.optimizer.reset()
        purpose = "tuning" if seed >= TUNING_SEED else f"run {seed + 1}"
        label = f"{self.problem.name}, {self.label}, {purpose}"
        if rate:
            label += f", rate {rate:g}"
        measure = self.problem.measure
        clock = Clock(label, measure, seconds, self.chunk, self.timer)
        run(
            self.model,
            self.problem.data,
            clock,
            [Cosine(rate, clock)] if rate else [],
        )
        return clock.rows

    def tune(self):
        """Adam's rate, by runs as long as those shown; None for a solver."""
        if not self.is_adam:
            return None, "none to choose"
        seconds = self.problem.seconds
        best, tried = bracketed(
            lambda rate: self.run(TUNING_SEED, seconds, rate)[-1][2],
            self.problem.rate,
        )
        return best, f"{best:g} ({tried[0]:g} to {tried[-1]:g})"


def solve(problem, methods, timer):
    """A `Result` for each of the methods, keys of `OPTIMIZERS`."""
    results = {}
    for name in methods:
        race = Race(problem, name, timer)
        rate, note = race.tune()
        runs, weights = [], []
        for seed in range(problem.seeds):
            runs.append(race.run(seed, problem.seconds, rate))
            weights.append(problem.model.get_weights())
        results[name] = Result(race.tracing, runs, weights, note)
    return results
