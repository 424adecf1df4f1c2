"""A fit with its errors: the growth of onions, and what the data leave open.

Fifteen dry weights of onions (NIST's Rat43) and a growth curve of four
parameters, b₁ / (1 + exp(b₂ − b₃·x))^(1/b₄). Prints the parameters with their
standard errors beside those of SciPy's curve_fit and NIST's certified values,
and draws the bands of confidence and of prediction.
"""

import _quiet  # noqa: F401, isort: skip

import keras
import numpy as np
from _report import (
    BLUE,
    GREY,
    ORANGE,
    arguments,
    new_figure,
    print_table,
    save_plot,
)
from nist import MODELS, Regression, read_problem
from scipy import optimize, stats

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt
from keras_curvature.uncertainty import parameter_covariance

# NIST's, of b₁ to b₄.
CERTIFIED_ERRORS = (
    1.6302297817e1,
    2.0828735829,
    1.9566123451e-1,
    6.8761936385e-1,
)


def formula(x, *b):
    """The curve for SciPy, in NumPy."""
    return b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3])


def fitted(problem):
    """A model at the minimum, and the errors of its weights."""
    model = Regression(MODELS[problem.name], len(problem.certified))
    model.compile(LevenbergMarquardt(), "mse")
    model.b.assign(problem.starts[1])
    print(keras_curvature.solve(model, problem.x, problem.y, verbose=0))
    return model, parameter_covariance(model, problem.x, problem.y)


def curve_fit_band(best, covariance, x, level):
    """Half the confidence band of curve_fit's result, by differences."""
    steps = 1e-6 * np.abs(best)
    columns = [
        (formula(x, *(best + unit)) - formula(x, *(best - unit))) / (2 * step)
        for unit, step in zip(np.diag(steps), steps, strict=True)
    ]
    rows = np.stack(columns, 1)
    variance = np.einsum("ij,jk,ik->i", rows, covariance, rows)
    return stats.t(15 - 4).ppf(0.5 + level / 2) * np.sqrt(variance)


def draw_curve(ax, problem, errors, scipy_fit, level):
    """The curve with its bands, and that of curve_fit."""
    x = np.linspace(0.5, 15.5, 300)
    inputs = x[:, None]
    for band, color, label in (
        (errors.prediction_band(inputs, level), GREY, "new observations"),
        (errors.confidence_band(inputs, level), BLUE, "the curve"),
    ):
        low, high = (end[:, 0] for end in band)
        label = f"{level:.0%} band of {label}"
        ax.fill_between(
            x, low, high, color=color, alpha=0.25, lw=0, label=label
        )
    ax.plot(x, errors.model(inputs).numpy()[:, 0], color=BLUE, label="fit")
    half = curve_fit_band(*scipy_fit, x, level)
    label = "curve_fit's band of the curve"
    for end, name in ((-half, None), (half, label)):
        curve = formula(x, *scipy_fit[0]) + end
        ax.plot(x, curve, "--", color=ORANGE, lw=1.2, label=name)
    ax.plot(problem.x[:, 0], problem.y[:, 0], "ko", ms=4, label="measured")
    ax.set(xlabel="week", ylabel="dry weight of an onion")


def draw_intervals(ax, errors, scipy_fit, level):
    """The parameters' intervals, ours and those of curve_fit."""
    places, best = np.arange(4), errors.estimates
    low, high = errors.confidence_intervals(level).T / best
    options = {"fmt": "o", "ms": 4, "capsize": 4}
    ax.errorbar(
        places, np.ones(4), [1 - low, high - 1], color=BLUE,
        label="keras_curvature", **options,
    )  # fmt: skip
    reach = stats.t(11).ppf(0.5 + level / 2) * np.sqrt(np.diag(scipy_fit[1]))
    ax.errorbar(
        places + 0.12, scipy_fit[0] / best, reach / best, color=ORANGE,
        label="curve_fit", **options,
    )  # fmt: skip
    ax.axhline(1, color=GREY, lw=0.8)
    ax.set(
        xticks=places, xticklabels=[f"$b_{k + 1}$" for k in range(4)],
        ylabel="parameter / estimate",
        title=f"{level:.0%} intervals, those of curve_fit in orange",
    )  # fmt: skip


def main():
    parser = arguments(
        __doc__.splitlines()[0],
        level=(0.95, "how often an interval holds the true value"),
    )
    options = parser.parse_args()
    keras.config.set_floatx("float64")
    problem = read_problem("Rat43")
    _, errors = fitted(problem)
    scipy_fit = optimize.curve_fit(
        formula, problem.x[:, 0], problem.y[:, 0], problem.starts[1]
    )
    print(f"\n{errors}\n")
    _, covariance = scipy_fit
    columns = zip(
        errors.names,
        errors.estimates,
        errors.standard_errors,
        np.sqrt(np.diag(covariance)),
        CERTIFIED_ERRORS,
        strict=True,
    )
    print_table(
        ("", "estimate", "standard error", "curve_fit", "certified"),
        [[name, *(f"{v:.10g}" for v in values)] for name, *values in columns],
    )
    correlations = np.round(errors.correlations, 3)
    print(f"\nCorrelations:\n{correlations}")
    figure, (left, right) = new_figure(2, "Growth of onions (NIST's Rat43)")
    draw_curve(left, problem, errors, scipy_fit, options.level)
    draw_intervals(right, errors, scipy_fit, options.level)
    print(f"\nPlot: {save_plot(figure, options.plots, 'error_bars.png')}")


if __name__ == "__main__":
    main()
