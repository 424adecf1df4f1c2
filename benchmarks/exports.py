"""Which activation layers other runtimes take, and how exactly they compute.

Converts a model of each layer, from its concrete function and with TFLite's
own operations alone, runs it in TFLite's interpreter, and compares with the
Keras model in float32. A layer that cannot be converted gets the operations
that the converter names. With `--onnx`, the same by tf2onnx and onnxruntime
(`pip install tf2onnx onnxruntime`).
"""

import argparse
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


def make_model(layer):
    return keras.Sequential([keras.Input((1,), batch_size=len(X)), layer])


def concrete(model):
    """The model as a function of one signature, which converters read."""
    spec = tf.TensorSpec(X.shape, tf.float32, name="x")
    function = tf.function(lambda x: model(x, training=False))
    return function.get_concrete_function(spec)


def by_tflite(model):
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [concrete(model)], model
    )
    content = converter.convert()
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    (end,) = interpreter.get_output_details()
    interpreter.set_tensor(entry["index"], X)
    interpreter.invoke()
    return interpreter.get_tensor(end["index"])


def by_onnx(model):
    import onnxruntime
    import tf2onnx

    spec = [tf.TensorSpec(X.shape, tf.float32, name="x")]
    function = tf.function(
        lambda x: model(x, training=False), input_signature=spec
    )
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/model.onnx"
        tf2onnx.convert.from_function(
            function, input_signature=spec, output_path=path
        )
        session = onnxruntime.InferenceSession(path)
    (entry,) = session.get_inputs()
    return session.run(None, {entry.name: X})[0]


def compared(convert, layer):
    """The largest error, relative beyond 1, or what was refused."""
    model = make_model(layer)
    expected = model(X, training=False).numpy()
    try:
        found = convert(model)
    except Exception as error:
        # Of TFLite these are the names of operations, flex or custom.
        names = re.findall(r"tf\.(\w+)\(", str(error))
        return {"refused": ", ".join(sorted(set(names))) or repr(error)[:200]}
    error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    return {"error": float(error.max())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--onnx", action="store_true", help="ONNX as well")
    options = parser.parse_args()
    runtimes = {"tflite": by_tflite}
    if options.onnx:
        runtimes["onnx"] = by_onnx
    for name, layer in LAYERS.items():
        for runtime, convert in runtimes.items():
            row = {"layer": name, "runtime": runtime}
            print(json.dumps(row | compared(convert, layer())), flush=True)


if __name__ == "__main__":
    sys.exit(main())
