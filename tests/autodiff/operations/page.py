"""docs/operations.md, written from what was measured."""

import pathlib

import tensorflow as tf

PATH = pathlib.Path(__file__).parents[3] / "docs" / "operations.md"
_HEAD = f"""# Second derivatives of TensorFlow operations

What `exact_derivatives`, `hessian_vector_product` and `GradientGraph` make of
the differentiable operations of TensorFlow, at ordinary points and where
entries are zero, tie, repeat, overflow or are absent. Measured on TensorFlow
{tf.__version__} and written by

    export KERAS_CURVATURE_TABLE=write
    pytest tests/autodiff/test_operations_table.py

The first gradient is compared with central differences of the value, Hessian
products with central differences of the first gradient, extrapolated, in
float64: *exact* means a relative error of at most 1e-6. *Tapes* are those of
`hessian_vector_product` and of the models of this package; *graph* is that of
an unmodified Keras model, whose first gradient TensorFlow made. *Refused*
raises `SecondDerivativeError`; *not a number* is NaN, which no optimizer of
this package steps by.

Where an operation has a kink (a maximum or a sort at ties, `abs`, `relu` and
`norm` at zero, equal eigenvalues) it has no second derivative, and TensorFlow's
is that of one side. `tf.numpy_function` is a constant to every tape; graphs
refuse it.
"""


def section(title, statuses):
    """One table.

    Args:
        title: String.
        statuses: Dict that maps the name of a row to its three statuses.
    """
    lines = [
        f"## {title.replace('_', ' ').capitalize()}",
        "",
        "| Operation | First gradient | Graph | Tapes |",
        "|---|---|---|---|",
    ]
    for name, (first, graph, tapes) in statuses.items():
        lines.append(f"| `{name}` | {first} | {graph} | {tapes} |")
    return "\n".join(lines) + "\n"


def write(sections):
    """The whole page, from a dict of sections by title."""
    PATH.write_text("\n".join([_HEAD, *sections.values()]))
