"""The generalized Gauss-Newton matrix."""

import dataclasses

import tensorflow as tf

from keras_curvature.autodiff.gauss_newton import OutputHessian
from keras_curvature.losses.gauss_newton_form import gauss_newton_form
from keras_curvature.losses.known_loss import known_loss
from keras_curvature.losses.term import keep_masks
from keras_curvature.operators._output_operator import OutputOperator


class GaussNewton(OutputOperator):
    """G = Jᵀ·H_L·J, the generalized Gauss–Newton matrix over a data set."""

    def _output_curvature(self, terms, share):
        products = [_output_hessian(term) for term in terms]

        def curve(vectors):
            return [p(v) for p, v in zip(products, vectors, strict=True)]

        return curve


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
