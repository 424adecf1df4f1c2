"""What curvature is for: errors by the same clock, orders of magnitude apart.

Two problems whose solution is known, each solved by Adam, L-BFGS and
Levenberg-Marquardt on the whole data, in float64: Poisson's equation by a
physics-informed network (`pinn_poisson.py`), and NIST's fit Thurber, the
mobility of electrons in silicon (`nist.py`), its parameters in units of their
starting values. Each run has the same seconds of steps; curves are drawn from
`compile` on, so that they begin when the step is traced. Adam gets what it can
be given: its learning rate decays along a cosine to the end of the run, and is
the best of a bracket, chosen by the error itself. The solvers keep theirs.
"""

import _quiet  # noqa: F401, isort: skip

import statistics
import time

import keras
import nist
import numpy as np
import pinn_poisson
import tensorflow as tf
from _compare import TUNING_SEED
from _race import Problem, solve
from _report import arguments, new_figure, print_table, save_plot
from _solvers import OPTIMIZERS, relative_error

METHODS = ("levenberg_marquardt", "lbfgs", "adam")


def poisson(seconds, seeds, units=32, points=20):
    nodes, _ = np.polynomial.legendre.leggauss(points)
    inside = pinn_poisson.grid_of((nodes + 1) / 2)
    grid = pinn_poisson.grid_of(np.linspace(0, 1, 51))
    exact = pinn_poisson.exact(grid)
    grid = tf.constant(grid)

    # All before the first run: TensorFlow, given a seed, forgets its compiled
    # functions and optimizes them anew.
    starts = {}
    for seed in (*range(seeds), TUNING_SEED):
        keras.utils.set_random_seed(seed)
        fresh = pinn_poisson.Poisson(units)
        fresh.solution(grid[:1])
        starts[seed] = fresh.get_weights()

    return Problem(
        "Poisson",
        "Poisson's equation, by a network",
        "relative L2 error",
        pinn_poisson.Poisson(units),
        (inside, -2 * np.pi**2 * pinn_poisson.exact(inside)),
        starts,
        lambda model: relative_error(model.solution(grid), exact),
        seeds,
        seconds,
        rate=0.1,
    )


def thurber(seconds):
    problem = nist.read_problem("Thurber")
    formula, unit = nist.MODELS["Thurber"], problem.starts[0]

    def error(model):
        found = model.b.numpy() * unit
        return float(np.max(np.abs(found / problem.certified - 1)))

    return Problem(
        "Thurber",
        "NIST's fit Thurber, 7 parameters",
        "relative error of the worst parameter",
        nist.Regression(lambda b, x: formula(b * unit, x), len(unit)),
        (problem.x, problem.y),
        # Tuning has a start that is shown, which is in Adam's favor.
        {
            seed: [problem.starts[index] / unit]
            for seed, index in {0: 0, 1: 1, TUNING_SEED: 0}.items()
        },
        error,
        len(problem.starts),
        seconds,
        rate=0.01,
    )


def print_results(problem, results):
    print(f"\n{problem.title}, {problem.seconds:g} s of steps:")
    print(f"{problem.what}, median and worst of {problem.seeds} runs\n")
    headers = ("optimizer", "rate (tried)", "traced, s", "steps", "seconds")
    rows = []
    for name, result in results.items():
        ends = np.array([rows[-1] for rows in result.runs])
        steps, seconds, error = np.median(ends, axis=0)
        cells = f"{result.tracing:.1f}", f"{steps:.0f}", f"{seconds:.1f}"
        errors = f"{error:.1e}", f"{ends[:, 2].max():.1e}"
        rows.append((OPTIMIZERS[name][0], result.note, *cells, *errors))
    print_table((*headers, "error", "worst"), rows)
    print(f"\n{winner(results)}\n")


def winner(results):
    """Who ends with the lowest median error, and how far off others are."""
    ends = {name: statistics.median(r.errors) for name, r in results.items()}
    best, *others = sorted(ends, key=ends.get)
    factors = [
        f"{OPTIMIZERS[name][0]} by a factor of {ends[name] / ends[best]:.2g}"
        for name in others
    ]
    return f"Winner: {OPTIMIZERS[best][0]}, before {' and '.join(factors)}."


def draw_errors(axes, problem, results, cpu_time):
    """A line for each run; the point where a solver has arrived."""
    for name, result in results.items():
        label, _, color = OPTIMIZERS[name]
        for k, rows in enumerate(result.runs):
            _, seconds, errors = np.array(rows).T
            seconds = seconds + result.tracing
            axes.semilogy(
                seconds, errors, color=color, label=label if k == 0 else None
            )
            axes.plot(seconds[-1], errors[-1], "o", color=color, markersize=4)
    axes.set(
        title=problem.title,
        xlabel="processor seconds" if cpu_time else "seconds since compile",
        ylabel=problem.what,
        xlim=(0, None),
    )


def draw_map(figure, axes, problem, result):
    """The signed error of the first run, zero in white."""
    line = np.linspace(0, 1, 101)
    grid = pinn_poisson.grid_of(line)
    problem.model.set_weights(result.models[0])
    error = problem.model.solution(tf.constant(grid)) - pinn_poisson.exact(grid)
    error = error.numpy().reshape(101, 101)
    pinn_poisson.draw_signed(figure, axes, line, error)
    axes.set(title="signed error of LevenbergMarquardt", xlabel="x", ylabel="y")


def main(argv=None):
    parser = arguments(
        __doc__.splitlines()[0],
        seeds=(3, "runs of each method on Poisson's equation"),
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=4.0,
        help="of a run on Poisson's equation; the fit gets half of it",
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count seconds of the processor, on a machine that is not quiet",
    )
    options = parser.parse_args(argv)
    timer = time.process_time if options.cpu_time else time.perf_counter
    keras.config.set_floatx("float64")
    # Keras keeps the first policy that was asked for, as in another part of
    # the demo.
    keras.config.set_dtype_policy("float64")
    problems = (
        poisson(options.seconds, options.seeds),
        thurber(options.seconds / 2),
    )
    results = [solve(problem, METHODS, timer) for problem in problems]
    for problem, result in zip(problems, results, strict=True):
        print_results(problem, result)
    figure, axes = new_figure(3, None)
    draw_errors(axes[0], problems[0], results[0], options.cpu_time)
    draw_map(figure, axes[1], problems[0], results[0]["levenberg_marquardt"])
    draw_errors(axes[2], problems[1], results[1], options.cpu_time)
    plot = save_plot(figure, options.plots, "by_the_clock.png")
    print(f"Plot:       {plot.resolve()}")


if __name__ == "__main__":
    main()
