"""NIST's reference problems of nonlinear regression, as Keras models.

Each problem has certified parameters to eleven digits and two starting points,
the first far from the solution. A model whose weights are the parameters is
compiled with an optimizer and the mean squared error and fitted to the data;
what counts is how many digits of every parameter are right.
"""

import _quiet  # noqa: F401, isort: skip

import pathlib
import re
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

import keras_curvature

DATA = pathlib.Path(__file__).parent / "data" / "nist_strd"


def exponentials(b, x):
    return (
        b[0] * ops.exp(-b[1] * x)
        + b[2] * ops.exp(-b[3] * x)
        + b[4] * ops.exp(-b[5] * x)
    )


def two_peaks(b, x):
    return (
        b[0] * ops.exp(-b[1] * x)
        + b[2] * ops.exp(-(((x - b[3]) / b[4]) ** 2))
        + b[5] * ops.exp(-(((x - b[6]) / b[7]) ** 2))
    )


def chwirut(b, x):
    return ops.exp(-b[0] * x) / (b[1] + b[2] * x)


def enso(b, x):
    year, first, second = (2 * np.pi * x / t for t in (12, b[3], b[6]))
    return (
        b[0]
        + b[1] * ops.cos(year)
        + b[2] * ops.sin(year)
        + b[4] * ops.cos(first)
        + b[5] * ops.sin(first)
        + b[7] * ops.cos(second)
        + b[8] * ops.sin(second)
    )


def hahn(b, x):
    above = b[0] + x * (b[1] + x * (b[2] + x * b[3]))
    return above / (1 + x * (b[4] + x * (b[5] + x * b[6])))


def kirby(b, x):
    return (b[0] + x * (b[1] + x * b[2])) / (1 + x * (b[3] + x * b[4]))


def mgh09(b, x):
    return b[0] * x * (x + b[1]) / (x * (x + b[2]) + b[3])


def peak(b, x):
    return b[0] / b[1] * ops.exp(-(((x - b[2]) / b[1]) ** 2) / 2)


def roszman(b, x):
    return b[0] - b[1] * x - ops.arctan(b[2] / (x - b[3])) / np.pi


MODELS = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": lambda b, x: b[0] * (1 - ops.exp(-b[1] * x)),
    "Chwirut1": chwirut,
    "Chwirut2": chwirut,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": enso,
    "Eckerle4": peak,
    "Gauss1": two_peaks,
    "Gauss2": two_peaks,
    "Gauss3": two_peaks,
    "Hahn1": hahn,
    "Kirby2": kirby,
    "Lanczos1": exponentials,
    "Lanczos2": exponentials,
    "Lanczos3": exponentials,
    "MGH09": mgh09,
    "MGH10": lambda b, x: b[0] * ops.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: (
        b[0] + b[1] * ops.exp(-x * b[3]) + b[2] * ops.exp(-x * b[4])
    ),
    "Misra1a": lambda b, x: b[0] * (1 - ops.exp(-b[1] * x)),
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** -2.0),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[:, :1] * ops.exp(-b[2] * x[:, 1:]),
    "Rat42": lambda b, x: b[0] / (1 + ops.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + ops.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": roszman,
    "Thurber": hahn,
}


class Problem(NamedTuple):
    """Data, starting points `(2, parameters)` and certified parameters."""

    name: str
    x: np.ndarray
    y: np.ndarray
    starts: np.ndarray
    certified: np.ndarray


def read_problem(name, folder=DATA):
    """The problem of a file in NIST's format."""
    lines = (pathlib.Path(folder) / f"{name}.dat").read_text().splitlines()
    found = (re.match(r"\s*b\d+\s*=\s*(\S.*)", line) for line in lines[:60])
    values = np.array([f[1].split() for f in found if f], float)
    data = np.array([line.split() for line in lines[60:] if line], float)
    y = np.log(data[:, :1]) if name == "Nelson" else data[:, :1]
    return Problem(name, data[:, 1:], y, values[:, :2].T, values[:, 2])


class Regression(keras_curvature.Model):
    """A model whose only weights are the parameters of a formula."""

    def __init__(self, formula, parameters):
        super().__init__()
        self.formula = formula
        self.b = self.add_weight(shape=(parameters,), name="b")

    def call(self, x):
        return self.formula(self.b, x)


def correct_digits(model, certified):
    """The digits that are right in the worst parameter, from 0 to 11."""
    error = np.abs(model.b.numpy() - certified) / np.abs(certified)
    digits = -np.log10(np.clip(error, 1e-11, 1))
    return float(np.min(np.where(np.isnan(digits), 0, digits)))


def fitted(problem, make_optimizer, steps):
    """Digits and steps of a fit from each of the starting points."""
    model = Regression(MODELS[problem.name], len(problem.certified))
    model.compile(make_optimizer(), "mse", jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    fresh = [variable.numpy() for variable in model.optimizer.variables]
    data = tf.data.Dataset.from_tensors((problem.x, problem.y)).repeat()
    results = []
    for start in problem.starts:
        model.b.assign(start)
        for variable, value in zip(
            model.optimizer.variables, fresh, strict=True
        ):
            variable.assign(value)
        if isinstance(model.optimizer, keras_curvature.optimizers.Solver):
            model.optimizer.reset()
        model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)
        taken = int(model.optimizer.iterations.numpy())
        results.append((correct_digits(model, problem.certified), taken))
    return results


def main():
    # Here, so that the tests can read the models without matplotlib.
    from _report import arguments, new_figure, print_table, save_plot
    from _solvers import OPTIMIZERS

    parser = arguments(
        __doc__.splitlines()[0],
        steps=(1000, "most steps of each fit"),
    )
    parser.add_argument("--problems", nargs="+", default=list(MODELS))
    parser.add_argument(
        "--optimizers",
        nargs="+",
        choices=OPTIMIZERS,
        default=["levenberg_marquardt", "adam"],
    )
    options = parser.parse_args()
    keras.config.set_floatx("float64")
    rows, digits = [], {name: [] for name in options.optimizers}
    for problem in map(read_problem, options.problems):
        for name in options.optimizers:
            label, make_optimizer, _ = OPTIMIZERS[name]
            if name == "levenberg_marquardt":
                make_optimizer = keras_curvature.optimizers.LevenbergMarquardt
            results = fitted(problem, make_optimizer, options.steps)
            digits[name].append([d for d, _ in results])
            cells = [f"{d:.1f} ({n})" for d, n in results]
            rows.append([problem.name, label, *cells])
            print(*rows[-1], flush=True)
    print()
    print_table(("problem", "optimizer", "start 1: digits (steps)", "2"), rows)
    figure, axes = new_figure(2, "Correct digits of the worst parameter")
    for start, ax in enumerate(axes):
        for name, values in digits.items():
            label, _, color = OPTIMIZERS[name]
            worst = np.clip(np.array(values)[:, start], 0, 11)
            ax.plot(worst, options.problems, "o", color=color, label=label)
        ax.set(title=f"start {start + 1}", xlabel="digits", xlim=(-0.5, 11.5))
    print(f"\nPlot: {save_plot(figure, options.plots, 'nist.png')}")


if __name__ == "__main__":
    main()
