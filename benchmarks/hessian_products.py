"""Which exact formulation of a curvature product is fastest?

Times, as ratios to the gradient of the same network and all in turn: Hessian
products in reverse over reverse mode (this package's function), in forward
over reverse mode (tf.autodiff.ForwardAccumulator) and from the gradient graph;
Gauss-Newton products by two vector-Jacobian products; and, on a network of 61
weights, per-sample Jacobians beside tf.GradientTape.jacobian. Plain and with
jit_compile.

With --peer-python, a Python that has torch (and perhaps curvlinops) times its
gradient, double backward, jvp of the gradient and linear operators as well,
on the same shapes.
"""

import argparse
import pathlib
import subprocess
import time

import keras
import numpy as np
import tensorflow as tf
from _measure import interleaved, print_figure, print_ratio
from _networks import NETWORKS, make

from keras_curvature.autodiff import (
    GradientGraph,
    gauss_newton_vector_product,
    hessian_vector_product,
    per_sample_jacobian,
)

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def products(network):
    """The formulations to time, each a callable without arguments."""
    model, x, y = make(network)
    x, y = tf.constant(x), tf.constant(y)
    weights = [v.value for v in model.trainable_variables]
    vectors = [tf.random.normal(w.shape) for w in weights]

    def loss():
        return LOSS(y, model(x, training=True))

    def gradient():
        with tf.GradientTape() as tape:
            value = loss()
        return tape.gradient(value, weights)

    def forward_over_reverse():
        with tf.autodiff.ForwardAccumulator(weights, vectors) as accumulator:
            gradients = gradient()
        return [accumulator.jvp(g) for g in gradients]

    return {
        "gradient": gradient,
        "reverse over reverse": lambda: hessian_vector_product(
            loss, weights, vectors
        ),
        "forward over reverse": forward_over_reverse,
        "gradient graph": lambda: GradientGraph(
            gradient(), weights
        ).hessian_vector_product(vectors),
        "Gauss-Newton": lambda: gauss_newton_vector_product(
            lambda: model(x, training=True),
            lambda outputs: LOSS(y, outputs),
            weights,
            vectors,
        ),
    }


def jacobians():
    """Per-sample Jacobians of a 1-20-1 network at 1,000 points."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(20, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    x = tf.constant(np.linspace(-1, 1, 1000, dtype="float32")[:, None])
    weights = [v.value for v in model.trainable_variables]

    def gradient():
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(model(x) ** 2)
        return tape.gradient(value, weights)

    def tape_jacobian():
        with tf.GradientTape() as tape:
            outputs = model(x)
        return tape.jacobian(outputs, weights)

    return {
        "gradient": gradient,
        "per-sample Jacobian": lambda: per_sample_jacobian(model, x, weights)[
            1
        ],
        "GradientTape.jacobian": tape_jacobian,
    }


def stopwatch(function, calls):
    """A callable that returns the seconds of one call, averaged over some."""

    def case():
        began = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - began) / calls

    return case


def compare(formulations, jit, repeats, calls, **labels):
    compiled = {
        name: tf.function(function, jit_compile=jit)
        for name, function in formulations.items()
    }
    labels["jit"] = jit
    for name, error in disagreement(compiled).items():
        if error > 1e-3:
            # TensorFlow has wrong second derivatives: not worth timing.
            print_figure("wrong", formulation=name, error=error, **labels)
            del compiled[name]
    seconds = interleaved(
        {n: stopwatch(function, calls) for n, function in compiled.items()},
        repeats,
    )
    for name in compiled:
        if name != "gradient":
            print_ratio(
                "product over gradient",
                seconds[name],
                seconds["gradient"],
                formulation=name,
                **labels,
            )


def disagreement(formulations):
    """Of each with this package's own, relative in the Euclidean norm."""
    results = {name: function() for name, function in formulations.items()}
    names = ("reverse over reverse", "per-sample Jacobian")
    exact = next(results[name] for name in names if name in results)
    scale = float(tf.linalg.global_norm(exact))
    errors = {}
    for name in results.keys() - {"gradient", "Gauss-Newton"}:
        differences = [
            tf.reshape(theirs, ours.shape) - ours
            for ours, theirs in zip(exact, results[name], strict=True)
        ]
        errors[name] = float(tf.linalg.global_norm(differences)) / scale
    return errors


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [*NETWORKS, "jacobians"]
    parser.add_argument("--network", nargs="+", default=names, choices=names)
    parser.add_argument(
        "--jit", nargs="+", default=["no", "yes"], choices=["no", "yes"]
    )
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--peer-python", help="a Python that has torch")
    options = parser.parse_args()
    for name in options.network:
        cases = jacobians() if name == "jacobians" else products(name)
        for jit in options.jit:
            compare(
                cases,
                jit == "yes",
                options.repeats,
                options.calls,
                network=name,
            )
    if options.peer_python:
        peer = pathlib.Path(__file__).with_name("_torch_products.py")
        numbers = [str(options.repeats), str(options.calls)]
        subprocess.run([options.peer_python, peer, *numbers], check=True)


if __name__ == "__main__":
    main()
