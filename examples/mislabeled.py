"""Finding mislabeled digits by what each of them does to the network.

One label in twenty of the training images is replaced by another one. A small
network learns them all the same; its self-influences, how much each image
pulls the network to itself, put the wrong labels first.
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

from keras_curvature.uncertainty import self_influence


def digits(seed, share):
    """Images, labels of which a share is wrong, and which these are."""
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    wrong = np.zeros(len(y), bool)
    wrong[rng.choice(len(y), round(share * len(y)), replace=False)] = True
    # Any of the nine other digits.
    labels = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    return x / 16, labels, wrong


def trained(x, labels, seed, epochs):
    keras.utils.set_random_seed(seed)
    penalty = keras.regularizers.L2(3e-4)
    options = {"kernel_regularizer": penalty, "bias_regularizer": penalty}
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(16, activation="tanh", **options),
            keras.layers.Dense(10, **options),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, labels, batch_size=64, epochs=epochs, verbose=0)
    return model


def losses(model, x, labels):
    """The loss of each image, what people sort by without influence."""
    return keras.losses.sparse_categorical_crossentropy(
        labels, model(x), from_logits=True
    ).numpy()


def found(scores, wrong):
    """The share of wrong labels among the first images, by their number."""
    return np.cumsum(wrong[np.argsort(-scores)]) / wrong.sum()


def draw(axes, scores, x, labels, wrong):
    left, right = axes
    seen = np.arange(1, len(wrong) + 1) / len(wrong)
    for (name, values), color in zip(
        scores.items(), (BLUE, ORANGE), strict=True
    ):
        left.plot(seen, found(values, wrong), color=color, label=name)
    left.plot(seen, seen, "--", color=GREY, label="at random")
    left.set(
        xlabel="share of the images looked at",
        ylabel="share of the wrong labels found",
        xlim=(0, 0.5),
    )
    first = np.argsort(-next(iter(scores.values())))[:24]
    tiles = x[first].reshape(4, 6, 8, 8)
    right.imshow(
        np.pad(tiles, ((0, 0), (0, 0), (1, 3), (1, 1)))
        .transpose(0, 2, 1, 3)
        .reshape(4 * 12, 6 * 10),
        cmap="gray_r",
    )
    for k, image in enumerate(first):
        row, column = divmod(k, 6)
        color = ORANGE if wrong[image] else GREY
        right.text(
            10 * column + 5, 12 * row + 10.5, f"{labels[image]}", color=color,
            ha="center", va="center", fontsize=8,
        )  # fmt: skip
    right.set(title="the first 24 and their labels (orange: wrong)")
    right.axis("off")


def main():
    options = arguments(
        __doc__.splitlines()[0],
        seed=(0, "of weights and wrong labels"),
        epochs=(60, "of training"),
    )
    options.add_argument("--share", type=float, default=0.05)
    options = options.parse_args()
    x, labels, wrong = digits(options.seed, options.share)
    model = trained(x, labels, options.seed, options.epochs)
    scores = {
        "self-influence": self_influence(model, x, labels, damping=6e-4),
        "loss": losses(model, x, labels),
    }
    rows = [
        [
            name,
            *(
                f"{found(s, wrong)[int(p * len(x)) - 1]:.0%}"
                for p in (0.05, 0.1, 0.15)
            ),
        ]
        for name, s in scores.items()
    ]
    print(f"{wrong.sum()} of {len(x)} labels are wrong. Found in the first")
    print_table(("sorted by", "5 %", "10 %", "15 %"), rows)
    figure, axes = new_figure(2, "Which labels are wrong?")
    draw(axes, scores, x, labels, wrong)
    print(f"\nPlot: {save_plot(figure, options.plots, 'mislabeled.png')}")


if __name__ == "__main__":
    main()
