"""How long do Laplace posteriors take, and how much memory?

The network 784-512-512-10 (670k weights, float32) on 8,192 drawn samples, and
the predictive variance at 200 points. Each structure in a fresh process, with
two threads: wall and processor seconds of `fit`, of the first `predict`, which
traces and factorizes, and of a second one; peak memory, and how much of it is
there before `fit`. With --peer-python: laplace-torch 0.3 in that interpreter,
the same data, structure after structure in turn with ours. With --images: a
small CNN fitted to so many images from a data set that makes them.
"""

import argparse
import json
import pathlib
import subprocess
import sys

from _measure import fit_and_predict, print_figure

CASES = [
    ("last_layer", "full"),
    ("last_layer", "kron"),
    ("last_layer", "diagonal"),
    ("all", "kron"),
    ("all", "diagonal"),
    ("all", "low_rank"),
]
HERE = pathlib.Path(__file__).parent
LIMIT = 300


def network(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(512, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(10),
        ]
    )


def cnn(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def drawn_images(tf, count):
    """A data set that draws each batch anew, the same in each pass."""

    def batch(number):
        x = tf.random.stateless_normal((200, 28, 28, 1), (number, 1))
        y = tf.random.stateless_uniform((200,), (number, 2), 0, 10, tf.int32)
        return x, y

    return tf.data.Dataset.range(count // 200).map(batch)


def measure(weights, structure, images):
    """One case, in this process."""
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_curvature.uncertainty import Laplace

    tf.config.threading.set_intra_op_parallelism_threads(2)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    if images:
        model, data = cnn(keras), (drawn_images(tf, images),)
        points = rng.normal(size=(200, 28, 28, 1)).astype("float32")
    else:
        model = network(keras)
        x = rng.normal(size=(8192, 784)).astype("float32")
        data, points = (x, rng.integers(0, 10, 8192)), x[:200]
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.predict(points, verbose=0)
    laplace = Laplace(model, weights=weights, structure=structure)
    return fit_and_predict(
        lambda: laplace.fit(*data), lambda: laplace.predict(points)
    )


def in_process(command, name, weights, structure):
    """Runs a case in a process of its own and prints what it measured."""
    command = [*command, "--case", weights, structure]
    labels = {"whose": name, "weights": weights, "structure": structure}
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, check=True
        )
    except subprocess.TimeoutExpired:
        print_figure("laplace", **labels, ended=f"not within {LIMIT} s")
        return
    except subprocess.CalledProcessError as error:
        line = error.stderr.strip().splitlines()[-1]
        print_figure("laplace", **labels, ended=line)
        return
    figures = json.loads(found.stdout.strip().splitlines()[-1])
    print_figure("laplace", **labels, **figures)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = ["-".join(case) for case in CASES]
    parser.add_argument("--cases", nargs="+", default=names, choices=names)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--peer-python")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(*options.case, options.images)))
        return
    for weights, structure in CASES:
        if f"{weights}-{structure}" not in options.cases:
            continue
        ours = [sys.executable, __file__, "--images", str(options.images)]
        in_process(ours, "keras_curvature", weights, structure)
        if options.peer_python and structure != "low_rank":
            peer = [
                options.peer_python,
                str(HERE / "_torch_laplace_posteriors.py"),
            ]
            in_process(peer, "laplace-torch", weights, structure)


if __name__ == "__main__":
    main()
