"""Numbers that derivatives would drop a part of, or have none of."""

import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.autodiff import (
    Linearization,
    hessian_vector_product,
    jacobian_vector_product,
    per_sample_jacobian,
)


@pytest.fixture
def w():
    return tf.Variable([1.0, 2.0])


def test_complex_numbers_are_refused(w):
    def loss():
        return tf.reduce_sum(w**3)

    def turned(x):
        return tf.complex(tf.zeros_like(x), x)

    z = tf.Variable([1 + 1j, 2.0])
    for product in (
        lambda: hessian_vector_product(loss, [w], [np.array([1j, 0])]),
        lambda: hessian_vector_product(lambda: turned(loss()), [w], [w]),
        lambda: hessian_vector_product(
            lambda: tf.reduce_sum(tf.abs(z) ** 2), [z], [tf.ones(2)]
        ),
        lambda: jacobian_vector_product(lambda: w**2, [w], [turned(w)]),
        lambda: Linearization(lambda: turned(w), [w]),
        lambda: per_sample_jacobian(
            lambda x: turned(x @ w[:, None]), tf.ones((3, 2)), [w]
        ),
    ):
        with pytest.raises(ValueError, match=r"real numbers.*complex"):
            product()
