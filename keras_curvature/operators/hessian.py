"""The Hessian of the loss."""

from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.autodiff.hessian import loss_and_gradients
from keras_curvature.operators._model_operator import (
    ModelOperator,
    over_columns,
)


class Hessian(ModelOperator):
    """H = ∂²L/∂w², of the loss of a model over a data set."""

    def _batch_product(self, batch, share, vectors):
        with CurvatureTape() as tape:
            tape.watch(self._sources)
            loss, gradients = loss_and_gradients(
                lambda: self._model_loss.total(batch, share), self._sources
            )
        curvature = tape.curvature(gradients, self.variables)

        def product(vector):
            return self.flatten(
                curvature.hessian_vector_product(self.unflatten(vector))
            )

        return loss, [over_columns(product, vectors)]
