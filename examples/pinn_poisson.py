"""A physics-informed network for −Δu = 2π² sin πx sin πy on the unit square.

u = x(1−x)y(1−y)·N(x, y) with a network N of one hidden layer is zero on the
boundary. The model's output is Δu at Gauss–Legendre points, by nested tapes,
its target −2π² sin πx sin πy. The exact solution is sin πx sin πy.
"""

import _quiet  # noqa: F401, isort: skip

import keras
import numpy as np
import tensorflow as tf
from _report import arguments, new_figure
from _solvers import (
    OPTIMIZERS,
    add_options,
    draw_errors,
    relative_error,
    report,
    train,
)

import keras_curvature


class Poisson(keras_curvature.Model):
    """Maps points (x, y) to the Laplacian of a field network there."""

    def __init__(self, units):
        super().__init__()
        self.field = keras.Sequential(
            [
                keras.Input((2,)),
                keras.layers.Dense(units, activation="tanh"),
                keras.layers.Dense(1),
            ]
        )

    def solution(self, points):
        inside = tf.reduce_prod(points * (1 - points), axis=1, keepdims=True)
        return inside * self.field(points)

    def call(self, points):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(points)
            with tf.GradientTape() as inner:
                inner.watch(points)
                u = self.solution(points)
            slope = inner.gradient(u, points)
            u_x, u_y = slope[:, 0], slope[:, 1]
        u_xx = outer.gradient(u_x, points)[:, :1]
        u_yy = outer.gradient(u_y, points)[:, 1:]
        return u_xx + u_yy


def exact(points):
    return np.prod(np.sin(np.pi * points), axis=1, keepdims=True)


def grid_of(line):
    """All pairs of the numbers, shape `(len(line)², 2)`."""
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def draw_signed(figure, axes, line, error):
    """A map of signed errors on the square of `line`, zero in white."""
    most = np.abs(error).max()
    image = axes.pcolormesh(
        line, line, error, cmap="RdBu_r", vmin=-most, vmax=most
    )
    figure.colorbar(image, ax=axes)
    axes.set_aspect("equal")


def main():
    parser = arguments(
        __doc__.splitlines()[0],
        units=(64, "tanh units"),
        points=(30, "quadrature points in each direction"),
        seed=(0, "of the weights"),
    )
    options = add_options(parser, seconds=30.0).parse_args()
    keras.config.set_floatx("float64")
    nodes, _ = np.polynomial.legendre.leggauss(options.points)
    points = grid_of((nodes + 1) / 2)
    line = np.linspace(0, 1, 101)
    grid = grid_of(line)

    def make_model():
        keras.utils.set_random_seed(options.seed)
        return Poisson(options.units)

    def measure(model):
        return relative_error(model.solution(tf.constant(grid)), exact(grid))

    runs, models = {}, {}
    for name in options.optimizers:
        models[name], runs[name] = train(
            make_model,
            name,
            (points, -2 * np.pi**2 * exact(points)),
            measure,
            options.seconds,
        )
    figure, (left, right) = new_figure(2, "−Δu = 2π² sin πx sin πy")
    draw_errors(left, runs)
    best = models[options.optimizers[0]]
    error = best.solution(tf.constant(grid)).numpy() - exact(grid)
    draw_signed(figure, right, line, error.reshape(101, 101))
    label = OPTIMIZERS[options.optimizers[0]][0]
    right.set(title=f"error of {label}", xlabel="x", ylabel="y")
    report(runs, figure, options.plots, "pinn_poisson.png")


if __name__ == "__main__":
    main()
