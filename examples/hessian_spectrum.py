"""The Hessian of a network that knows digits: spectrum and sources.

Trains a small network on scikit-learn's images of 8 x 8 pixels and looks at
the Hessian of its loss: the largest and smallest eigenvalues, the density of
all of them beside that of the Gauss-Newton matrix, and how much of each
layer's curvature comes from the activations.
"""

import _quiet  # noqa: F401, isort: skip

import time

import keras
import numpy as np
from _report import (
    BLUE,
    ORANGE,
    arguments,
    new_figure,
    print_table,
    save_plot,
)
from sklearn.datasets import load_digits

from keras_curvature.diagnostics import (
    activation_report,
    curvature_parts,
    curvature_split,
)
from keras_curvature.linalg import eigenpairs, spectral_density
from keras_curvature.plots import (
    plot_curvature_split,
    plot_eigenvalues,
    plot_spectral_density,
)


def train(images, labels, units, passes):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(units, activation="tanh", name="first"),
            keras.layers.Dense(units, activation="sigmoid", name="second"),
            keras.layers.Dense(10, name="logits"),
        ],
        name="digits",
    )
    model.compile(
        keras.optimizers.Adam(0.003),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
        steps_per_execution=8,
    )
    model.fit(images, labels, batch_size=64, epochs=passes, verbose=0)
    return model


def draw_density(ax, spectrum, label, color):
    """Adds a density with its band to what is drawn already."""
    lines, bands = len(ax.lines), len(ax.collections)
    plot_spectral_density(spectrum, ax=ax)
    ax.lines[lines].set(color=color, label=label)
    for band in ax.collections[bands:]:
        band.set_facecolor(color)


def main():
    options = arguments(
        __doc__.splitlines()[0],
        passes=(20, "passes over the data of the training"),
        units=(24, "units of each hidden layer"),
        samples=(1000, "images, of 1,797"),
        eigenvalues=(16, "eigenvalues, half at each end"),
        steps=(40, "Lanczos steps of the densities"),
        probes=(50, "random vectors for traces and norms"),
    ).parse_args()
    began = time.perf_counter()
    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype("float32")[: options.samples], y[: options.samples]
    model = train(x, y, options.units, options.passes)
    parts = curvature_parts(model, x, y)
    accuracy = np.mean(np.argmax(model(x), -1) == y)
    print(
        f"{model.count_params()} weights, loss {parts.hessian.loss:.4f}, "
        f"accuracy {accuracy:.1%}\n"
    )
    pairs = eigenpairs(parts.hessian, k=options.eigenvalues, which="both")
    order = np.argsort(-pairs.values)
    print_table(
        ("rank", "eigenvalue", "residual"),
        [
            [str(rank), f"{pairs.values[k]:.4g}", f"{pairs.residuals[k]:.1e}"]
            for rank, k in enumerate(order, start=1)
        ],
    )
    density = spectral_density(parts.hessian, steps=options.steps, runs=4)
    semidefinite = spectral_density(
        parts.gauss_newton, steps=options.steps, runs=4
    )
    print(f"\nHessian: {density}")
    print(f"Gauss-Newton matrix: {semidefinite}\n")
    split = curvature_split(model, x, y, probes=options.probes)
    print(f"{split}\n\n{activation_report(model, x, y)}\n")

    figure, (left, middle, right) = new_figure(
        3, "Digits: the Hessian of the loss after training"
    )
    draw_density(left, semidefinite, "Gauss–Newton matrix", ORANGE)
    draw_density(left, density, "Hessian", BLUE)
    plot_eigenvalues(pairs, ax=middle)
    middle.set_title(f"{options.eigenvalues} eigenvalues", fontsize=10)
    plot_curvature_split(split, ax=right)
    names = [row.name.split("/")[-1] for row in (*split.layers, split.total)]
    right.set_yticks(right.get_yticks(), names)
    plot = save_plot(figure, options.plots, "hessian_spectrum.png")
    print(f"Seconds: {time.perf_counter() - began:.0f}")
    print(f"Plot:    {plot.resolve()}")


if __name__ == "__main__":
    main()
