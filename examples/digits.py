"""Handwritten digits: first-order and second-order on equal budgets.

Trains a small tanh network on scikit-learn's 1,797 images of 8 x 8 pixels.
Every optimizer gets the same number of passes over the data and of seeds, and
a learning rate with worse ones on both sides, chosen on a validation split;
accuracy is measured on test images that no choice has seen. The network of
the winner is exported, and loaded again where keras_curvature does not exist.
"""

import _quiet  # noqa: F401, isort: skip

import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np
from _compare import Method, compare
from _report import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
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
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_curvature.layers import Tanh
from keras_curvature.optimizers import (
    KFAC,
    AdaHessian,
    SecondOrderGradient,
    Sophia,
)


def sgd(rate):
    return SGD(rate, momentum=0.9)


def curved_sgd(rate):
    return SecondOrderGradient(sgd(rate), normalize=True)


METHODS = {
    "SGD": Method(sgd, 0.03, 1, GREY, "--"),
    "Adam": Method(Adam, 0.003, 1, ORANGE, "--"),
    "SecondOrderGradient(SGD)": Method(curved_sgd, 0.03, 2, BLUE),
    "KFAC": Method(KFAC, 0.01, 1.1, RED),
}
# With --all as well.
MORE_METHODS = {
    "AdaHessian": Method(AdaHessian, 0.1, 2, GREEN),
    "Sophia": Method(Sophia, 0.003, 1.1, PURPLE),
}

LOAD_AND_PREDICT = """
import logging, sys
import numpy as np
logging.disable(logging.WARNING)
import tensorflow as tf
folder, inputs, outputs = sys.argv[1:]
model = tf.saved_model.load(folder)
assert "keras_curvature" not in sys.modules
np.save(outputs, model.serve(np.load(inputs)))
"""


def load_data():
    """Images in [0, 1] and labels: 60 % to train, 20 % each to choose, test."""
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(
        x, y, test_size=360, stratify=y, random_state=0
    )
    x, x_val, y, y_val = train_test_split(
        x, y, test_size=360, stratify=y, random_state=0
    )
    return (x, y), (x_val, y_val), (x_test, y_test)


def make_model(optimizer):
    layers = [keras.Input((64,))]
    for _ in range(2):
        layers += [keras.layers.Dense(64), Tanh()]
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
        steps_per_execution=8,
    )
    return model


def accuracy(model, images, labels):
    # Called, since `predict` would be traced for every network.
    logits = model(images, training=False).numpy()
    return np.mean(logits.argmax(-1) == labels)


def export(model, images, folder):
    """Exports; returns the largest difference after loading it elsewhere."""
    model.export(folder, verbose=False)
    with tempfile.TemporaryDirectory() as temporary:
        inputs, outputs = f"{temporary}/images.npy", f"{temporary}/logits.npy"
        np.save(inputs, images)
        command = [sys.executable, "-c", LOAD_AND_PREDICT]
        loaded = subprocess.run(
            [*command, folder, inputs, outputs], capture_output=True, text=True
        )
        if loaded.returncode:
            sys.exit(loaded.stderr)
        logits = np.load(outputs)
    return np.abs(logits - model(images, training=False)).max()


def winner(results):
    """The name of the most accurate method, and a sentence about it."""

    def accuracies(name):
        return [run.score for run in results[name]]

    ranked = sorted(results, key=lambda n: -np.mean(accuracies(n)))
    first, second = ranked[:2]
    lead = np.mean(accuracies(first)) - np.mean(accuracies(second))
    spread = max(np.std(accuracies(name)) for name in ranked[:2])
    seconds = [np.median([r.seconds for r in results[n]]) for n in ranked[:2]]
    both = (
        f"{first}, {np.mean(accuracies(first)):.1f} % in {seconds[0]:.1f} s, "
        f"before {second}, {lead:.1f} points less in {seconds[1]:.1f} s"
    )
    if lead <= spread:
        both += f": a tie, seeds spread by {spread:.1f}"
    return first, f"Winner: {both}."


def draw(methods, results):
    figure, axes = new_figure(3, "Digits, equal passes over the data")
    curves = (
        ("training loss", False, lambda h: h["loss"]),
        ("validation loss", False, lambda h: h["val_loss"]),
        ("validation loss", True, lambda h: h["val_loss"]),
    )
    for ax, (label, clock, curve) in zip(axes, curves, strict=True):
        draw_curves(ax, methods, results, curve, clock=clock)
        xlabel = "seconds, traced before" if clock else "passes over the data"
        ax.set(xlabel=xlabel, ylabel=label)
        use_log_scale(ax)
    return figure


def main(argv=None):
    options = arguments(
        __doc__.splitlines()[0],
        passes=(30, "passes over the data in each run"),
        seeds=(3, "runs at the best learning rate"),
    )
    options.add_argument(
        "--export", default="saved_models/digits", help="folder of the export"
    )
    options.add_argument(
        "--all", action="store_true", help="AdaHessian and Sophia as well"
    )
    options = options.parse_args(argv)
    methods = METHODS | (MORE_METHODS if options.all else {})
    (x, y), validation, (x_test, y_test) = load_data()
    results = compare(
        methods,
        make_model,
        options.passes,
        options.seeds,
        choose_by="val_loss",
        measure=lambda model: 100 * accuracy(model, x_test, y_test),
        x=x,
        y=y,
        batch_size=64,
        validation_data=validation,
        validation_batch_size=360,
    )
    print_table(
        (
            "optimizer",
            "rate (tried)",
            "passes",
            "seconds",
            "train loss",
            "val. loss",
            "test %",
        ),
        [
            [
                name,
                rate_and_tried(runs[0]),
                str(options.passes),
                mean_and_spread([run.seconds for run in runs], 1),
                mean_and_spread([r.history["loss"][-1] for r in runs], 4),
                mean_and_spread([r.history["val_loss"][-1] for r in runs], 3),
                mean_and_spread([run.score for run in runs], 1),
            ]
            for name, runs in results.items()
        ],
    )
    best, sentence = winner(results)
    print(f"\n{sentence}")
    plot = save_plot(draw(methods, results), options.plots, "digits.png")
    model = make_model("sgd")
    model.set_weights(results[best][0].weights)
    folder = pathlib.Path(options.export)
    difference = export(model, x_test, folder)
    print(
        f"Its export, loaded without keras_curvature: logits differ by "
        f"{difference:.1e}"
    )
    print(f"Plot:       {plot.resolve()}\nSavedModel: {folder.resolve()}")


if __name__ == "__main__":
    main()
