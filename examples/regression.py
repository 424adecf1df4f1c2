"""Regression on scikit-learn's diabetes data: train and test loss.

442 patients, ten measurements each, and the progression of the disease one
year later. A small tanh network overfits them within seconds, so what counts
is how low the test loss gets. Each optimizer is given equal passes over the
data and equally many learning rates; a validation split chooses the rate.
"""

import _quiet  # noqa: F401, isort: skip

import keras
import numpy as np
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
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from keras_curvature.layers import Tanh
from keras_curvature.optimizers import SecondOrderGradient

METHODS = {
    "SGD": Method(SGD, 0.03, 1, GREY, "--"),
    "Adam": Method(Adam, 0.003, 1, ORANGE, "--"),
    "SecondOrderGradient(SGD)": Method(
        lambda rate: SecondOrderGradient(SGD(rate)), 0.03, 2, BLUE
    ),
    "SecondOrderGradient(Adam)": Method(
        lambda rate: SecondOrderGradient(Adam(rate)),
        0.003,
        2,
        GREEN,
    ),
}


def load_data():
    """Standardized by the training part: 242 rows, and twice 100."""
    x, y = load_diabetes(return_X_y=True)
    y = y[:, np.newaxis]
    x, x_test, y, y_test = train_test_split(x, y, test_size=100, random_state=0)
    x, x_val, y, y_val = train_test_split(x, y, test_size=100, random_state=0)

    def scaled(features, target):
        features = (features - x.mean(0)) / x.std(0)
        return features, (target - y.mean()) / y.std()

    return scaled(x, y), scaled(x_val, y_val), scaled(x_test, y_test)


def make_model(optimizer):
    model = keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(32),
            Tanh(),
            keras.layers.Dense(32),
            Tanh(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, "mse", steps_per_execution=8, jit_compile=False)
    return model


def main():
    options = arguments(
        __doc__.splitlines()[0],
        passes=(60, "passes over the data in each run"),
        seeds=(3, "runs at the best learning rate"),
    ).parse_args()
    (x, y), validation, (x_test, y_test) = load_data()
    results = compare(
        METHODS,
        make_model,
        options.passes,
        options.seeds,
        choose_by="val_loss",
        # Called, since `evaluate` would be traced for every network.
        measure=lambda model: float(
            np.mean((model(x_test, training=False) - y_test) ** 2)
        ),
        x=x,
        y=y,
        batch_size=32,
        validation_data=validation,
    )
    print("Mean squared errors, in units of the target's variance:\n")
    print_table(
        ("optimizer", "rate (tried)", "train", "validation", "test", "seconds"),
        [
            (
                name,
                rate_and_tried(runs[0]),
                mean_and_spread([r.history["loss"][-1] for r in runs], 3),
                mean_and_spread([r.history["val_loss"][-1] for r in runs], 3),
                mean_and_spread([run.score for run in runs], 3),
                mean_and_spread([run.seconds for run in runs], 1),
            )
            for name, runs in results.items()
        ],
    )
    figure, axes = new_figure(2, "Diabetes, equal passes over the data")
    for ax, key in zip(axes, ("loss", "val_loss"), strict=True):
        draw_curves(ax, METHODS, results, lambda h, key=key: h[key])
        ax.set_xlabel("passes over the data")
        use_log_scale(ax)
    axes[0].set_ylabel("training loss")
    axes[1].set_ylabel("validation loss")
    path = save_plot(figure, options.plots, "regression.png")
    print(f"\nPlot: {path.resolve()}")


if __name__ == "__main__":
    main()
