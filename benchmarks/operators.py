"""What does a product of an operator cost, beside the bare product?

Times, as ratios and all in turn on one batch: the gradient of the loss; the
bare product in a tf.function, which knows model and data; and the product of
keras_curvature.operators, which counts samples, checks that loss and product
are sound and takes any data. With --columns, a product with so many columns
beside as many single ones.
"""

import argparse
import time

import keras
import tensorflow as tf
from _measure import interleaved, print_ratio
from _networks import NETWORKS, make

from keras_curvature.autodiff import (
    gauss_newton_vector_product,
    hessian_vector_product,
)
from keras_curvature.operators import GaussNewton, Hessian

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def bare_products(model, x, y, vectors):
    """Functions of the same mathematics without an operator."""
    weights = [v.value for v in model.trainable_variables]

    def gradient():
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=False))
        return tape.gradient(loss, weights)

    def hessian():
        return hessian_vector_product(
            lambda: LOSS(y, model(x, training=False)), weights, vectors
        )

    def gauss_newton():
        return gauss_newton_vector_product(
            lambda: model(x, training=False),
            lambda outputs: LOSS(y, outputs),
            weights,
            vectors,
        )

    return {
        "gradient": gradient,
        "Hessian": hessian,
        "GaussNewton": gauss_newton,
    }


def stopwatch(clock, function):
    """A callable that returns the seconds of one call."""

    def case():
        began = clock()
        function()
        return clock() - began

    return case


def compare(network, jit, options):
    model, x, y = make(network)
    operators = {
        kind.__name__: kind(model, x, y, loss=LOSS, jit_compile=jit)
        for kind in (Hessian, GaussNewton)
    }
    size = operators["Hessian"].shape[0]
    vector = tf.random.normal((size,))
    vectors = operators["Hessian"].unflatten(vector)
    bare = bare_products(model, tf.constant(x), tf.constant(y), vectors)
    cases = {
        name: tf.function(function, jit_compile=jit)
        for name, function in bare.items()
    }
    for name, operator in operators.items():
        cases[f"operator {name}"] = lambda o=operator: o @ vector
        if options.columns > 1:
            matrix = tf.random.normal((size, options.columns))
            cases[f"columns {name}"] = lambda o=operator, m=matrix: o @ m
    for case in cases.values():
        case()
    clock = time.process_time if options.cpu_time else time.perf_counter
    seconds = interleaved(
        {n: stopwatch(clock, case) for n, case in cases.items()},
        options.repeats,
    )
    labels = {"network": network, "jit": jit}
    for name in operators:
        ours = seconds[f"operator {name}"]
        print_ratio(
            "operator over bare", ours, seconds[name], matrix=name, **labels
        )
        print_ratio(
            "operator over gradient",
            ours,
            seconds["gradient"],
            matrix=name,
            **labels,
        )
        if options.columns > 1:
            each = [s / options.columns for s in seconds[f"columns {name}"]]
            print_ratio(
                "column over single product", each, ours, matrix=name, **labels
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--network", nargs="+", default=list(NETWORKS), choices=NETWORKS
    )
    parser.add_argument(
        "--jit", nargs="+", default=["no", "yes"], choices=["no", "yes"]
    )
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--cpu-time", action="store_true")
    options = parser.parse_args()
    for network in options.network:
        for jit in options.jit:
            compare(network, jit == "yes", options)


if __name__ == "__main__":
    main()
