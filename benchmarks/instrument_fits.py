"""Does `LevenbergMarquardt()` find the minimum that SciPy finds?

Fits of instrument data, in float64, without any argument, beside the best of
SciPy's `least_squares` by `lm` and `trf`, with and without scaling, which has
the same derivatives; `trf` alone where there are outliers, and a loss for them,
or bounds. A table: χ² per point of both, the steps, and the evaluations of
SciPy's best. A fit is found where χ² is not above SciPy's by more than 1e-8 of
it. With outliers χ² is twice the loss.
"""

import argparse
import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _instrument_problems import NAMES, made
from _instrument_variants import LOSSES, SCALE, bounds
from scipy.optimize import least_squares

import keras_curvature
from keras_curvature.constraints import Box
from keras_curvature.losses import Arctan, Cauchy, SoftL1
from keras_curvature.optimizers import LevenbergMarquardt

# Ours, and SciPy's formula of twice the loss from z, the square of e/C.
_ROBUST = {
    "soft_l1": (SoftL1, lambda z: 2 * (np.sqrt(1 + z) - 1)),
    "huber": (
        keras.losses.Huber,
        lambda z: np.where(z < 1, z, 2 * np.sqrt(z) - 1),
    ),
    "cauchy": (Cauchy, np.log1p),
    "arctan": (Arctan, np.arctan),
}


class Curve(keras_curvature.Model):
    """The curve in units of σ, at the places that are asked for."""

    def __init__(self, curve, x, sigma, start, box):
        super().__init__()
        self.curve, self.count = curve, len(start)
        self.x, self.sigma = tf.constant(x), tf.constant(sigma)
        self.b = self.add_weight(shape=(self.count,), constraint=box, name="b")
        self.b.assign(start)

    def values(self, b):
        return self.curve(self.x, tf.unstack(b, self.count)) / self.sigma

    def call(self, index):
        return tf.gather(self.values(tf.convert_to_tensor(self.b)), index)


def chi_squared(residuals, loss):
    """For each point; of outliers what the loss leaves of them."""
    squares = residuals**2
    if loss is not None:
        squares = SCALE**2 * _ROBUST[loss][1](squares / SCALE**2)
    return float(np.mean(squares))


def scipys_best(model, y, start, loss, limits):
    """`(χ² per point, method, evaluations)` of the best of four runs."""

    @tf.function
    def values_and_jacobian(b):
        with tf.GradientTape() as tape:
            tape.watch(b)
            values = model.values(b)
        return values, tape.jacobian(values, b)

    def both(b):
        return [part.numpy() for part in values_and_jacobian(tf.constant(b))]

    runs, methods, options = [], ("lm", "trf"), {}
    if loss is not None:
        methods, options = ("trf",), {"loss": loss, "f_scale": SCALE}
    if np.isfinite(limits).any():
        methods, options["bounds"] = ("trf",), limits
    for method, scale in itertools.product(methods, (1.0, "jac")):
        try:
            found = least_squares(
                lambda b: both(b)[0] - y,
                start,
                lambda b: both(b)[1],
                method=method,
                x_scale=scale,
                max_nfev=2000,
                **options,
                **dict.fromkeys(("ftol", "xtol", "gtol"), 1e-14),
            )
        except ValueError:  # Not finite on the way.
            continue
        chi = chi_squared(both(found.x)[0] - y, loss)
        runs.append((chi, f"{method} {scale}", found.nfev))
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
        loss, limits = LOSSES.get(name), bounds(name, len(start))
        box = Box(*limits) if np.isfinite(limits).any() else None
        model = Curve(curve, x, sigma, start, box)
        best, method, evaluations = scipys_best(
            model, y / sigma, start, loss, limits
        )
        ours = "mse" if loss is None else _ROBUST[loss][0](SCALE)
        model.compile(LevenbergMarquardt(), ours)
        index = np.arange(len(y))
        result = keras_curvature.solve(
            model,
            index,
            (y / sigma)[:, None],
            max_steps=options.steps,
            verbose=0,
        )
        residuals = model.values(model.b.value).numpy() - y / sigma
        chi = chi_squared(residuals, loss)
        is_found = chi <= best * (1 + 1e-8)
        count += is_found
        print(
            f"{name:24} {chi:12.8f} {result.steps:5d} {best:12.8f} "
            f"{evaluations:5d} ({method}){'' if is_found else '  missed'}",
            flush=True,
        )
    print(f"found: {count} of {len(options.problems)}")


if __name__ == "__main__":
    main()
