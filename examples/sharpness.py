"""Sharpness along a training, beside 2 / learning rate.

Gradient descent on all data at once walks into valleys that get narrower,
until the largest eigenvalue of the Hessian has reached 2 / learning rate, and
hovers there, at the edge of stability. SecondOrderGradient, which adds the
gradient of the gradient's norm, stays in flatter ones. The curve is the
Chebyshev polynomial of degree 5 at 20 points, as in Cohen et al., 2021,
"Gradient descent on neural networks typically occurs at the edge of
stability", arXiv 2103.00065.
"""

import _quiet  # noqa: F401, isort: skip

import time
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from _report import (
    BLUE,
    GREY,
    ORANGE,
    arguments,
    new_figure,
    print_table,
    save_plot,
    use_log_scale,
)
from keras.optimizers import SGD

from keras_curvature.callbacks import CurvatureMonitor
from keras_curvature.optimizers import SecondOrderGradient


class Run(NamedTuple):
    make: Callable
    rate: float
    color: str


def flat(rate):
    return SecondOrderGradient(SGD(rate), curvature_weight=0.03, normalize=True)


RUNS = {
    "gradient descent, 0.1": Run(SGD, 0.1, ORANGE),
    "gradient descent, 0.2": Run(SGD, 0.2, GREY),
    "SecondOrderGradient, 0.1": Run(flat, 0.1, BLUE),
}


def make_model(optimizer, units, steps):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(units, activation="tanh"),
            keras.layers.Dense(units, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(
        optimizer, "mse", jit_compile=False, steps_per_execution=steps
    )
    return model


def train(run, data, options):
    """The losses, and what the monitor saw."""
    model = make_model(run.make(run.rate), options.units, options.every)
    monitor = CurvatureMonitor(*data, probes=0)
    history = model.fit(
        tf.data.Dataset.from_tensors(data).repeat(),
        steps_per_epoch=options.every,
        epochs=options.steps // options.every,
        callbacks=[monitor],
        # Keras warns otherwise that it cannot shuffle a Dataset.
        shuffle=False,
        verbose=0,
    ).history
    return history["loss"], monitor.history


def load_data():
    x = np.linspace(-1, 1, 20)[:, np.newaxis]
    y = np.cos(5 * np.arccos(x))
    return x.astype("float32"), y.astype("float32")


def main():
    options = arguments(
        __doc__.splitlines()[0],
        steps=(3000, "steps of each training"),
        every=(50, "steps between measurements"),
        units=(32, "units of each hidden layer"),
    ).parse_args()
    began = time.perf_counter()
    data = load_data()
    figure, (left, right) = new_figure(2, "Sharpness along a training")
    rows = []
    for name, run in RUNS.items():
        losses, seen = train(run, data, options)
        sharpness, limit = seen["sharpness"], seen["two_over_learning_rate"]
        rows.append(
            [
                name,
                f"{limit[-1]:.1f}",
                f"{sharpness[0]:.1f}",
                f"{max(sharpness):.1f}",
                f"{sharpness[-1]:.1f}",
                f"{losses[-1]:.4f}",
            ]
        )
        left.plot(seen["step"], sharpness, color=run.color, label=name)
        left.axhline(limit[-1], color=run.color, linestyle=":")
        right.plot(seen["step"][1:], losses, color=run.color)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    print()
    print_table(
        ("optimizer, rate", "2 / rate", "at first", "largest", "last", "loss"),
        rows,
    )
    left.set(xlabel="steps", ylabel="largest eigenvalue; dotted: 2 / rate")
    right.set(xlabel="steps", ylabel="training loss")
    use_log_scale(right)
    plot = save_plot(figure, options.plots, "sharpness.png")
    print(f"\nPlot: {plot.resolve()}")


if __name__ == "__main__":
    main()
