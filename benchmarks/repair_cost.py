"""What the repair of second derivatives costs in the time of a step.

Two identical models train side by side with SecondOrderGradient("sgd"), one
step function traced with the repair and one without, timed in turn. Prints one
JSON line per model.

With --exact-derivatives: what `exact_derivatives`, which the models of this
package open wherever they compute, costs in a step of SGD, for a model without
derivatives of its own and for one whose output is u_xx by nested tapes.

Times are those of the processor, of all threads, which other work on the
machine changes less than those of the clock. The two steps of a round follow
each other, in turn in either order; printed are the median of the ratios of
rounds and their quartiles.
"""

import argparse
import contextlib
import json
import statistics
import time
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

import keras_curvature
from keras_curvature.autodiff import curvature_tape, gradient_graph
from keras_curvature.optimizers import SecondOrderGradient

layers = keras.layers


def transformer():
    inputs = keras.Input((32, 64))
    x = inputs
    for _ in range(2):
        attended = layers.MultiHeadAttention(4, 16)(x, x)
        x = layers.LayerNormalization()(layers.Add()([x, attended]))
        hidden = layers.Dense(128, activation="gelu")(x)
        x = layers.LayerNormalization()(
            layers.Add()([x, layers.Dense(64)(hidden)])
        )
    return keras.Model(
        inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(x))
    )


def cnn():
    model = keras.Sequential([keras.Input((32, 32, 3))])
    for filters in (32, 64):
        for _ in range(2):
            model.add(layers.Conv2D(filters, 3, padding="same"))
            model.add(layers.BatchNormalization())
            model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    for layer in (layers.Flatten(), layers.Dense(128), layers.Dense(10)):
        model.add(layer)
    return model


def normalized():
    model = keras.Sequential([keras.Input((1,))])
    for _ in range(3):
        model.add(layers.Dense(64, activation="tanh"))
        model.add(layers.LayerNormalization())
    model.add(layers.Dense(1))
    return model


class SecondDerivative(keras.Model):
    """u_xx of a network u with normalized layers."""

    def __init__(self):
        super().__init__()
        self.u = normalized()

    def call(self, x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                u = self.u(x)
            slope = inner.gradient(u, x)
        return outer.gradient(slope, x)


MODELS = {"transformer": (transformer, 32), "cnn": (cnn, 32)}
DERIVATIVES = {"first order": normalized, "nested": SecondDerivative}


@contextlib.contextmanager
def without_repair():
    name = "differentiated_twice"
    with (
        mock.patch.object(gradient_graph, name, contextlib.nullcontext),
        mock.patch.object(curvature_tape, name, contextlib.nullcontext),
    ):
        yield


def stepper(build, batch, jit):
    """A callable that trains on one batch; traced when first called."""
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(
        SecondOrderGradient("sgd"),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit,
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, *model.input_shape[1:])).astype("float32")
    y = rng.integers(0, 10, batch)
    x, y = tf.constant(x), tf.constant(y)
    return lambda: model.train_on_batch(x, y)


def stepper_of_derivatives(build, batch, jit):
    """The same of a plain Keras model under SGD, with a squared error."""
    keras.utils.set_random_seed(0)
    model = build()
    model.compile("sgd", "mse", jit_compile=jit)
    x = tf.random.stateless_normal((batch, 1), seed=(0, 1))
    return lambda: model.train_on_batch(x, tf.sin(x))


def seconds(step, steps):
    start = time.process_time()
    for _ in range(steps):
        step()
    return (time.process_time() - start) / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--jit", action="store_true")
    parser.add_argument("--exact-derivatives", action="store_true")
    arguments = parser.parse_args()
    if arguments.exact_derivatives:
        for name, build in DERIVATIVES.items():
            repaired = stepper_of_derivatives(build, 256, arguments.jit)
            with keras_curvature.autodiff.exact_derivatives():
                repaired()
            plain = stepper_of_derivatives(build, 256, arguments.jit)
            plain()
            compare(name, repaired, plain, arguments)
        return
    for name in arguments.models:
        build, batch = MODELS[name]
        repaired = stepper(build, batch, arguments.jit)
        repaired()
        plain = stepper(build, batch, arguments.jit)
        with without_repair():
            plain()
        compare(name, repaired, plain, arguments)


def compare(name, repaired, plain, arguments):
    """Times both steps in turn and prints their ratio."""
    ratios, times = [], []
    for number in range(arguments.rounds):
        taken = {}
        for step in [(repaired, plain), (plain, repaired)][number % 2]:
            taken[step] = seconds(step, arguments.steps)
        ratios.append(taken[repaired] / taken[plain])
        times.append(taken[repaired])
    quartiles = statistics.quantiles(ratios, n=4)
    figures = {
        "model": name,
        "jit": arguments.jit,
        "cpu_ms": round(1e3 * statistics.median(times), 2),
        "ratio_to_unrepaired": round(quartiles[1], 3),
        "quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
    }
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
