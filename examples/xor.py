"""XOR with sigmoids: three optimizers, and where the gradient vanishes.

First plain gradient descent, Adam and SecondOrderGradient train a 2-4-1
sigmoid network on the four points of XOR, with equal passes over the data and
equally many learning rates. Then a deeper network shows why its first layers
learn so slowly: a sigmoid passes the gradient on times σ'(z), at most 1/4 and
almost nothing where |z| is large, so large weights silence the layers below.
"""

import keras
import numpy as np
import tensorflow as tf
from _report import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Method,
    arguments,
    compare,
    draw_curves,
    mean_and_spread,
    new_figure,
    print_table,
    save_plot,
)

from keras_curvature.layers import Sigmoid
from keras_curvature.optimizers import SecondOrderGradient

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
Y = np.array([[0], [1], [1], [0]], "float32")
STEPS = 20  # updates that count as one epoch, each with all four points

METHODS = {
    "gradient descent": Method(
        keras.optimizers.SGD, (10.0, 3.0, 1.0), 1, GREY, "--"
    ),
    "Adam": Method(keras.optimizers.Adam, (0.3, 0.1, 0.03), 1, ORANGE, "--"),
    "SecondOrderGradient(sgd)": Method(
        lambda rate: SecondOrderGradient(keras.optimizers.SGD(rate)),
        (10.0, 3.0, 1.0),
        2,
        BLUE,
    ),
    "SecondOrderGradient(adam)": Method(
        lambda rate: SecondOrderGradient(keras.optimizers.Adam(rate)),
        (0.3, 0.1, 0.03),
        2,
        GREEN,
    ),
}


def make_model(optimizer, hidden=(4,)):
    layers = [keras.Input((2,))]
    for units in (*hidden, 1):
        layers += [keras.layers.Dense(units), Sigmoid()]
    model = keras.Sequential(layers)
    model.compile(
        optimizer,
        "binary_crossentropy",
        steps_per_execution=STEPS,
        jit_compile=False,
    )
    return model


def measure_saturation(scale):
    """Per layer of a 2-8-8-8-1 network whose weights are multiplied by
    `scale`: mean |z|, mean σ'(z) and the norm of the kernel's gradient."""
    keras.utils.set_random_seed(0)
    model = make_model("sgd", hidden=(8, 8, 8))
    model.set_weights([scale * w for w in model.get_weights()])
    rows, signal = [], X
    with tf.GradientTape() as tape:
        for layer in model.layers:
            if isinstance(layer, Sigmoid):
                slope = layer.first_derivative(signal)
                rows.append([np.abs(signal).mean(), slope.numpy().mean()])
            signal = layer(signal)
        loss = tf.reduce_mean(keras.losses.binary_crossentropy(Y, signal))
    kernels = [layer.kernel for layer in model.layers[::2]]
    gradients = tape.gradient(loss, [kernel.value for kernel in kernels])
    return [
        [*row, float(tf.norm(gradient))]
        for row, gradient in zip(rows, gradients, strict=True)
    ]


def draw_saturation(axes):
    scales = np.geomspace(0.5, 64, 22)
    norms = np.array([[r[2] for r in measure_saturation(s)] for s in scales])
    shades = ["#08306B", "#2879B9", "#73B3D8", "#E69F00"]
    for layer, (shade, marker) in enumerate(
        zip(shades, "osD^", strict=True), start=1
    ):
        axes.loglog(
            scales,
            norms[:, layer - 1],
            color=shade,
            marker=marker,
            markersize=4,
            label=f"layer {layer}" + (" (output)" if layer == 4 else ""),
        )
    axes.set(
        xlabel="factor on the initial weights",
        ylabel="norm of the kernel's gradient",
        title="The gradient vanishes at saturation",
    )
    axes.legend(frameon=False, loc="lower left")


def main():
    options = arguments(
        __doc__.splitlines()[0],
        passes=(2000, "passes over the data in each run"),
        seeds=(5, "runs for each learning rate"),
    ).parse_args()
    results = compare(
        METHODS,
        make_model,
        options.passes // STEPS,
        options.seeds,
        choose_by="loss",
        measure=lambda model: model.evaluate(X, Y, verbose=0),
        x=np.tile(X, (STEPS, 1)),
        y=np.tile(Y, (STEPS, 1)),
        batch_size=4,
        shuffle=False,
    )
    print_table(
        ("optimizer", "rate", "final loss (median)", "solved", "seconds"),
        [
            [
                name,
                f"{runs[0].rate:g}",
                f"{np.median([run.score for run in runs]):.1e}",
                f"{sum(r.score < 0.1 for r in runs)} of {len(runs)}",
                mean_and_spread([run.seconds for run in runs], 1),
            ]
            for name, runs in results.items()
        ],
    )
    print("\nSaturation, layer by layer, in a 2-8-8-8-1 network:\n")
    print_table(
        ("initial weights", "layer", "mean |z|", "mean σ'(z)", "‖gradient‖"),
        [
            [
                f"× {scale}",
                str(layer),
                f"{z:.2f}",
                f"{slope:.1e}",
                f"{norm:.1e}",
            ]
            for scale in (1, 8, 64)
            for layer, (z, slope, norm) in enumerate(
                measure_saturation(scale), start=1
            )
        ],
    )
    figure, (left, right) = new_figure(2, None)
    draw_curves(left, METHODS, results, lambda h: h["loss"], every=STEPS)
    left.set(
        xlabel="passes over the data",
        ylabel="training loss",
        title="XOR, equal passes over the data",
    )
    left.set_yscale("log")
    draw_saturation(right)
    print(f"\nPlot: {save_plot(figure, options.plots, 'xor.png').resolve()}")


if __name__ == "__main__":
    main()
