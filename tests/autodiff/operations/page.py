"""docs/operations.md, written from what was measured."""

import pathlib
import textwrap

import keras
import tensorflow as tf

from keras_curvature.autodiff.repairs.table import (
    EXTENDED,
    MISSING,
    REPLACED,
)
from keras_curvature.autodiff.repairs.two_pieces import replacements
from tests.autodiff.operations.measure import EXACT, NAN, REFUSED

PATH = pathlib.Path(__file__).parents[3] / "docs" / "operations.md"
_HEAD = f"""# Second derivatives of TensorFlow operations

What `exact_derivatives`, `hessian_vector_product` and `GradientGraph` make of
the differentiable operations of TensorFlow, at ordinary points and where
entries are zero, tie, repeat, overflow or are absent. Measured on TensorFlow
{tf.__version__} with Keras {keras.__version__} and written by

    export KERAS_CURVATURE_TABLE=write
    pytest tests/autodiff/test_operations_table.py

The first gradient is compared with central differences of the value, Hessian
products with central differences of the first gradient, extrapolated, in
float64: *exact* means a relative error of at most 1e-6 (1e-3 for what exists in
single precision only). *Tapes* are those of
`hessian_vector_product` and of the models of this package; *graph* is that of
an unmodified Keras model, whose first gradient TensorFlow made. *Refused*
raises `SecondDerivativeError`; *not a number* is NaN, which no optimizer of
this package steps by.

Where an operation has a kink (a maximum or a sort at ties, `abs`, `relu` and
`norm` at zero, equal eigenvalues) it has no second derivative, and TensorFlow's
is that of one side, or of neither: the slope of `abs` at zero is taken as zero.
What is smooth only as a whole loses its derivatives there, such as
`abs(x) ** 2`, or a softplus made of `maximum` and `abs` at zero, where
`softplus` and `keras.ops.logaddexp` do not. Of this kind, Keras's own
`logaddexp`, `logaddexp2`, `hypot`, `fmod`, `celu` and `sinc` are mended, those
of `tf.experimental.numpy` too, `tf.nn.weighted_cross_entropy_with_logits` and
`tf.linalg.pinv` where they are called by these names; at the origin `hypot` has
no derivative. Outside of the context, and so in a graph,
their first gradients are wrong where their pieces meet: of `celu` at zero it is
2, of `sinc` NaN.

TensorFlow's first gradient of a softmax cross-entropy is that of labels that
add up to 1, of a Cholesky decomposition that of a symmetric matrix, and of
`betainc`, `polygamma` and `zeta` that by the last argument. Counts as labels
are mended, the other arguments refused.

`tf.numpy_function` is a constant to every tape; graphs refuse it. TensorFlow's
first gradient, and all after it, leaves out the `constant_values` of `pad`, and
the mean and the variance that a fused batch normalization is given at
inference.
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


def render(measured, covered, excluded, of_keras):
    """The whole page.

    Args:
        measured: Dict that maps each subject to the statuses of its rows.
        covered: Integer, how many types of operations the rows hold.
        excluded: Dict that maps each reason to a list of such types.
        of_keras: Dict that maps each reason to functions of `keras.ops`.
    """
    sections = [section(title, rows) for title, rows in measured.items()]
    return "\n".join(
        [
            _HEAD,
            _counts(measured, covered, sum(map(len, excluded.values()))),
            *sections,
            _exclusions("Types of operations", excluded),
            _exclusions("Functions of `keras.ops`", of_keras),
        ]
    )


def _counts(measured, covered, excluded):
    rows = [row for rows in measured.values() for row in rows.values()]
    by_tapes = [tapes for _, _, tapes in rows]
    by_graph = [graph for _, graph, _ in rows]
    text = (
        f"{len(rows)} rows were tried. By tapes {by_tapes.count(EXACT)} are "
        f"exact, {by_tapes.count(REFUSED)} refused and {by_tapes.count(NAN)} "
        f"not a number; by graphs {by_graph.count(EXACT)}, "
        f"{by_graph.count(REFUSED)} and {by_graph.count(NAN)}. The gradient "
        f"functions of {len({*EXTENDED, *MISSING, *REPLACED})} types of "
        f"operations are repaired, and {len(replacements())} functions that "
        "are written in pieces. Of the types that TensorFlow has a gradient "
        f"for, the rows and their first gradients pass through {covered}; the "
        f"other {excluded} are named at the end."
    )
    return textwrap.fill(text, 80) + "\n"


def _exclusions(kind, excluded):
    lines = [
        f"## {kind} without a row",
        "",
        f"| Why | {kind} |",
        "|---|---|",
    ]
    for reason, names in excluded.items():
        lines.append(f"| {reason} | {', '.join(f'`{n}`' for n in names)} |")
    return "\n".join(lines) + "\n"
