"""Second derivatives through everything that Keras exports.

Every row is measured from the gradient graph and by eager tapes. A sample of
rows is measured in the other ways as well; with

    export KERAS_CURVATURE_TABLE=write
    pytest tests/autodiff/test_second_derivatives_table.py

that is the first row of every export, and docs/second-derivatives.md is
written anew, with the errors that were measured.
"""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff import SecondDerivativeError
from tests.autodiff.table import CASES, page
from tests.autodiff.table.case import EXACT, NONE, REFUSED, Case
from tests.autodiff.table.truth import Problem
from tests.autodiff.table.ways import HESSIAN, PRODUCTS, error_of

WRITE = os.environ.get("KERAS_CURVATURE_TABLE") == "write"
# Single precision resolves no more in a second derivative.
TOLERANCE = {"float64": 1e-7, "float32": 1e-3}
# Where XLA or tapes run other kernels or another repair than the graph.
SAMPLE = {
    "layers.BatchNormalization",
    "layers.GroupNormalization",
    "layers.LayerNormalization",
    "layers.MaxPooling1D",
    "layers.MaxPooling2D",
    "layers.MaxPooling3D",
    "layers.Conv2D",
    "layers.DepthwiseConv2D",
    "layers.LSTM",
    "layers.MultiHeadAttention",
    "layers.Resizing",
    "layers.UpSampling2D",
    "activations.softsign",
    "activations.gelu",
    "losses.CategoricalCrossentropy",
}
MEASURED = {}


def _first_rows():
    return {case.export: case for case in reversed(CASES)}


def ways_of(case):
    """The ways that this run measures."""
    ways = ["graph", "eager"]
    is_first = _first_rows()[case.export] is case
    if is_first and (WRITE or case.export in SAMPLE):
        ways = list(HESSIAN)
        ways += [] if case.export.startswith("losses.") else list(PRODUCTS)
    if case.kernels == "jit":
        return ["graph jit"]
    return [way for way in ways if case.jit or "jit" not in way]


def _names(module):
    return [name for name in dir(module) if not name.startswith("_")]


@pytest.mark.parametrize("module", ["layers", "activations", "losses"])
def test_every_export_of_keras_has_a_row(module):
    exports = getattr(keras, module)
    rows = {c.export.removeprefix(f"{module}.") for c in CASES}
    covered = {
        id(getattr(exports, name)) for name in rows if hasattr(exports, name)
    }
    missing = [
        name
        for name in _names(exports)
        # An alias is covered by the row of what it stands for.
        if id(getattr(exports, name)) not in covered
    ]
    assert not missing, f"no row in tests/autodiff/table: {missing}"


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.make is not None],
    ids=lambda case: case.name,
)
def test_second_derivative_is(case):
    problem = Problem(case)
    assert problem.is_differentiable == (case.expected != NONE)
    if case.expected == NONE:
        return
    if case.expected == REFUSED:
        # A per-sample Jacobian is TensorFlow's own first derivative.
        for way in set(ways_of(case)) - {"per-sample"}:
            with pytest.raises(SecondDerivativeError):
                error_of(problem, way)
        return
    errors = {way: _error(case, problem, way) for way in ways_of(case)}
    MEASURED[case.name] = errors
    wrong = {w: e for w, e in errors.items() if not e <= TOLERANCE[case.dtype]}
    assert not wrong


def _error(case, problem, way):
    if "jit" in way and case.random:
        # XLA draws other random numbers from the same seed.
        problem = Problem(case, jit=True)
    return error_of(problem, way)


def test_the_page_shows_this_table():
    text = page.render(CASES, MEASURED)
    if WRITE:
        page.PATH.write_text(text)
    assert page.without_errors(page.PATH.read_text()) == page.without_errors(
        text
    )


def test_a_wrong_second_derivative_would_be_found():
    """The measurement itself: a derivative that is left out shows."""

    def stopped(x):
        return x * tf.stop_gradient(x)

    case = Case("", "", lambda: stopped, call=lambda f, t, training: f(t[0]))
    assert case.expected == EXACT
    assert error_of(Problem(case), "graph") > 1e-2
    assert np.isfinite(error_of(Problem(case), "eager"))
