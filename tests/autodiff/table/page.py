"""The table as a page, docs/second-derivatives.md."""

import collections
import pathlib
import re

import keras
import tensorflow as tf

from tests.autodiff.table.case import EXACT
from tests.autodiff.table.ways import HESSIAN, PRODUCTS

PATH = pathlib.Path(__file__).parents[3] / "docs" / "second-derivatives.md"

_INTRODUCTION = """# Second derivatives of Keras layers

What the second derivatives of this package are for every layer, activation
and loss that Keras {keras} exports on TensorFlow {tensorflow}. Written by

    export KERAS_CURVATURE_TABLE=write
    pytest tests/autodiff/test_second_derivatives_table.py

The truth is central differences of the gradient, extrapolated by Richardson's
rule, in float64. *Exact* means a relative error of at most 1e-7 in the maximum
norm (1e-3 in rows marked f32, for which TensorFlow has float32 kernels only).
Every row holds for the gradient graph of an unmodified model and for nested
tapes in eager mode; the first row of each export also for nested tapes in a
`tf.function`, for `jit_compile=True`, and for products with the Jacobian, the
Gauss-Newton matrix and the Jacobians of each sample. Rows marked jit have
kernels on a CPU under XLA only. The two last columns are the largest errors
that were measured: of Hessian products in all ways, and of the other products.
What is refused raises `SecondDerivativeError`; what is not differentiable has
no gradient either, or one that jumps. Aliases (`AvgPool2D`) are their
originals.

{counts}

| Export | Options | Second derivative | Hessian | Others |
|---|---|---|---|---|
"""


def render(cases, measured):
    """The page, with the errors that were measured in this run."""
    rows = [case for case in cases if case.reason != "computes nothing"]
    counts = collections.Counter(case.expected for case in rows)
    exports = len({case.export for case in rows})
    text = _INTRODUCTION.format(
        keras=keras.__version__,
        tensorflow=tf.__version__,
        counts=f"{len(rows)} rows for {exports} exports: "
        + ", ".join(f"{count} {name}" for name, count in counts.items())
        + ".",
    )
    return text + "".join(_row(case, measured) for case in rows)


def _row(case, measured):
    status = case.expected
    if status == EXACT:
        marks = [
            case.dtype == "float32" and "f32",
            case.kernels == "jit" and "jit",
        ]
        marks = [mark for mark in marks if mark]
        status += f" ({', '.join(marks)})" if marks else ""
    else:
        status += f": {case.reason}"
    errors = measured.get(case.name, {})
    columns = [
        f"`{case.export}`",
        case.option.replace("|", "/"),
        status,
        _largest(errors, HESSIAN),
        _largest(errors, PRODUCTS),
    ]
    return "| " + " | ".join(columns) + " |\n"


def _largest(errors, ways):
    found = [errors[way] for way in ways if way in errors]
    return f"{max(found):.0e}" if found else ""


def without_errors(text):
    """The page without what differs between two machines."""
    return re.sub(r"(\| [0-9e.+-]* ){2}\|$", "|", text, flags=re.MULTILINE)
