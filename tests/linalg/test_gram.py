"""Products of a matrix with itself."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.linalg._gram import gram_of_columns, gram_of_rows

# Around the size from which on half of the product is computed.
SIZES = [3, 511, 512, 515]


@pytest.mark.parametrize("size", SIZES)
def test_is_the_product(size):
    a = np.random.default_rng(size).normal(size=(7, size))
    np.testing.assert_allclose(
        gram_of_columns(tf.constant(a)), a.T @ a, atol=1e-13
    )
    np.testing.assert_allclose(
        gram_of_rows(tf.constant(a.T)), a.T @ a, atol=1e-13
    )


@pytest.mark.parametrize("rows", [0, 1, 6, 515])
def test_rows_whose_number_only_a_run_knows(rows):
    a = np.random.default_rng(rows).normal(size=(rows, 7))
    product = tf.function(gram_of_rows).get_concrete_function(
        tf.TensorSpec((None, 7), tf.float64)
    )
    np.testing.assert_allclose(product(tf.constant(a)), a @ a.T, atol=1e-13)
