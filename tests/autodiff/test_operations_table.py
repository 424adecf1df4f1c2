"""Second derivatives of TensorFlow's own operations, as docs/operations.md
says. With `KERAS_CURVATURE_TABLE=write` in the environment that page is
written anew; all of this file must then run in one process."""

import os

import pytest
import tensorflow as tf

from tests.autodiff.operations import SUBJECTS, page
from tests.autodiff.operations.measure import EXACT, WRONG, statuses

pytestmark = pytest.mark.skipif(
    tuple(map(int, tf.__version__.split(".")[:2])) < (2, 21),
    reason="the table describes a later TensorFlow",
)
WRITE = os.environ.get("KERAS_CURVATURE_TABLE") == "write"
_SECTIONS = {}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_operations_are_as_the_page_says(subject):
    rows = SUBJECTS[subject].rows()
    measured = {name: statuses(*row) for name, row in rows.items()}
    wrong = {name: found for name, found in measured.items() if WRONG in found}
    assert not wrong
    _SECTIONS[subject] = page.section(subject, measured)
    if WRITE:
        page.write(_SECTIONS)
    assert _SECTIONS[subject] in page.PATH.read_text()


def test_a_wrong_derivative_would_be_found():
    def stopped(w):
        return w * tf.stop_gradient(w)

    first, graph, tapes = statuses(stopped, [1.0, 2.0])
    assert EXACT not in (first, graph, tapes)
