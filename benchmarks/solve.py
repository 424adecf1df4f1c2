"""What does a step of `solve` cost, beside the bare traced step and `fit`?

A network of 61 weights on 1,000 points, the whole data as one batch. The bare
step is the training step of the model in a `tf.function`, called in a loop of
Python's that looks at nothing. `fit` has one epoch for each step, and, as
`fit (repeated)`, all steps in one epoch of a repeated dataset.
"""

import argparse
import time

import keras
import numpy as np
import tensorflow as tf
from _measure import interleaved, print_ratio

import keras_curvature
from keras_curvature.optimizers import LBFGS, LevenbergMarquardt


def network(optimizer, jit):
    keras.utils.set_random_seed(0)
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(20, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer(), "mse", jit_compile=jit)
    return model


class Case:
    """Goes back to the first weights before each measurement."""

    def __init__(self, run, model, steps):
        self._run, self._model, self._steps = run, model, steps
        # Traced and warm before the first measurement.
        self._weights = model.get_weights()
        self()

    def __call__(self):
        self._model.set_weights(self._weights)
        self._model.optimizer.reset()
        before = int(self._model.optimizer.iterations)
        began = time.perf_counter()
        self._run(self._steps)
        seconds = time.perf_counter() - began
        return seconds / (int(self._model.optimizer.iterations) - before)


def bare(model, x, y):
    model.optimizer.build(model.trainable_variables)
    model.compute_metrics(x, y, model(x))

    @tf.function(autograph=False, jit_compile=model.jit_compile)
    def step(data):
        return model.train_step(data)

    def run(steps):
        for _ in range(steps):
            step((x, y))

    return run


def cases(optimizer, options):
    x = np.linspace(-1, 1, 1000)[:, None]
    y = np.sin(4 * x)
    models = [network(optimizer, options.jit) for _ in range(4)]
    repeated = tf.data.Dataset.from_tensors((x, y)).repeat()
    runs = {
        "bare": bare(models[0], tf.constant(x), tf.constant(y)),
        "solve": lambda steps: keras_curvature.solve(
            models[1], x, y, max_steps=steps, verbose=0
        ),
        "fit (repeated)": lambda steps: models[2].fit(
            repeated, steps_per_epoch=steps, shuffle=False, verbose=0
        ),
        "fit": lambda steps: models[3].fit(
            x, y, batch_size=1000, epochs=steps, shuffle=False, verbose=0
        ),
    }
    return {
        name: Case(run, model, options.steps)
        for (name, run), model in zip(runs.items(), models, strict=True)
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--jit", action="store_true")
    options = parser.parse_args()
    keras.config.set_floatx("float64")
    for optimizer in (LBFGS, LevenbergMarquardt):
        seconds = interleaved(cases(optimizer, options), options.repeats)
        for name in ("solve", "fit (repeated)", "fit"):
            print_ratio(
                f"step of {name} to the bare step",
                seconds[name],
                seconds["bare"],
                optimizer=optimizer.__name__,
                jit=options.jit,
            )


if __name__ == "__main__":
    main()
