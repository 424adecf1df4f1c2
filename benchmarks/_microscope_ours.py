"""Answers the tasks of microscope.py with this package, one a line."""

import json
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from keras_curvature import linalg
from keras_curvature.operators import Hessian


def hessian(path, dtype, batch_size):
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    with np.load(path) as problem:
        x, y = problem["x"].astype(dtype), problem["y"]
        kernels = [problem[f"kernel{k}"] for k in range(3)]
    model = keras.Sequential([keras.Input((784,))])
    for kernel, activation in zip(kernels, ("tanh", "tanh", None), strict=True):
        layer = keras.layers.Dense(kernel.shape[1], activation=activation)
        model.add(layer)
        layer.kernel.assign(kernel)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Hessian(model, x, y, loss=loss, batch_size=batch_size)


def eigenvalues(operator, settings):
    # A reference is float64.
    tolerance = None if operator.dtype == tf.float32 else 1e-8
    pairs = linalg.eigenpairs(
        operator, k=5, which="magnitude", tolerance=tolerance
    )
    if not pairs.converged.all():
        raise ValueError(f"residuals of {pairs.residuals}")
    values = sorted(pairs.values.tolist(), key=abs, reverse=True)
    return {"result": values, "products": pairs.products}


def trace(operator, settings):
    is_reference = operator.dtype == tf.float64
    estimate = linalg.trace(
        operator,
        method="xtrace" if is_reference else "hutchinson",
        probes=2 * settings["probes"] if is_reference else settings["probes"],
    )
    return {
        "result": [estimate.value],
        "standard_error": estimate.standard_error,
    }


def density(operator, settings):
    found = linalg.spectral_density(
        operator, steps=settings["steps"], runs=settings["runs"]
    )
    return {"result": [max(found.nodes.ravel().tolist(), key=abs)]}


TASKS = {f.__name__: f for f in (eigenvalues, trace, density)}


def main():
    name, path, settings = sys.argv[1:]
    settings = json.loads(settings)
    tf.config.threading.set_intra_op_parallelism_threads(settings["threads"])
    dtype = "float64" if name == "float64" else "float32"
    operator = hessian(path, dtype, settings["batch_size"])
    for line in sys.stdin:
        began = time.perf_counter()
        try:
            answer = TASKS[line.strip()](operator, settings)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answer["seconds"] = time.perf_counter() - began
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
