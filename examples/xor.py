"""XOR with sigmoids: three optimizers, and where the gradient vanishes.

First plain gradient descent, Adam and SecondOrderGradient train a 2-4-1
sigmoid network on the four points of XOR, with equal passes over the data and
a learning rate with worse ones on both sides. Then a deeper network shows how
saturated sigmoids silence the layers below them: each passes on the gradient
times σ'(z), which is 1/4 at z = 0 and fades as exp(-|z|) on both sides.
"""

import _quiet  # noqa: F401, isort: skip

import keras
import numpy as np
import tensorflow as tf
from _compare import Method, compare
from _report import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    arguments,
    draw_curves,
    mean_and_spread,
    new_figure,
    print_table,
    rate_and_tried,
    save_plot,
    use_log_scale,
)
from keras.optimizers import SGD, Adam

from keras_curvature.layers import Sigmoid
from keras_curvature.optimizers import SecondOrderGradient

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
Y = np.array([[0], [1], [1], [0]], "float32")
STEPS = 50  # updates that count as one epoch, each with all four points

METHODS = {
    "gradient descent": Method(SGD, 3.0, 1, GREY, "--"),
    "Adam": Method(Adam, 0.1, 1, ORANGE, "--"),
    "SecondOrderGradient(SGD)": Method(
        lambda rate: SecondOrderGradient(SGD(rate)), 3.0, 2, BLUE
    ),
    "SecondOrderGradient(Adam)": Method(
        lambda rate: SecondOrderGradient(Adam(rate)), 0.1, 2, GREEN
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


def loss(model):
    # Called, since `evaluate` would be traced for every network.
    predictions = model(X, training=False)
    return float(np.mean(keras.losses.binary_crossentropy(Y, predictions)))


def measure_saturation(shift):
    """The layers of a 2-8-8-8-1 network whose hidden z are shifted.

    For each layer the means of z and of σ'(z), and the norm of the loss's
    gradient by its bias, which is what backpropagation brings to that layer.
    """
    keras.utils.set_random_seed(0)
    model = make_model("sgd", hidden=(8, 8, 8))
    dense, sigmoids = model.layers[::2], model.layers[1::2]
    for layer in dense[:-1]:
        layer.bias.assign_add([shift] * 8)
    rows, signal = [], X
    with tf.GradientTape() as tape:
        for layer, sigmoid in zip(dense, sigmoids, strict=True):
            z = layer(signal)
            slope = sigmoid.first_derivative(z)
            rows.append([np.mean(z), np.mean(slope)])
            signal = sigmoid(z)
        loss = tf.reduce_mean(keras.losses.binary_crossentropy(Y, signal))
    gradients = tape.gradient(loss, [layer.bias.value for layer in dense])
    return [
        (*row, np.linalg.norm(gradient))
        for row, gradient in zip(rows, gradients, strict=True)
    ]


def draw_saturation(axes):
    shifts = np.linspace(-12, 12, 25)
    norms = [[row[2] for row in measure_saturation(s)] for s in shifts]
    styles = zip(("#08306B", BLUE, "#56B4E9", ORANGE), "osD^", strict=True)
    for index, (color, marker) in enumerate(styles):
        axes.semilogy(
            shifts,
            [row[index] for row in norms],
            color=color,
            marker=marker,
            markersize=4,
        )
        axes.annotate(
            ("layer 1", "layer 2", "layer 3", "output")[index],
            (shifts[-1], norms[-1][index]),
            xytext=(6, 0),
            textcoords="offset points",
            color=color,
            va="center",
        )
    axes.set(
        xlabel="shift of every hidden unit's input z",
        ylabel="norm of the bias's gradient",
        title="The gradient vanishes at saturation",
    )


def main():
    options = arguments(
        __doc__.splitlines()[0],
        passes=(2000, "passes over the data in each run"),
        seeds=(5, "runs at the best learning rate"),
    ).parse_args()
    results = compare(
        METHODS,
        make_model,
        options.passes // STEPS,
        options.seeds,
        choose_by="loss",
        measure=loss,
        x=np.tile(X, (STEPS, 1)),
        y=np.tile(Y, (STEPS, 1)),
        batch_size=4,
        tuning_seeds=options.seeds,
        shuffle=False,
    )
    print_table(
        (
            "optimizer",
            "rate (tried)",
            "median loss",
            "solved",
            "seconds",
        ),
        [
            [
                name,
                rate_and_tried(runs[0]),
                f"{np.median([run.score for run in runs]):.1e}",
                f"{sum(r.score < 0.1 for r in runs)} of {len(runs)}",
                mean_and_spread([run.seconds for run in runs], 1),
            ]
            for name, runs in results.items()
        ],
    )
    print("\nSaturation, layer by layer, in a 2-8-8-8-1 network:\n")
    print_table(
        ("shift of z", "layer", "mean z", "mean σ'(z)", "‖gradient‖"),
        [
            (
                f"{shift:+d}",
                str(layer),
                f"{z:.1f}",
                f"{slope:.0e}",
                f"{norm:.0e}",
            )
            for shift in (0, 5, 10)
            for layer, (z, slope, norm) in enumerate(
                measure_saturation(shift), start=1
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
    use_log_scale(left)
    draw_saturation(right)
    print(f"\nPlot: {save_plot(figure, options.plots, 'xor.png').resolve()}")


if __name__ == "__main__":
    main()
