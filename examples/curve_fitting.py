"""The sinc curve fitted by a network of 61 weights, on the whole data.

y = sinc(10x) at 20,000 points of −1 ≤ x ≤ 1, one hidden layer of 20 tanh
units: small and smooth, yet first-order methods stall on it.
"""

import _quiet  # noqa: F401, isort: skip

import keras
import numpy as np
from _report import arguments, new_figure
from _solvers import OPTIMIZERS, add_options, draw_errors, report, train

import keras_curvature


def make_model(seed):
    keras.utils.set_random_seed(seed)
    return keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(20, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


def main():
    parser = arguments(
        __doc__.splitlines()[0],
        points=(20_000, "points of the curve"),
        seed=(0, "of the weights"),
    )
    options = add_options(parser, seconds=20.0).parse_args()
    keras.config.set_floatx("float64")
    x = np.linspace(-1, 1, options.points)[:, None]
    y = np.sinc(10 * x)
    sample = slice(None, None, max(1, options.points // 2000))

    def predictions(model):
        return model(x[sample]).numpy()

    runs, models = {}, {}
    for name in options.optimizers:
        models[name], runs[name] = train(
            lambda: make_model(options.seed),
            name,
            (x, y),
            lambda model: float(np.mean((predictions(model) - y[sample]) ** 2)),
            options.seconds,
        )
    figure, (left, right) = new_figure(2, "sinc(10x), 61 weights")
    draw_errors(left, runs, "mean squared error")
    right.plot(x, y, color="black", lw=3, alpha=0.3, label="sinc")
    for name, model in models.items():
        label, _, color = OPTIMIZERS[name]
        right.plot(
            x[sample], predictions(model), "--", color=color, label=label
        )
    right.set(xlabel="x", ylabel="y", xticks=(-1, 0, 1))
    report(runs, figure, options.plots, "curve_fitting.png")


if __name__ == "__main__":
    main()
