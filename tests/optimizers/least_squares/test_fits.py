"""Which models count as fits of a formula."""

import keras
import pytest

from keras_curvature.optimizers._least_squares.fits import is_fit


@pytest.mark.parametrize(
    "shapes, expected",
    [
        ([(2, 4), (4,), (4,)], True),
        ([()] * 60, True),
        ([(255,)], True),
        ([(256,)], False),
        ([(1, 16), (16,)], False),
        ([(20, 1), ()], False),
    ],
    ids=["few", "numbers", "vector", "many", "network", "linear"],
)
def test_numbers_and_vectors_are_a_fit_and_matrices_a_network(shapes, expected):
    variables = [keras.Variable(keras.ops.zeros(shape)) for shape in shapes]
    assert is_fit(variables) is expected
