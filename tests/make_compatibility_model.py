"""Exports the small model that the tests load: saved_models/compatibility.

Run it again only when a new export is wanted: the point of the committed one
is that it was written by older versions of Keras and of this package. The
expected outputs are NumPy's and SciPy's, in float64, with the same weights.
"""

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from scipy import special

import keras_curvature
from keras_curvature import layers

FOLDER = pathlib.Path(__file__).parents[1] / "saved_models" / "compatibility"


ACTIVATIONS = (
    np.tanh,
    lambda z: z * special.ndtr(z),
    lambda z: np.sin(2 * z),
    special.log_expit,
)


def expected_outputs(inputs, weights):
    values = inputs.astype("float64")
    pairs = zip(weights[::2], weights[1::2], strict=True)
    for (kernel, bias), activation in zip(pairs, ACTIVATIONS, strict=True):
        values = activation(values @ kernel.astype("float64") + bias)
    return values


def main():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,))])
    for activation in (layers.Tanh(), layers.GELU(), layers.Sine(2.0)):
        model.add(keras.layers.Dense(5))
        model.add(activation)
    model.add(keras.layers.Dense(2, activation=layers.LogSigmoid()))
    model.compile(keras_curvature.optimizers.SecondOrderGradient("adam"), "mse")
    inputs = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    model.fit(inputs, -np.abs(inputs[:, :2]), epochs=3, verbose=0)
    model.export(FOLDER / "model", verbose=False)
    outputs = expected_outputs(inputs, model.get_weights())
    np.savez(FOLDER / "expected.npz", inputs=inputs, outputs=outputs)
    versions = {
        "keras_curvature": keras_curvature.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    (FOLDER / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
