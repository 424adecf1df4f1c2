"""What the repair of second derivatives costs in the time of a step.

Two identical models train side by side with SecondOrderGradient("sgd"), one
step function traced with the repair and one without, timed in turn. Prints one
JSON line per model.
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


MODELS = {"transformer": (transformer, 32), "cnn": (cnn, 32)}


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


def seconds(step, steps):
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--jit", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.models:
        build, batch = MODELS[name]
        repaired = stepper(build, batch, arguments.jit)
        repaired()
        plain = stepper(build, batch, arguments.jit)
        with without_repair():
            plain()
        ratios, times = [], []
        for _ in range(arguments.repeats):
            pair = [seconds(f, arguments.steps) for f in (repaired, plain)]
            ratios.append(pair[0] / pair[1])
            times.append(pair[0])
        print(
            json.dumps(
                {
                    "model": name,
                    "jit": arguments.jit,
                    "step_ms": round(1e3 * statistics.median(times), 2),
                    "ratio_to_unrepaired": round(statistics.median(ratios), 3),
                    "ratio_spread": [
                        round(min(ratios), 3),
                        round(max(ratios), 3),
                    ],
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
