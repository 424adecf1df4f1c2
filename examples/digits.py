"""Handwritten digits: first-order and second-order on equal budgets.

Trains a small tanh network on scikit-learn's 1,797 images of 8 x 8 pixels.
Every optimizer gets the same number of passes over the data, of learning
rates and of seeds; the rate is chosen on a validation split, and accuracy is
measured on test images that no choice has seen. The network trained with
curvature is exported, and loaded again where keras_curvature does not exist.
"""

import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np
from _report import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    Method,
    arguments,
    compare,
    draw_curves,
    mean_and_spread,
    new_figure,
    print_table,
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
    "SGD": Method(sgd, (0.3, 0.1, 0.03), 1, GREY, "--"),
    "Adam": Method(Adam, (0.01, 0.003, 0.001), 1, ORANGE, "--"),
    "SecondOrderGradient(SGD)": Method(curved_sgd, (0.3, 0.1, 0.03), 2, BLUE),
    "AdaHessian": Method(AdaHessian, (0.3, 0.1, 0.03), 2, GREEN),
    "Sophia": Method(Sophia, (0.003, 0.001, 0.0003), 1.1, PURPLE),
    "KFAC": Method(KFAC, (0.3, 0.1, 0.03), 1.1, RED),
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
    logits = model.predict(images, batch_size=360, verbose=0)
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
    expected = model.predict(images, verbose=0)
    return np.abs(logits - expected).max()


def main():
    options = arguments(
        __doc__.splitlines()[0],
        passes=(40, "passes over the data in each run"),
        seeds=(3, "runs for each learning rate"),
    )
    options.add_argument(
        "--export", default="saved_models/digits", help="folder of the export"
    )
    options = options.parse_args()
    (x, y), validation, (x_test, y_test) = load_data()
    results = compare(
        METHODS,
        make_model,
        options.passes,
        options.seeds,
        choose_by="val_loss",
        measure=lambda model: 100 * accuracy(model, x_test, y_test),
        x=x,
        y=y,
        batch_size=64,
        validation_data=validation,
    )
    print_table(
        ("optimizer", "rate", "train loss", "val. loss", "test %", "seconds"),
        [
            [
                name,
                f"{runs[0].rate:g}",
                mean_and_spread([r.history["loss"][-1] for r in runs], 4),
                mean_and_spread([r.history["val_loss"][-1] for r in runs], 3),
                mean_and_spread([run.score for run in runs], 2),
                mean_and_spread([run.seconds for run in runs], 1),
            ]
            for name, runs in results.items()
        ],
    )

    figure, (left, right) = new_figure(2, "Digits, equal passes over the data")
    draw_curves(left, METHODS, results, lambda h: h["loss"])
    left.set(xlabel="passes over the data", ylabel="training loss")
    use_log_scale(left)
    draw_curves(
        right,
        METHODS,
        results,
        lambda h: [100 * (1 - accuracy) for accuracy in h["val_accuracy"]],
    )
    right.set(xlabel="passes over the data", ylabel="validation error, %")
    use_log_scale(right)
    plot = save_plot(figure, options.plots, "digits.png")

    model = make_model("sgd")
    model.set_weights(results["SecondOrderGradient(SGD)"][0].weights)
    folder = pathlib.Path(options.export)
    difference = export(model, x_test, folder)
    print(
        f"\nLoaded without keras_curvature: logits differ by {difference:.1e}"
    )
    print(f"Plot:       {plot.resolve()}\nSavedModel: {folder.resolve()}")


if __name__ == "__main__":
    main()
