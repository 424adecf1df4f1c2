"""Second derivatives of TensorFlow's own operations, as docs/operations.md
says, and a walk through all that TensorFlow has a gradient for. With
`KERAS_CURVATURE_TABLE=write` in the environment that page is written anew."""

import os

import keras
import pytest
import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import registered_gradient
from tests.autodiff.operations import SUBJECTS, keras_ops_excluded, page
from tests.autodiff.operations.excluded import EXCLUDED
from tests.autodiff.operations.measure import (
    EXACT,
    WRONG,
    statuses,
    statuses_of,
)

pytestmark = pytest.mark.skipif(
    tuple(map(int, tf.__version__.split(".")[:2])) < (2, 21)
    or tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15),
    reason="the table describes a later TensorFlow and Keras",
)
WRITE = os.environ.get("KERAS_CURVATURE_TABLE") == "write"
_MEASURED = {}
_TYPES = set()


@pytest.fixture(scope="module", autouse=True)
def _without_graph_optimizer():
    """The graphs run once, so that to optimize them costs more than it saves.

    Nor would they be TensorFlow's own operations any more.
    """
    option = "disable_meta_optimizer"
    before = tf.config.optimizer.get_experimental_options().get(option, False)
    tf.config.optimizer.set_experimental_options({option: True})
    yield
    tf.config.optimizer.set_experimental_options({option: before})


def _measured(subject):
    if subject not in _MEASURED:
        rows = SUBJECTS[subject].rows()
        _MEASURED[subject] = statuses_of(rows, types=_TYPES)
    return _MEASURED[subject]


def _differentiable():
    """The types of operations that have a gradient function."""
    found = set()
    for name in dir(tf.raw_ops):
        try:
            if registered_gradient(name) is not None:
                found.add(name)
        except LookupError:
            continue
    return found


@pytest.mark.parametrize("subject", SUBJECTS)
def test_operations_are_as_the_page_says(subject):
    measured = _measured(subject)
    wrong = {name: found for name, found in measured.items() if WRONG in found}
    assert not wrong
    if not WRITE:
        assert page.section(subject, measured) in page.PATH.read_text()


def test_every_differentiable_operation_has_a_row_or_is_excluded():
    measured = {subject: _measured(subject) for subject in SUBJECTS}
    differentiable = _differentiable()
    excluded = {name for names in EXCLUDED.values() for name in names}
    missing = differentiable - _TYPES - excluded
    assert not missing, f"neither a row nor excluded: {sorted(missing)}"
    assert excluded <= differentiable
    assert not excluded & _TYPES
    text = page.render(
        measured,
        len(differentiable & _TYPES),
        EXCLUDED,
        keras_ops_excluded.EXCLUDED,
    )
    if WRITE:
        page.PATH.write_text(text)
    assert page.PATH.read_text() == text


def _functions_of_keras():
    public = {name for name in dir(keras.ops) if not name.startswith("_")}
    return {name for name in public if callable(getattr(keras.ops, name))}


def test_every_function_of_keras_ops_has_a_row_or_is_excluded():
    rows = {
        name.partition(",")[0].partition("(")[0].removeprefix("keras.ops.")
        for name in SUBJECTS["keras_ops"].rows()
    }
    excluded = {
        name for names in keras_ops_excluded.EXCLUDED.values() for name in names
    }
    missing = _functions_of_keras() - rows - excluded
    assert not missing, f"neither a row nor excluded: {sorted(missing)}"
    assert excluded <= _functions_of_keras()
    assert not excluded & rows


def test_a_wrong_derivative_would_be_found():
    def stopped(w):
        return w * tf.stop_gradient(w)

    first, graph, tapes = statuses(stopped, [1.0, 2.0])
    assert EXACT not in (first, graph, tapes)
