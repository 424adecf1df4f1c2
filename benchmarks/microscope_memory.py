"""How much memory does a product of an operator take at its peak?

Each figure comes from a fresh process, which prints the peak of resident
memory, in MB, with the model built and before any product, and after products
with the Hessian of an MLP 784-width-width-10. One setting varies at a time:
batch size, width (and with it the number of weights) and columns. Then the
data are a tf.data.Dataset from a generator, of few and of many samples, which
would take 3 KB each if all were held.
"""

import argparse
import json
import subprocess
import sys

from _measure import peak_mebibytes, print_figure

BASE = {"batch_size": 256, "width": 512, "columns": 1, "samples": 2048}
# Beside BASE itself.
VARIED = {
    "batch_size": (64, 2048),
    "width": (128, 1024),
    "columns": (8, 32),
}


def child(setting):
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_curvature.operators import Hessian

    random = np.random.default_rng(0)
    size, samples = setting["batch_size"], setting["samples"]
    layers = [keras.layers.Dense(setting["width"], "tanh") for _ in range(2)]
    model = keras.Sequential(
        [keras.Input((784,)), *layers, keras.layers.Dense(10)]
    )
    data = (
        random.normal(size=(samples, 784)).astype("float32"),
        random.integers(0, 10, samples),
    )
    if setting["generator"]:
        # The same few samples again and again, each time a new array.
        block = tuple(a[:size].copy() for a in data)
        rounds = -(-setting["total"] // size)

        def batches():
            for _ in range(rounds):
                yield tuple(a.copy() for a in block)

        spec = tuple(tf.TensorSpec((None, *a.shape[1:]), a.dtype) for a in data)
        data = (tf.data.Dataset.from_generator(batches, output_signature=spec),)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    operator = Hessian(model, *data, loss=loss, batch_size=size)
    before = peak_mebibytes()
    vectors = tf.random.normal((operator.shape[0], setting["columns"]))
    for _ in range(1 if setting["generator"] else 2):
        operator @ vectors
    print_figure(
        "peak memory of a product",
        **setting,
        weights=operator.shape[0],
        before_mb=before,
        peak_mb=peak_mebibytes(),
    )


def settings(options):
    yield {**BASE, "generator": False, "total": 0}
    for name, values in VARIED.items():
        for value in values[:1] if options.quick else values:
            yield {**BASE, name: value, "generator": False, "total": 0}
    few, many = 2_000, 4_000 if options.quick else options.total
    for total in (few, many):
        yield {**BASE, "generator": True, "total": total}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--total", type=int, default=200_000)
    parser.add_argument("--quick", action="store_true", help="fewer and small")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(json.loads(options.child))
        return
    for setting in settings(options):
        subprocess.run(
            [sys.executable, __file__, "--child", json.dumps(setting)],
            check=True,
        )


if __name__ == "__main__":
    main()
