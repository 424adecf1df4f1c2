"""How accurate are activation derivatives, and what do they cost?

Prints the worst error against mpmath of value, first and second derivative,
for this package (methods, and tapes through the layer) and for the plain
TensorFlow chain (tapes through Keras's function), with and without
`jit_compile`. Errors are relative, or beside a zero crossing absolute against
the function's largest value; inf stands for NaN or an infinite result.

With --time, the cost of the gradient and of the second gradient instead, as
ratios to the TensorFlow chain: both sides interleaved, median with quartiles.

    python benchmarks/activation_accuracy.py --names gelu tanh --dtypes float32
"""

import argparse
import itertools
import json
import pathlib
import sys
import time

import keras
import numpy as np
import tensorflow as tf

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "layers")]

import exact_values  # noqa: E402

PLAIN_NAMES = (
    *("sigmoid", "log_sigmoid", "tanh", "relu", "elu", "selu"),
    *("softplus", "softsign", "silu", "gelu", "mish"),
)
CHAINS = {name: getattr(keras.activations, name) for name in PLAIN_NAMES}
CHAINS |= {
    "leaky_relu": lambda x: keras.activations.leaky_relu(x, 0.3),
    "elu_alpha": lambda x: keras.activations.elu(x, 1.7),
    "gelu_tanh": lambda x: keras.activations.gelu(x, approximate=True),
    "sine": tf.sin,
    "sine_30": lambda x: tf.sin(30.0 * x),
    "sine_pi": lambda x: tf.sin(3.14159 * x),
    "gaussian": lambda x: tf.exp(-tf.square(x)),
}


def tapes(function):
    """x -> f(x), f'(x), f''(x) by nested tapes."""

    def evaluate(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = function(x)
            first = inner.gradient(value, x)
        second = outer.gradient(first, x, unconnected_gradients="zero")
        return value, first, second

    return evaluate


def methods(layer):
    """x -> f(x), f'(x), f''(x) by the methods of a layer."""
    return lambda x: (
        layer(x),
        layer.first_derivative(x),
        layer.second_derivative(x),
    )


def worst_errors(name, function, dtype, jit_compile, points):
    """The worst error of value, first and second; None where TF has none."""
    x = exact_values.grid(dtype, points)
    if name in ("sine_30", "sine_pi"):
        x = x[1:-1]  # the phase of the largest numbers is not resolved
    try:
        # Autograph would hide the LookupError behind an error of its own.
        results = tf.function(
            function, jit_compile=jit_compile, autograph=False
        )(tf.constant(x))
    except LookupError:  # softsign has no second derivative in TensorFlow
        return [None] * 3
    return [
        float(exact_values.relative_errors(name, order, x, y.numpy()).max())
        for order, y in enumerate(results)
    ]


def accuracy(arguments, emit):
    for name in arguments.names:
        layer = exact_values.CASES[name][0]()
        sides = {
            "methods": methods(layer),
            "tapes": tapes(layer),
            "tensorflow": tapes(CHAINS[name]),
        }
        for dtype in arguments.dtypes:
            for jit_compile in (False, True):
                for side, function in sides.items():
                    errors = worst_errors(
                        name, function, dtype, jit_compile, arguments.points
                    )
                    for order, error in enumerate(errors):
                        emit(
                            activation=name,
                            dtype=dtype,
                            jit=jit_compile,
                            side=side,
                            order=order,
                            worst_error=error,
                        )


def gradients(function, order):
    """x -> what a step needs: value and gradient, or both gradients."""

    def evaluate(x):
        value, first, second = tapes(function)(x)
        kept = (value, first) if order == 1 else (first, second)
        return tf.reduce_sum(kept[0]) + tf.reduce_sum(kept[1])

    return evaluate


def _milliseconds(function, x, calls):
    start = time.perf_counter()
    for _ in range(calls):
        function(x).numpy()
    return 1e3 * (time.perf_counter() - start) / calls


def cost(name, dtype, jit_compile, order, repeats):
    """Milliseconds on 256×512 numbers, ours and TensorFlow's, interleaved."""
    x = tf.random.stateless_normal((256, 512), (0, 1), dtype=dtype)
    layer = exact_values.CASES[name][0]()
    ours, theirs = (
        tf.function(
            gradients(f, order), jit_compile=jit_compile, autograph=False
        )
        for f in (layer, CHAINS[name])
    )
    ours(x), theirs(x)  # compile
    pairs = [
        (_milliseconds(ours, x, 5), _milliseconds(theirs, x, 5))
        for _ in range(repeats)
    ]
    own, other = np.array(pairs).T
    low, middle, high = np.percentile(own / other, [25, 50, 75]).round(2)
    return {
        "ours_ms": round(float(np.median(own)), 3),
        "tensorflow_ms": round(float(np.median(other)), 3),
        "ratio": float(middle),
        "ratio_quartiles": [float(low), float(high)],
    }


def timing(arguments, emit):
    for name, dtype, jit_compile, order in itertools.product(
        arguments.names, arguments.dtypes, (False, True), (1, 2)
    ):
        case = (name, dtype, jit_compile, order)
        try:
            figures = cost(*case, arguments.repeats)
        except LookupError:  # no second derivative of softsign to compare
            continue
        keys = ("activation", "dtype", "jit", "order")
        emit(**dict(zip(keys, case, strict=True)), **figures)


def _print_row(**figure):
    cells = []
    for key, value in figure.items():
        text = f"{value:.1e}" if key == "worst_error" and value else str(value)
        cells.append(f"{key}={text}")
    print("  ".join(cells), flush=True)


def _print_json(**figure):
    print(json.dumps(figure), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = list(exact_values.CASES)
    parser.add_argument("--names", nargs="+", default=names, choices=names)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--points", type=int, default=150, help="per sign")
    parser.add_argument("--repeats", type=int, default=11, help="of a timing")
    parser.add_argument("--time", action="store_true", help="measure cost")
    parser.add_argument("--json", action="store_true", help="a line per figure")
    arguments = parser.parse_args()
    run = timing if arguments.time else accuracy
    run(arguments, _print_json if arguments.json else _print_row)


if __name__ == "__main__":
    main()
