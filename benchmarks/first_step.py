"""What does the first step cost, which traces, beside Adam's?

A network of 61 weights on 1,000 points, `train_on_batch` of a fresh model of
this package. Processor time, since tracing runs in one thread; Adam and the
others in turn. With --plain: in a plain Keras model, which traces a step of
Adam twice.
"""

import argparse
import time

import keras
import numpy as np
from _measure import interleaved, print_ratio

import keras_curvature
from keras_curvature import optimizers

OPTIMIZERS = {
    "Adam": keras.optimizers.Adam,
    "SecondOrderGradient": lambda: optimizers.SecondOrderGradient("adam"),
    "AdaHessian": optimizers.AdaHessian,
    "Sophia": optimizers.Sophia,
    "LBFGS": optimizers.LBFGS,
    "NewtonCG": optimizers.NewtonCG,
    "LevenbergMarquardt": optimizers.LevenbergMarquardt,
    "GaussNewton": optimizers.GaussNewton,
}
# They need a model of this package.
LEAST_SQUARES = ("LevenbergMarquardt", "GaussNewton")


def first_step(optimizer, model_class):
    """Seconds of the processor for the first step of a new model."""
    x = np.linspace(-1, 1, 1000, dtype="float32")[:, None]
    y = np.sinc(10 * x)
    model = model_class(
        [
            keras.Input((1,)),
            keras.layers.Dense(20, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer(), "mse")
    began = time.process_time()
    model.train_on_batch(x, y)
    return time.process_time() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    model_class = keras_curvature.Sequential
    names = list(OPTIMIZERS)
    if options.plain:
        model_class = keras.Sequential
        names = [name for name in names if name not in LEAST_SQUARES]
    cases = {
        name: lambda name=name: first_step(OPTIMIZERS[name], model_class)
        for name in names
    }
    cases["Adam"]()  # What TensorFlow loads once.
    seconds = interleaved(cases, options.repeats)
    for name in names[1:]:
        print_ratio(
            "first step, beside Adam's",
            seconds[name],
            seconds["Adam"],
            optimizer=name,
            model="plain" if options.plain else "ours",
        )


if __name__ == "__main__":
    main()
