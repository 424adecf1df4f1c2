"""The Hessian of the loss."""

from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.autodiff.hessian import loss_and_gradients
from keras_curvature.operators._model_operator import (
    ModelOperator,
    over_columns,
)


class Hessian(ModelOperator):
    """The Hessian H = ∂²L/∂w² of the loss of a model over a data set.

    L is what Keras computes if all data are one batch, regularizers and
    losses of `add_loss` included; the latter are taken for means over the
    samples, as Keras's own are. The data stream batch by batch, and the
    result does not depend on the batch size unless the model mixes the
    samples of a batch, as BatchNormalization does with `training=True`. Exact
    also where TensorFlow's own second derivatives are wrong.

    Of a model made in the scope of a `tf.distribute.MirroredStrategy`, each
    replica computes its share of each batch, and the shares are added up.

    The operator is that of the weights which the model has when a product is
    taken. A forward pass over the data comes first, to count the samples.

    Args:
        model: `keras.Model`, compiled with a loss or not.
        x: Inputs: array, list or dict of arrays, `tf.data.Dataset` of batches,
            or `keras.utils.PyDataset`.
        y: Targets; None for data sets, which yield them. Defaults to `None`.
        sample_weight: Array, or None for data sets and for equal weights.
            Defaults to `None`.
        loss: As in `compile`. Defaults to the loss the model is compiled with.
        loss_weights: As in `compile`, for a given `loss`. Defaults to `None`.
        layers: Names of layers, paths of weights or patterns such as
            `"dense*"`, a string or a list, whose weights are meant. Defaults
            to all.
        training: Bool, the mode in which the model is called: whether
            BatchNormalization takes the statistics of the batch. Random
            layers, such as Dropout, are refused in training mode. Defaults to
            `False`.
        batch_size: Int, samples of a batch of arrays. Defaults to 256.
        jit_compile: Bool, whether products are compiled by XLA. Defaults to
            `False`.
        verbose: 0, or 1 for a bar of progress in each pass over the data.
            Defaults to 0.

    Attributes:
        loss: Float, L.
        samples: Int, the number of samples.

    Raises:
        ValueError: for models and data that cannot be taken, by the name of
            the argument; and at a product if the loss does not depend on one
            of the weights, if random numbers are drawn, if the data or the
            model are others than in the pass before, or if the product is not
            finite.

    Example:

    ```python
    import keras
    import numpy as np
    import tensorflow as tf
    from keras_curvature.operators import Hessian

    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh", name="hidden"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss="mse")
    x = np.random.default_rng(0).normal(size=(20, 3))
    hessian = Hessian(model, x, x[:, :1])
    hessian @ tf.ones((21,))
    hessian @ model.trainable_variables  # a list of the same shapes
    hessian.diagonal()
    hessian.block("hidden").to_dense()  # of shape (16, 16)
    ```

    References:
        Pearlmutter, 1994, "Fast exact multiplication by the Hessian".
    """

    def _batch_product(self, batch, share, vectors):
        with CurvatureTape() as tape:
            tape.watch(self.variables)
            loss, gradients = loss_and_gradients(
                lambda: self._model_loss.total(batch, share), self.variables
            )
        curvature = tape.curvature(gradients, self.variables)

        def product(vector):
            return self.flatten(
                curvature.hessian_vector_product(self.unflatten(vector))
            )

        return loss, [over_columns(product, vectors)]
