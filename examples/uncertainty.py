"""What two networks do not know: a gap in the data, and what is no digit.

A regression with a gap between its data, where its bands widen; and a
classifier of handwritten digits that is shown what are no digits: the halves
of digits swapped, negatives, shuffled pixels. There the network alone stays
sure, and Laplace's approximation does not.
"""

import _quiet  # noqa: F401, isort: skip

import keras
import numpy as np
from _report import (
    BLUE,
    GREY,
    ORANGE,
    arguments,
    new_figure,
    print_table,
    save_plot,
)
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_curvature
from keras_curvature.optimizers import LevenbergMarquardt
from keras_curvature.uncertainty import Laplace


def regression(seed, steps):
    """Data with a gap, and the posterior of a network fitted to them."""
    rng = np.random.default_rng(seed)
    x = np.sort(
        np.concatenate([rng.uniform(a, a + 1, 40) for a in (-1.5, 0.5)])
    )
    x = x[:, None]
    y = np.sin(4 * x) + 0.15 * rng.normal(size=x.shape)
    keras.utils.set_random_seed(seed)
    penalty = {
        f"{name}_regularizer": keras.regularizers.L2(1e-4)
        for name in ("kernel", "bias")
    }
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(20, activation="tanh", **penalty),
            keras.layers.Dense(1, **penalty),
        ]
    )
    model.compile(LevenbergMarquardt(), "mse", jit_compile=False)
    print(keras_curvature.solve(model, x, y, max_steps=steps, verbose=0))
    laplace = Laplace(model).fit(x, y)
    laplace.tune()
    print(f"noise {laplace.noise:.3f}, true 0.15\n")
    return x, y, laplace


def digits(seed, epochs):
    """Images of digits to test on, and the posterior of a classifier."""
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(
        images / 16, labels, test_size=0.3, random_state=seed, stratify=labels
    )
    x, test, y, test_labels = split
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="tanh"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    laplace = Laplace(model, weights="last_layer").fit(x, y)
    laplace.tune()
    return test, test_labels, laplace


def no_digits(digits, seed):
    """What a classifier of digits should not be sure about, by name."""
    swapped = np.roll(digits.reshape(-1, 8, 8), 4, axis=2).reshape(-1, 64)
    shuffled = np.random.default_rng(seed).permuted(digits, axis=1)
    return {
        "halves swapped": swapped,
        "negatives": 1 - digits,
        "shuffled pixels": shuffled,
    }


def confidences(laplace, images):
    """The largest probability of each image: the network's, and Laplace's."""
    plain = keras.ops.softmax(laplace.model(images)).numpy()
    return plain.max(1), laplace.predict(images).probabilities.max(1)


def draw_regression(ax, x, y, laplace):
    line = np.linspace(-2.5, 2.5, 300)[:, None]
    prediction = laplace.predict(line)
    mean = prediction.mean[:, 0]
    for variance, color, label in (
        (prediction.variance, GREY, "observations"),
        (prediction.epistemic_variance, BLUE, "the curve"),
    ):
        reach = 2 * np.sqrt(variance[:, 0])
        ax.fill_between(
            line[:, 0], mean - reach, mean + reach, color=color, alpha=0.3,
            lw=0, label=f"2σ of {label}",
        )  # fmt: skip
    ax.plot(line, mean, color=BLUE, label="network")
    ax.plot(line, np.sin(4 * line), "--", color=ORANGE, label="truth")
    ax.plot(x, y, "k.", ms=3, label="data")
    ax.set(xlabel="x", ylabel="y", ylim=(-3, 3))


def draw_confidences(ax, found):
    """Means with quartiles, beside each other."""
    places = np.arange(len(found))
    for k, (color, label) in enumerate(
        ((ORANGE, "the network alone"), (BLUE, "with Laplace"))
    ):
        low, middle, high = (
            np.array([np.quantile(pair[k], q) for pair in found.values()])
            for q in (0.25, 0.5, 0.75)
        )
        ax.errorbar(
            places + 0.15 * (k - 0.5), middle, [middle - low, high - middle],
            fmt="o", color=color, capsize=4, label=label,
        )  # fmt: skip
    ax.set(
        xticks=places, xticklabels=[n.replace(" ", "\n") for n in found],
        ylim=(0, 1.05),
        ylabel="largest probability",
        title="quartiles; orange: the network alone",
    )  # fmt: skip


def main():
    options = arguments(
        __doc__.splitlines()[0],
        seed=(0, "of weights and data"),
        steps=(200, "of the regression's solver"),
        epochs=(60, "of the classifier"),
    ).parse_args()
    with_gap = regression(options.seed, options.steps)
    test, labels, laplace = digits(options.seed, options.epochs)
    shown = {"digits": test} | no_digits(test, options.seed)
    found = {name: confidences(laplace, x) for name, x in shown.items()}
    chosen = laplace.predict(test).probabilities.argmax(1)
    print(f"digits classified right: {np.mean(chosen == labels):.1%}\n")
    rows = [
        [name, *(f"{np.mean(c):.3f}" for c in pair)]
        for name, pair in found.items()
    ]
    print_table(("mean confidence", "network", "Laplace"), rows)
    figure, (left, right) = new_figure(2, "What the networks do not know")
    draw_regression(left, *with_gap)
    draw_confidences(right, found)
    print(f"\nPlot: {save_plot(figure, options.plots, 'uncertainty.png')}")


if __name__ == "__main__":
    main()
