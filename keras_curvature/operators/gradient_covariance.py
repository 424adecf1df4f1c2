"""The covariance of the gradients of single samples."""

from typing import Any

import keras
import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature._checks import checked_flag
from keras_curvature._typing import Array, Data
from keras_curvature.operators._output_curvature import ScoreCurvature
from keras_curvature.operators._output_operator import OutputOperator
from keras_curvature.operators._scores import observed_gradients


class GradientCovariance(OutputOperator):
    """The covariance of the gradient of a sample drawn at random.

        C = (1/N)·Σₙ (gₙ − ḡ)·(gₙ − ḡ)ᵀ,  ḡ = (1/N)·Σₙ gₙ

    gₙ is N times the part of sample n in ∂L/∂w, so that ḡ is the gradient of
    the loss without its regularizers; for a mean loss without sample weights,
    gₙ is the gradient of the loss of the sample. A gradient of a mini-batch of
    b samples drawn with replacement has the covariance C / b.

    Args:
        model, x, y, sample_weight: as for `Hessian`.
        centered: Bool, whether ḡ is subtracted; without, C is the matrix of
            second moments. Defaults to `True`.
        **options: as for `Hessian`.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.operators import GradientCovariance

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(20, 3))
    noise = GradientCovariance(model, x, x[:, :1], loss="mse")
    noise.diagonal()  # the variances
    ```
    """

    def __init__(
        self,
        model: keras.Model,
        x: Data,
        y: Data | None = None,
        sample_weight: Array | None = None,
        *,
        centered: bool = True,
        **options: Any,
    ) -> None:
        self.centered = checked_flag("centered", centered)
        super().__init__(model, x, y, sample_weight, **options)

    def _output_curvature(self, terms, share):
        root = tf.sqrt(share.samples)
        return ScoreCurvature(
            [
                (cast(root, g.dtype) * g)[:, tf.newaxis]
                for g in observed_gradients(terms)
            ]
        )

    def _batch_vectors(self, terms, pull):
        if not self.centered:
            return []
        return [self.flatten(pull(observed_gradients(terms)))]

    def _product_of_sums(self, vectors, product, gradient=None):
        if gradient is None:
            return product
        return product - tf.tensordot(
            gradient, tf.tensordot(gradient, vectors, 1), 0
        )

    def _diagonal_of_sums(self, diagonal, gradient=None):
        return diagonal if gradient is None else diagonal - gradient**2

    def _dense_of_sums(self, matrix, gradient=None):
        if gradient is None:
            return matrix
        return matrix - tf.tensordot(gradient, gradient, 0)
