"""Which error after how many seconds on problems of published records?

Physics-informed networks in float64, with conditions that have points of their
own or are met by construction; `_record_problems.py` has them all (relative L2
error against closed forms, quadrature or a spectral solution):

    poisson-2d  −Δu = 2π² sin πx sin πy, 900 + 120 points, 2-64-1.
                6.1e-8 in 468 s (RTX 6000), arXiv:2405.15603
    poisson-5d  −Δu = π² Σ cos πxᵢ, 3,000 + 500 points, 5-64-1, drawn anew
                every 5 steps. 5.6e-8 in 3,000 s (RTX 6000), the same paper
    poisson-5d-deep
                the same with 1,200 + 300 points, 5-64-64-48-48-1. 2.6e-7 in
                7,000 s (GPU), arXiv:2505.12149
    heat        u_t = u_xx/4, u = sin πx at t = 0, 900 + 120 points, 2-64-1.
                2.0e-8 in 1,000 s (RTX 6000), the same paper
    burgers     u_t + u·u_x = 0.01/π·u_xx, u = −sin πx at t = 0. 4.0e-5 in
                179 s, 1.6e-8 in 2,878 s (GPU), arXiv:2501.16371
    allen-cahn  u_t = 1e-4·u_xx + 5·(u − u³), u = x²·cos πx at t = 0, with
                period 2. 9.4e-7 (GPU), the same paper
    helmholtz   Δu + u = (1 − 17π²)·sin πx·sin 4πy, with period 2. 2.0e-9 in
                540 s (GPU), arXiv:2604.05230

The seconds are those of the steps and of drawing points; the first step, which
traces, and measuring the error are left out. All of it is one run of `solve`,
after `--adam-steps` of `fit`, whose drawing does not count. `--optimizer` takes
another one: with `burgers --form periodic --optimizer ssbroyden
--initial-inverse identity --adam-steps 5000 --iterations 10000` the set-up of
the public code of arXiv:2405.04230. `--plot` draws runs that `--save` has
written beside the published ones.
"""

import argparse
import json
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf
from _measure import print_figure
from _record_optimizers import adam, add_arguments, optimizer_of, warm_up
from _record_pictures import draw_records
from _record_problems import PROBLEMS

import keras_curvature
from keras_curvature.training import residual_based_points


def layers_of(hidden, spread, gain):
    """The layers of a network, those of tanh and the last one."""
    layers = [keras.layers.Dense(n, activation="tanh") for n in hidden]
    layers.append(keras.layers.Dense(1))
    if spread:
        # Keras begins with small weights and without biases: all units of the
        # first layer are then alike, nearly linear in the box.
        wide = keras.initializers.RandomNormal(stddev=spread)
        layers[0].kernel_initializer = wide
        layers[0].bias_initializer = wide.clone()
    if gain:
        # The later layers are nearly linear where their inputs are small, and
        # the last one makes up for that: a deep network begins as one of the
        # first layer alone.
        gains = [gain] * (len(hidden) - 1) + [gain ** (1 - len(hidden))]
        for layer, scale in zip(layers[1:], gains, strict=True):
            layer.kernel_initializer = keras.initializers.Orthogonal(scale)
    return layers


class Network(keras_curvature.Model):
    """Residuals of an equation, and u where a condition gives it."""

    def __init__(self, problem, hidden):
        super().__init__()
        self.problem = problem
        self.network = keras.Sequential(
            [
                keras.Input((problem.inputs,)),
                *layers_of(hidden, problem.spread, problem.gain),
            ]
        )

    def u(self, points):
        return self.problem.solution(self.network, points)

    def equation(self, points):
        """Its left side, of shape `(n, 1)`."""
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(points)
            with tf.GradientTape() as inner:
                inner.watch(points)
                u = self.u(points)
            slope = inner.gradient(u, points)
            first = tf.split(slope, slope.shape[1], axis=1)
        second = {
            i: outer.gradient(first[i], points)[:, i : i + 1]
            for i in self.problem.curved
        }
        return self.problem.equation(points, u, first, second)

    def call(self, points):
        return {
            name: self.u(rows) if name != "equation" else self.equation(rows)
            for name, rows in points.items()
        }


class Draws:
    """Points and their targets, of which some are where residuals are."""

    def __init__(self, problem, seed):
        self.problem, self.rng = problem, np.random.default_rng(seed)
        self.drawn = 0

    def __call__(self, model=None):
        self.drawn += 1
        counts = self.problem.counts
        x = {"equation": self.of_equation(model, counts["equation"])}
        y = {"equation": self.problem.source(x["equation"])}
        if "boundary" in counts:
            x["boundary"], y["boundary"] = self.problem.boundary(
                counts["boundary"], self.rng
            )
        return x, y

    def of_equation(self, model, count):
        if model is None or not self.problem.by_residual:
            return self.at_times(count)
        candidates = self.at_times(5 * count)
        residuals = model.equation(tf.constant(candidates)).numpy()
        residuals -= self.problem.source(candidates)
        return residual_based_points(
            candidates, residuals, count, seed=self.rng
        )

    def at_times(self, count):
        points = self.problem.draw(count, self.rng)
        points[:, -1] *= min(1.0, self.drawn / self.problem.growing)
        return points


class Errors(keras.callbacks.Callback):
    """Prints and keeps the error after each epoch; ends when time is over."""

    def __init__(self, problem, options):
        super().__init__()
        self.options, self.seconds, self.step = options, 0.0, 0
        self.clock = (
            time.process_time if options.cpu_time else time.perf_counter
        )
        self.points, self.exact = problem.truth()
        self.rows = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = self.clock()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds += self.clock() - self.began
        self.step += self.params["steps"]
        error = self.model.u(tf.constant(self.points)).numpy() - self.exact
        row = {
            "step": self.step,
            "seconds": self.seconds,
            "loss": logs["loss"],
            "error": float(np.linalg.norm(error) / np.linalg.norm(self.exact)),
        }
        # Steps are evaluations; a line search makes one iteration of several.
        if "accepted_steps" in logs:
            row["iterations"] = int(logs["accepted_steps"])
        self.rows.append(row)
        print_figure(
            "relative L2 error over seconds",
            problem=self.options.problem,
            seed=self.options.seed,
            **row,
        )
        # After each row: what a run has found outlives it.
        if self.options.save:
            found = vars(self.options) | {"rows": self.rows}
            pathlib.Path(self.options.save).write_text(json.dumps(found))
        is_over = row.get("iterations", 0) >= self.options.iterations
        if self.seconds > self.options.seconds or is_over:
            self.model.stop_training = True


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("problem", choices=PROBLEMS, nargs="?")
    add("--seconds", type=float, default=60)
    add("--iterations", type=int, default=10**9, help="of a line search")
    add("--cpu-time", action="store_true", help="seconds of the processor")
    add("--seed", type=int, default=0)
    add("--every", type=int, default=25, help="steps between two errors")
    add("--hidden", type=int, nargs="+", help="widths of the tanh layers")
    add("--points", type=int, nargs="+", help="of equation, and condition")
    add("--form", help="of conditions: odd, hard, periodic or soft")
    add("--weight", type=float, help="of the soft condition")
    add("--spread", type=float, help="of the first weights, 0: Keras's own")
    add("--gain", type=float, help="of the later layers, 0: Keras's own")
    add("--resample-period", type=int, help="steps; 0: one draw of points")
    add("--growing", type=int, help="draws until points are at all t")
    add_arguments(parser)
    add("--save", help="JSON file of the run")
    add("--plot", nargs="+", metavar="FILE", help="saved runs, to be drawn")
    add("--picture", default="records.png", help="what --plot writes")
    options = parser.parse_args()
    if bool(options.problem) == bool(options.plot):
        parser.error("give a problem to run, or --plot with saved runs")
    if options.problem:
        forms = PROBLEMS[options.problem].forms
        if options.form not in (None, *forms):
            parser.error(f"{options.problem} has --form {' or '.join(forms)}")
    return options


def configured(options):
    """The problem as the options have it; they get its own defaults."""
    problem = PROBLEMS[options.problem](options.form)
    if options.points:
        problem.counts = dict(zip(problem.counts, options.points, strict=True))
    for name in (
        "resample_period",
        "growing",
        "spread",
        "gain",
        "weight",
        "scaling",
    ):
        if getattr(options, name) is None:
            setattr(options, name, getattr(problem, name))
        setattr(problem, name, getattr(options, name))
    options.form = problem.form
    options.hidden = list(options.hidden or problem.hidden)
    options.points = list(problem.counts.values())
    return problem


def run(options):
    keras.config.set_floatx("float64")
    keras.utils.set_random_seed(options.seed)
    problem = configured(options)
    model = Network(problem, options.hidden)
    weights = [1.0, *[options.weight] * (len(problem.counts) - 1)]
    settings = {
        "loss": dict.fromkeys(problem.counts, "mse"),
        "loss_weights": dict(zip(problem.counts, weights, strict=True)),
        "jit_compile": False,
    }
    draws, errors = Draws(problem, options.seed), Errors(problem, options)
    data = draws()
    if options.adam_steps:
        model.compile(adam(), **settings)
        data = warm_up(model, draws, data, options, errors)
    model.compile(optimizer_of(options), **settings)
    # The first step traces, which is no part of the record; it counts as one.
    keras_curvature.solve(model, *data, max_steps=1, verbose=0)
    return keras_curvature.solve(
        model,
        *data,
        max_steps=10**6,
        steps_per_epoch=options.every,
        callbacks=[errors],
        resample=draws if problem.resample_period else None,
        resample_period=problem.resample_period or 1,
        verbose=0,
    )


def main():
    options = arguments()
    if options.plot:
        print(draw_records(options.plot, options.picture))
    else:
        print(run(options))


if __name__ == "__main__":
    main()
