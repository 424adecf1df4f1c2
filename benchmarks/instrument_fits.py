"""Does `LevenbergMarquardt()` find the minimum that SciPy finds?

Fits of instrument data, in float64, without any argument, beside the best of
SciPy's `least_squares` by `lm` and `trf`, with and without scaling, which has
the same derivatives. A table: χ² per point of both, the steps, and the
evaluations of SciPy's best. A fit is found where χ² is not above SciPy's by
more than 1e-8 of it.
"""

import argparse
import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _instrument_problems import NAMES, made
from scipy.optimize import least_squares

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt


class Curve(keras_curvature.Model):
    """The curve in units of σ, at the places that are asked for."""

    def __init__(self, curve, x, sigma, start):
        super().__init__()
        self.curve, self.count = curve, len(start)
        self.x, self.sigma = tf.constant(x), tf.constant(sigma)
        self.b = self.add_weight(shape=(self.count,), name="b")
        self.b.assign(start)

    def values(self, b):
        return self.curve(self.x, tf.unstack(b, self.count)) / self.sigma

    def call(self, index):
        return tf.gather(self.values(tf.convert_to_tensor(self.b)), index)


def scipys_best(model, y, start):
    """`(χ² per point, method, evaluations)` of the best of four runs."""

    @tf.function
    def values_and_jacobian(b):
        with tf.GradientTape() as tape:
            tape.watch(b)
            values = model.values(b)
        return values, tape.jacobian(values, b)

    def both(b):
        return [part.numpy() for part in values_and_jacobian(tf.constant(b))]

    runs = []
    for method, scale in itertools.product(("lm", "trf"), (1.0, "jac")):
        try:
            found = least_squares(
                lambda b: both(b)[0] - y,
                start,
                lambda b: both(b)[1],
                method=method,
                x_scale=scale,
                max_nfev=2000,
                **dict.fromkeys(("ftol", "xtol", "gtol"), 1e-14),
            )
        except ValueError:  # Not finite on the way.
            continue
        runs.append((2 * found.cost / len(y), f"{method} {scale}", found.nfev))
    return min(runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    print(f"{'':24} {'ours':>12} steps {'SciPy':>12} evaluations")
    count = 0
    for name in options.problems:
        curve, x, y, sigma, start = made(name, options.seed)
        model = Curve(curve, x, sigma, start)
        best, method, evaluations = scipys_best(model, y / sigma, start)
        model.compile(LevenbergMarquardt(), "mse")
        index = np.arange(len(x))
        result = keras_curvature.solve(
            model, index, y / sigma, max_steps=options.steps, verbose=0
        )
        residuals = model.values(model.b.value).numpy() - y / sigma
        loss = float(np.mean(residuals**2))
        is_found = loss <= best * (1 + 1e-8)
        count += is_found
        print(
            f"{name:24} {loss:12.8f} {result.steps:5d} {best:12.8f} "
            f"{evaluations:5d} ({method}){'' if is_found else '  missed'}",
            flush=True,
        )
    print(f"found: {count} of {len(options.problems)}")


if __name__ == "__main__":
    main()
