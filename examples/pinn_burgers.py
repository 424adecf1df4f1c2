"""A physics-informed network for Burgers' equation with viscosity 0.01/π.

u_t + u·u_x = ν·u_xx on −1 < x < 1, 0 < t < 1 with u(0, x) = −sin πx and
u(t, ±1) = 0, which steepens into a shock at x = 0. The solution is odd in x,
and so is u = −sin πx + t(1−x²)·(N(t, x) − N(t, −x)), which meets the
conditions for every network N. The model's output is the residual of the
equation at points of 0 < x < 1, by nested tapes, its target 0. Every 50 steps
the points are drawn anew, more of them where the residual is large. The
reference is computed by the Cole–Hopf formula with Gauss–Hermite quadrature.

Reference:
    Wu et al., 2023, "A comprehensive study of non-adaptive and residual-based
    adaptive sampling for physics-informed neural networks", CMAME 403.
"""

import _quiet  # noqa: F401, isort: skip

import keras
import numpy as np
import tensorflow as tf
from _burgers import VISCOSITY, reference
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


class Burgers(keras_curvature.Model):
    """Maps points (t, x) to the residual of the equation there."""

    def __init__(self, units, layers):
        super().__init__()
        hidden = [
            keras.layers.Dense(units, activation="tanh") for _ in range(layers)
        ]
        self.field = keras.Sequential(
            [keras.Input((2,)), *hidden, keras.layers.Dense(1)]
        )

    def solution(self, points):
        t, x = points[:, :1], points[:, 1:]
        mirrored = tf.concat([t, -x], axis=1)
        odd = self.field(points) - self.field(mirrored)
        return -tf.sin(np.pi * x) + t * (1 - x**2) * odd

    def call(self, points):
        with tf.GradientTape() as outer:
            outer.watch(points)
            with tf.GradientTape() as inner:
                inner.watch(points)
                u = self.solution(points)
            slope = inner.gradient(u, points)
            u_t, u_x = slope[:, :1], slope[:, 1:]
        u_xx = outer.gradient(u_x, points)[:, 1:]
        return u_t + u * u_x - VISCOSITY * u_xx


def collocation_points(model, count, rng):
    """Points (t, x), drawn in proportion to 1 + |residual| / its mean."""
    candidates = rng.uniform(size=(20 * count, 2))
    residuals = np.abs(model.predict_on_batch(candidates)[:, 0])
    density = 1 + residuals / np.mean(residuals)
    chosen = rng.choice(
        len(candidates), count, replace=False, p=density / np.sum(density)
    )
    return candidates[chosen]


def main():
    parser = arguments(
        __doc__.splitlines()[0],
        units=(20, "tanh units in each layer"),
        layers=(2, "hidden layers"),
        points=(2000, "points at which the equation is to hold"),
        seed=(0, "of weights and points"),
    )
    options = add_options(parser, seconds=60.0).parse_args()
    keras.config.set_floatx("float64")
    t, x = np.linspace(0, 1, 101)[1:], np.linspace(-1, 1, 257)
    grid = np.stack(np.meshgrid(t, x), axis=-1).reshape(-1, 2)
    exact = reference(grid[:, 0], grid[:, 1])

    def make_model():
        keras.utils.set_random_seed(options.seed)
        return Burgers(options.units, options.layers)

    def values(model):
        return model.solution(tf.constant(grid)).numpy()[:, 0]

    runs, models = {}, {}
    for name in options.optimizers:
        rng = np.random.default_rng(options.seed)

        def data(model, rng=rng):
            points = collocation_points(model, options.points, rng)
            return points, np.zeros((len(points), 1))

        models[name], runs[name] = train(
            make_model,
            name,
            data,
            lambda model: relative_error(values(model), exact),
            options.seconds,
            chunk=50,
        )
    figure, (left, right) = new_figure(2, "Burgers' equation, ν = 0.01/π")
    draw_errors(left, runs)
    last = grid[:, 0] == t[-1]
    right.plot(x, exact[last], color="black", lw=3, alpha=0.3, label="exact")
    for name, model in models.items():
        label, _, color = OPTIMIZERS[name]
        right.plot(x, values(model)[last], "--", color=color, label=label)
    right.set(title="u at t = 1", xlabel="x", ylabel="u", xticks=(-1, 0, 1))
    report(runs, figure, options.plots, "pinn_burgers.png")


if __name__ == "__main__":
    main()
