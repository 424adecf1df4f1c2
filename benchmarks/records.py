"""Which error after how many seconds on problems of published records?

Physics-informed networks in float64 with soft boundary conditions, which have
points of their own, as the papers have set them up (relative L2 error on
points of a fixed random draw, against the exact solution):

    poisson-2d  −Δu = 2π² sin πx sin πy, 900 + 120 points, 2-64-1.
                6.1e-8 in 468 s (RTX 6000), arXiv:2405.15603
    poisson-5d  −Δu = π² Σ cos πxᵢ, 3,000 + 500 points, 5-64-1, drawn anew
                every 25 steps. 5.6e-8 in 3,000 s (RTX 6000), the same paper
    heat        uₜ = uₓₓ/4, u = sin πx at t = 0, 900 + 120 points, 2-64-1.
                2.0e-8 in 1,000 s (RTX 6000), the same paper

The seconds are those of the steps and of drawing points; the first step, which
traces, and measuring the error are left out. All of it is one run of `solve`.
"""

import argparse
import time

import keras
import numpy as np
import tensorflow as tf
from _measure import print_figure

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt
from keras_curvature.training import uniform_points


class Network(keras_curvature.Model):
    """Residuals of an equation inside and of u on the boundary."""

    def __init__(self, problem):
        super().__init__()
        self.problem = problem
        self.u = keras.Sequential(
            [
                keras.Input((problem.dimensions,)),
                keras.layers.Dense(64, activation="tanh"),
                keras.layers.Dense(1),
            ]
        )

    def derivatives(self, points):
        """∇u and the diagonal of its Hessian, both of shape `(n, d)`."""
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(points)
            with tf.GradientTape() as inner:
                inner.watch(points)
                u = self.u(points)
            slope = inner.gradient(u, points)
            slopes = tf.unstack(slope, axis=1)
        bends = [
            outer.gradient(slope, points)[:, i]
            for i, slope in enumerate(slopes)
        ]
        return slope, tf.stack(bends, axis=1)

    def call(self, points):
        first, second = self.derivatives(points["equation"])
        return {
            "equation": self.problem.operator(first, second),
            "boundary": self.u(points["boundary"]),
        }


class Poisson:
    """−Δu = source on the unit cube."""

    anew = None

    def operator(self, first, second):
        return -tf.reduce_sum(second, axis=1, keepdims=True)

    def boundary(self, rng):
        """Uniform on the faces."""
        points = rng.random((self.counts[1], self.dimensions))
        faces = rng.integers(0, self.dimensions, self.counts[1])
        points[np.arange(self.counts[1]), faces] = rng.integers(
            0, 2, self.counts[1]
        )
        return points


class Poisson2D(Poisson):
    dimensions, counts = 2, (900, 120)

    def exact(self, points):
        return np.prod(np.sin(np.pi * points), axis=1, keepdims=True)

    def source(self, points):
        return 2 * np.pi**2 * self.exact(points)


class Poisson5D(Poisson):
    dimensions, counts, anew = 5, (3000, 500), 25

    def exact(self, points):
        return np.sum(np.cos(np.pi * points), axis=1, keepdims=True)

    def source(self, points):
        return np.pi**2 * self.exact(points)


class Heat:
    """uₜ = uₓₓ/4 for x and t in [0, 1], u = 0 at both ends."""

    dimensions, counts, anew = 2, (900, 120), None

    def operator(self, first, second):
        return first[:, 1:] - second[:, :1] / 4

    def source(self, points):
        return np.zeros((len(points), 1))

    def exact(self, points):
        x, t = points[:, :1], points[:, 1:]
        return np.exp(-(np.pi**2) * t / 4) * np.sin(np.pi * x)

    def boundary(self, rng):
        """A third on each end, a third at t = 0."""
        points = rng.random((self.counts[1], 2))
        thirds = np.array_split(points, 3)
        thirds[0][:, 0], thirds[1][:, 0], thirds[2][:, 1] = 0, 1, 0
        return points


PROBLEMS = {"poisson-2d": Poisson2D, "poisson-5d": Poisson5D, "heat": Heat}


def draw(problem, rng):
    """Points of both conditions and their targets."""
    cube = np.zeros(problem.dimensions), np.ones(problem.dimensions)
    points = {
        "equation": uniform_points(problem.counts[0], *cube, rng),
        "boundary": problem.boundary(rng),
    }
    return points, {
        "equation": problem.source(points["equation"]),
        "boundary": problem.exact(points["boundary"]),
    }


class Errors(keras.callbacks.Callback):
    """Prints the error after each epoch, and ends when the time is over."""

    def __init__(self, options):
        super().__init__()
        self.options, self.seconds, self.step = options, 0.0, 0
        rng = np.random.default_rng(12345)
        problem = PROBLEMS[options.problem]()
        self.points = rng.random((20_000, problem.dimensions))
        self.exact = problem.exact(self.points)

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds += time.perf_counter() - self.began
        self.step += self.params["steps"]
        error = self.model.u(tf.constant(self.points)).numpy() - self.exact
        print_figure(
            "relative L2 error over seconds",
            problem=self.options.problem,
            seed=self.options.seed,
            step=self.step,
            seconds=self.seconds,
            loss=logs["loss"],
            error=float(np.linalg.norm(error) / np.linalg.norm(self.exact)),
        )
        if self.seconds > self.options.seconds:
            self.model.stop_training = True


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("problem", choices=PROBLEMS)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=25, help="steps")
    options = parser.parse_args()
    keras.config.set_floatx("float64")
    keras.utils.set_random_seed(options.seed)
    problem = PROBLEMS[options.problem]()
    rng = np.random.default_rng(options.seed)
    model = Network(problem)
    model.compile(
        LevenbergMarquardt(),
        loss={"equation": "mse", "boundary": "mse"},
        jit_compile=False,
    )
    data = draw(problem, rng)
    # The first step traces, which is no part of the record; it counts as one.
    keras_curvature.solve(model, *data, max_steps=1, verbose=0)
    result = keras_curvature.solve(
        model,
        *data,
        max_steps=10**6,
        steps_per_epoch=options.every,
        callbacks=[Errors(options)],
        resample=(lambda model: draw(problem, rng)) if problem.anew else None,
        resample_period=problem.anew or 1,
        verbose=0,
    )
    print(result)


if __name__ == "__main__":
    main()
