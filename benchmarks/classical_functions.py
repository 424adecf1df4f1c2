"""Classical functions as Keras models, minimized by ours and by SciPy.

The tests of the solvers use them too.
"""

from typing import NamedTuple

import keras
import numpy as np
import scipy.optimize
import tensorflow as tf


class Problem(NamedTuple):
    """A function of one vector, in TensorFlow, and where to start."""

    name: str
    function: object
    start: np.ndarray


def rosenbrock(x):
    return tf.reduce_sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def beale(x):
    return sum(
        (c - x[0] * (1 - x[1] ** k)) ** 2
        for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))
    )


def skewed_quadratic(size, condition, seed=0):
    """½ (x − 1)ᵀA(x − 1) with eigenvalues on a log scale up to `condition`."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))
    matrix = tf.constant((q * np.logspace(0, np.log10(condition), size)) @ q.T)

    def function(x):
        return tf.tensordot(x - 1, tf.linalg.matvec(matrix, x - 1), 1) / 2

    return function


def logistic_regression(samples=200, size=10, seed=0):
    """Mean log loss of noisy labels, with a small ridge."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, size)) * np.logspace(-1, 1, size)
    y = x @ (rng.normal(size=size) / np.logspace(-1, 1, size))
    signs = tf.constant(np.sign(y + rng.normal(size=samples)))
    x = tf.constant(x)

    def function(w):
        margins = signs * tf.linalg.matvec(x, w)
        loss = tf.reduce_mean(tf.math.softplus(-margins))
        return loss + 5e-4 * tf.reduce_sum(w**2)

    return function


def problems():
    return [
        *(
            Problem(f"rosenbrock_{n}", rosenbrock, np.resize([-1.2, 1.0], n))
            for n in (2, 10, 100)
        ),
        Problem("himmelblau", himmelblau, np.array([0.0, 0.0])),
        Problem("beale", beale, np.array([1.0, 1.0])),
        Problem("quadratic_1e2", skewed_quadratic(20, 1e2), np.zeros(20)),
        Problem("quadratic_1e4", skewed_quadratic(20, 1e4), np.zeros(20)),
        Problem("logistic", logistic_regression(), np.zeros(10)),
    ]


@keras.saving.register_keras_serializable(package="tests")
class Point(keras.Model):
    """A model whose output is its one weight vector, whatever it is given."""

    def __init__(self, start, **kwargs):
        super().__init__(**kwargs)
        self.start = [float(value) for value in start]
        self.point = self.add_weight(
            shape=(len(self.start),),
            initializer=lambda shape, dtype=None: tf.constant(
                self.start, dtype
            ),
            name="point",
        )

    def call(self, x):
        return self.point[tf.newaxis] + 0 * x

    def get_config(self):
        return super().get_config() | {"start": self.start}


NOTHING = np.zeros((1, 1))


def compiled(problem, optimizer, **settings):
    """The problem as a Keras model."""
    model = Point(problem.start)
    # XLA has tests of its own.
    settings = {"jit_compile": False} | settings
    model.compile(
        optimizer, loss=lambda y, p: problem.function(p[0]), **settings
    )
    # Otherwise the first step is traced twice.
    optimizer.build(model.trainable_variables)
    return model


def minimized(problem, optimizer, most=1000, **settings):
    """The model after training until the optimizer has converged."""
    model = compiled(problem, optimizer, **settings)
    for step in range(most):
        model.train_on_batch(NOTHING, NOTHING)
        if step % 5 == 4 and optimizer.converged:
            break
    optimizer.finalize_variable_values(model.trainable_variables)
    return model


class ScipyRun(NamedTuple):
    minimum: float
    point: np.ndarray
    evaluations: int
    products: int


def scipy_minimized(problem, method, tolerance=1e-8):
    """What SciPy reaches, and the evaluations of loss and gradient."""
    calls = {"evaluations": 0, "products": 0}

    @tf.function
    def evaluate(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = problem.function(x)
        return value, tape.gradient(value, x)

    @tf.function
    def product(x, v):
        with tf.GradientTape() as outer:
            outer.watch(x)
            _, gradient = evaluate(x)
        return outer.gradient(gradient, x, output_gradients=v)

    def function(x):
        calls["evaluations"] += 1
        value, gradient = evaluate(tf.constant(x))
        return value.numpy(), gradient.numpy()

    def hessp(x, v):
        calls["products"] += 1
        return product(tf.constant(x), tf.constant(v)).numpy()

    options = {"gtol": tolerance, "maxiter": 5000}
    if method == "L-BFGS-B":
        options |= {"ftol": 0, "maxfun": 20000}
    result = scipy.optimize.minimize(
        function,
        problem.start,
        jac=True,
        hessp=hessp if method == "trust-ncg" else None,
        method=method,
        options=options,
    )
    return ScipyRun(result.fun, result.x, **calls)
