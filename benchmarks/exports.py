"""Which activation layers other runtimes take, and how exactly they compute.

Converts a model of each layer, from its concrete function and with TFLite's
own operations alone, runs it in TFLite's interpreter, and compares with the
Keras model in float32. A layer that cannot be converted gets the operations
that the converter names. With `--onnx`, the same by tf2onnx and onnxruntime
(`pip install tf2onnx onnxruntime`). With `--keras`, Keras's own ELU, GELU and
SELU too. Of ELU and SELU, ours and Keras's, also the relative error close to 0
on the negative side, beside eˣ − 1 in float64.
"""

import argparse
import functools
import json
import os
import re
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from keras_curvature import layers

X = np.linspace(-12, 12, 481, dtype="float32")[:, None]
LAYERS = {
    name: getattr(layers, name)
    for name in layers.__all__
    if name not in ("Activation", "ElementwiseActivation")
}


KERAS = {
    f"keras {name}": functools.partial(keras.layers.Activation, name)
    for name in ("elu", "gelu", "selu")
}
NEAR_0 = -np.logspace(-8, 0, 481, dtype="float32")[:, None]
# What eˣ − 1 is multiplied by: scale·alpha of Klambauer et al. 2017.
_SELU = 1.0507009873554805 * 1.6732632423543772
EXACT_BELOW_0 = {
    "elu": lambda x: np.expm1(x),
    "selu": lambda x: _SELU * np.expm1(x),
}


def make_model(layer):
    return keras.Sequential([keras.Input((1,), batch_size=len(X)), layer])


def concrete(model):
    """The model as a function of one signature, which converters read."""
    spec = tf.TensorSpec(X.shape, tf.float32, name="x")
    function = tf.function(lambda x: model(x, training=False))
    return function.get_concrete_function(spec)


def by_keras(model, x):
    return model(x, training=False).numpy()


def by_tflite(model, x):
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [concrete(model)], model
    )
    content = converter.convert()
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    (end,) = interpreter.get_output_details()
    interpreter.set_tensor(entry["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(end["index"])


def by_onnx(model, x):
    import onnxruntime
    import tf2onnx

    spec = [tf.TensorSpec(X.shape, tf.float32, name="x")]
    function = tf.function(
        lambda inputs: model(inputs, training=False), input_signature=spec
    )
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        tf2onnx.convert.from_function(
            function, input_signature=spec, output_path=path
        )
        session = onnxruntime.InferenceSession(path)
    (entry,) = session.get_inputs()
    return session.run(None, {entry.name: x})[0]


def compared(convert, layer, name):
    """The largest error, relative beyond 1, or what was refused."""
    model = make_model(layer)
    expected = by_keras(model, X)
    try:
        found = convert(model, X)
    except Exception as error:
        # Of TFLite these are the names of operations, flex or custom.
        names = re.findall(r"tf\.(\w+)\(", str(error))
        return {"refused": ", ".join(sorted(set(names))) or repr(error)[:200]}
    error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    result = {"error": float(error.max())}
    exact = EXACT_BELOW_0.get(name.lower().removeprefix("keras "))
    if exact is not None:
        expected = exact(NEAR_0.astype("float64"))
        error = np.abs(convert(model, NEAR_0) / expected - 1)
        result["relative_error_near_0"] = float(error.max())
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx", action="store_true", help="ONNX as well")
    parser.add_argument("--keras", action="store_true", help="Keras's as well")
    options = parser.parse_args()
    runtimes = {"keras": by_keras, "tflite": by_tflite}
    if options.onnx:
        runtimes["onnx"] = by_onnx
    for name, layer in (LAYERS | (KERAS if options.keras else {})).items():
        for runtime, convert in runtimes.items():
            row = {"layer": name, "runtime": runtime}
            print(
                json.dumps(row | compared(convert, layer(), name)), flush=True
            )


if __name__ == "__main__":
    sys.exit(main())
