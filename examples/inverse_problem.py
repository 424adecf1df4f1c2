"""The diffusivity of a rod from a few noisy thermometers.

The temperature u(x, t) obeys uₜ = k·uₓₓ with u = sin πx + sin(3πx)/2 at t = 0
and u = 0 at both ends; k is unknown. A network stands for u, and k is one more
weight of the model. Its conditions have point sets of their own: the equation
inside, the ends, the beginning and the measurements. The points of the
equation are drawn anew every few steps, more of them where the residual is
large. The exact solution, for k = 0.1, is e^(−kπ²t)·sin πx + e^(−9kπ²t)·
sin(3πx)/2.
"""

import _quiet  # noqa: F401, isort: skip

import time

import keras
import numpy as np
import tensorflow as tf
from _report import BLUE, ORANGE, arguments, new_figure, save_plot

import keras_curvature
from keras_curvature.training import (
    lattice_points,
    residual_based_points,
    uniform_points,
)

DIFFUSIVITY = 0.1
LOW, HIGH = (0.0, 0.0), (1.0, 1.0)


class HeatedRod(keras_curvature.Model):
    """Maps the points of each condition to its residuals."""

    def __init__(self, units):
        super().__init__()
        self.field = keras.Sequential(
            [
                keras.Input((2,)),
                keras.layers.Dense(units, activation="tanh"),
                keras.layers.Dense(units, activation="tanh"),
                keras.layers.Dense(1),
            ]
        )
        self.diffusivity = self.add_weight(shape=(), initializer="ones")

    def residual(self, points):
        """uₜ − k·uₓₓ."""
        with tf.GradientTape() as outer:
            outer.watch(points)
            with tf.GradientTape() as inner:
                inner.watch(points)
                u = self.field(points)
            slope = inner.gradient(u, points)
            u_x = slope[:, 0]
        u_xx = outer.gradient(u_x, points)[:, :1]
        return slope[:, 1:] - self.diffusivity * u_xx

    def call(self, points):
        conditions = {
            name: self.field(points[name])
            for name in ("ends", "start", "measured")
        }
        return conditions | {"equation": self.residual(points["equation"])}


def exact(points):
    x, t = points[:, :1], points[:, 1:]
    decay = -DIFFUSIVITY * np.pi**2 * t
    slow = np.exp(decay) * np.sin(np.pi * x)
    return slow + np.exp(9 * decay) * np.sin(3 * np.pi * x) / 2


def make_data(options):
    """`(points, targets)` of each condition."""
    rng = np.random.default_rng(options.seed)
    line = np.linspace(0, 1, 40)[:, None]
    ends = [
        np.hstack([np.full_like(line, x), line]) for x in LOW[:1] + HIGH[:1]
    ]
    measured = uniform_points(options.thermometers, LOW, HIGH, rng)
    points = {
        "equation": lattice_points(options.points, LOW, HIGH, rng),
        "ends": np.concatenate(ends),
        "start": np.hstack([line, np.zeros_like(line)]),
        "measured": measured,
    }
    targets = {name: exact(places) for name, places in points.items()}
    targets["equation"] = np.zeros((options.points, 1))
    targets["ends"] = np.zeros_like(targets["ends"])
    noise = options.noise * rng.normal(size=targets["measured"].shape)
    targets["measured"] += noise
    return points, targets


def sampler(points, rng):
    """A callable that draws the points of the equation by their residuals."""

    def resample(model):
        count = len(points["equation"])
        candidates = lattice_points(10 * count, LOW, HIGH, rng)
        residuals = model.residual(tf.constant(candidates)).numpy()
        drawn = residual_based_points(candidates, residuals, count, seed=rng)
        return points | {"equation": drawn}

    return resample


class History(keras.callbacks.Callback):
    """Keeps the diffusivity after each epoch."""

    def on_train_begin(self, logs=None):
        self.began, self.rows = time.perf_counter(), []

    def on_epoch_end(self, epoch, logs=None):
        seconds = time.perf_counter() - self.began
        self.rows.append((seconds, float(self.model.diffusivity.numpy())))


def draw(model, data, rows, options):
    """The coefficient over time, and the error with the points on it."""
    figure, (left, right) = new_figure(2, "uₜ = k·uₓₓ from measurements")
    seconds, found = np.array(rows).T
    left.semilogy(seconds, np.abs(found - DIFFUSIVITY) / DIFFUSIVITY, c=BLUE)
    left.set(xlabel="seconds", ylabel="relative error of k")
    line = np.linspace(0, 1, 101)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    error = (model.field(tf.constant(grid)).numpy() - exact(grid))[:, 0]
    image = right.pcolormesh(
        line, line, error.reshape(101, 101), cmap="RdBu_r",
        vmin=-abs(error).max(), vmax=abs(error).max(),
    )  # fmt: skip
    figure.colorbar(image, ax=right, label="error of u")
    places = data[0]["measured"]
    right.scatter(*places.T, c=ORANGE, s=14, label="thermometers")
    right.set(xlabel="x", ylabel="t")
    # Above, where it covers none of them.
    right.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    print(f"\nPlot: {save_plot(figure, options.plots, 'inverse_problem.png')}")


def main():
    options = arguments(
        __doc__.splitlines()[0],
        units=(16, "tanh units in each of two layers"),
        points=(600, "of the equation"),
        thermometers=(25, "measurements"),
        steps=(300, "of the solver"),
        seed=(0, "of weights, points and noise"),
    )
    options.add_argument("--noise", type=float, default=1e-3)
    options = options.parse_args()
    keras.config.set_floatx("float64")
    keras.utils.set_random_seed(options.seed)
    model, data, history = (
        HeatedRod(options.units),
        make_data(options),
        History(),
    )
    model.compile(
        keras_curvature.optimizers.LevenbergMarquardt(),
        loss=dict.fromkeys(data[0], "mse"),
        # What is known exactly counts more than measurements with noise.
        loss_weights={"equation": 1, "ends": 10, "start": 10, "measured": 1},
        jit_compile=False,
    )
    result = keras_curvature.solve(
        model,
        *data,
        max_steps=options.steps,
        steps_per_epoch=10,
        callbacks=[history],
        resample=sampler(data[0], np.random.default_rng(options.seed)),
        resample_period=50,
    )
    print(result)
    found = float(model.diffusivity.numpy())
    print(f"\nk = {found:.6f}, true {DIFFUSIVITY}; it began at 1.")
    draw(model, data, history.rows, options)


if __name__ == "__main__":
    main()
