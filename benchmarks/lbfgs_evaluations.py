"""Evaluations that LBFGS and NewtonCG need, beside SciPy's.

Both minimize the same functions to the same gradient norm, SciPy by calls of
a function and ours as Keras models, one evaluation a training step. One JSON
line for each function and method: evaluations of loss and gradient, Hessian
products, and how far the minima lie apart. Deterministic, and independent of
the machine.
"""

import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import keras
from classical_functions import (
    minimized,
    problems,
    scipy_minimized,
)

from keras_curvature.optimizers import LBFGS, NewtonCG

METHODS = {"L-BFGS-B": LBFGS, "trust-ncg": NewtonCG}


def figure(problem, method, tolerance):
    """The counts of one function and method."""
    scipy = scipy_minimized(problem, method, tolerance)
    optimizer = METHODS[method](gradient_tolerance=tolerance)
    minimized(problem, optimizer)
    ours = optimizer.progress
    return {
        "problem": problem.name,
        "method": method,
        "evaluations": int(ours["evaluations"]),
        "scipy_evaluations": scipy.evaluations,
        "ratio": round(ours["evaluations"] / scipy.evaluations, 3),
        "products": int(ours.get("hessian_products", 0)),
        "scipy_products": scipy.products,
        "minimum": ours["accepted_loss"],
        "scipy_minimum": scipy.minimum,
        "stop_reason": optimizer.stop_reason,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tolerance", type=float, default=1e-8)
    parser.add_argument("--problem", help="only the problem of this name")
    arguments = parser.parse_args()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    for problem in problems():
        if arguments.problem in (None, problem.name):
            for method in METHODS:
                counts = figure(problem, method, arguments.tolerance)
                print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
