"""The generalized Gauss-Newton matrix."""

import dataclasses

import tensorflow as tf

from keras_curvature.autodiff.gauss_newton import OutputHessian
from keras_curvature.losses.gauss_newton_form import gauss_newton_form
from keras_curvature.losses.known_loss import known_loss
from keras_curvature.losses.reduction import keep_masks
from keras_curvature.operators._output_curvature import BlockCurvature
from keras_curvature.operators._output_operator import OutputOperator


class GaussNewton(OutputOperator):
    """The generalized Gauss–Newton matrix of a model over a data set.

        G = Jᵀ·H_L·J

    J is the Jacobian of all outputs by the weights and H_L the Hessian of the
    loss by the outputs. G is positive semi-definite where the loss is convex
    in the outputs, and the Hessian where these are linear in the weights.
    Of cross-entropies of probabilities and of `poisson`, whose H_L depends on
    the targets and blows up where probabilities are wrong, it is the Fisher
    information, as `keras_curvature.losses` has it.

    Regularizers and losses of `add_loss` are no part of it.

    Args: as `Hessian`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.operators import GaussNewton

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    matrix = GaussNewton(model, x, x[:, :1], loss="mse")
    matrix.diagonal()  # the means of 2·x², and 2 for the bias
    ```

    References:
        Schraudolph, 2002, "Fast curvature matrix-vector products for
        second-order gradient descent", Neural Computation 14(7).
    """

    def _output_curvature(self, terms, share):
        return BlockCurvature(
            [_output_hessian(term) for term in terms],
            [term.output for term in terms],
        )


def _output_hessian(term):
    """H_L of one term, as a callable."""
    known = known_loss(term)
    if known is not None and known.uses_information(term):
        return information(term)

    def value(output):
        keep_masks([term.output], output)
        return dataclasses.replace(term, output=output).value()

    return OutputHessian(value, term.output).product


def information(term):
    """S·Sᵀ of the Gauss-Newton form of one term, as a callable."""
    form = gauss_newton_form([term], [None])

    def product(vector):
        rows = tf.reshape(vector, tf.shape(form.scale))
        return tf.reshape(form.hessian_product(rows), tf.shape(vector))

    return product
