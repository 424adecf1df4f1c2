"""Second derivatives through everything that Keras exports.

Every row is measured by eager tapes, and where TensorFlow is repaired or a
layer has its first row from the gradient graph as well; EXTRA adds the other
ways where they run other kernels or another repair. With

    export KERAS_CURVATURE_TABLE=write
    pytest tests/autodiff/test_second_derivatives_table.py

every row is measured in both ways and the first row of each export in all, and
docs/second-derivatives.md is written anew, with the errors.
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
# Words in the names of what lies on a repaired operation.
REPAIRED = (
    "Normalization",
    "MaxPooling",
    "UpSampling",
    "Resizing",
    "RandomCrop",
    "Circle",
    "softsign",
)
EXTRA = {
    "layers.BatchNormalization": ["tape", "graph jit"],
    "layers.Conv2D": [*PRODUCTS],
    "layers.DepthwiseConv2D": ["per-sample"],
    "layers.GRU": ["jacobian", "gauss-newton"],
    "layers.GroupNormalization": ["tape"],
    "layers.LayerNormalization": ["tape", "tape jit", *PRODUCTS],
    "layers.MaxPooling1D": ["graph jit"],
    "layers.MaxPooling2D": ["graph jit", "tape jit"],
    "layers.MaxPooling3D": ["graph jit"],
    "layers.MultiHeadAttention": ["jacobian", "gauss-newton"],
    "layers.Resizing": ["tape"],
    "losses.CategoricalCrossentropy": ["graph", "tape"],
}
MEASURED = {}
_FIRST = {case.export: case.name for case in reversed(CASES)}


def ways_of(case):
    """The ways that this run measures."""
    module, _, name = case.export.partition(".")
    is_first = _FIRST[case.export] == case.name
    if case.kernels == "jit":
        return ["graph jit"]
    if WRITE and is_first:
        # The outputs of a loss have no samples to take products with.
        ways = [*HESSIAN, *(() if module == "losses" else PRODUCTS)]
        return [way for way in ways if case.jit or "jit" not in way]
    # Activations and losses are a few elementwise operations, functions in
    # `layers` call the classes, random images are not trained through, and a
    # ConvLSTM is among the whole models.
    is_new = (
        is_first
        and module == "layers"
        and name[0].isupper()
        and not name.startswith(("Random", "ConvLSTM"))
    )
    if WRITE or is_new or any(word in case.export for word in REPAIRED):
        ways = ["eager", "graph"]
    else:
        ways = ["eager"]
    return ways + (EXTRA.get(case.export, []) if is_first else [])


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
