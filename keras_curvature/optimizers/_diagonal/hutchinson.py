"""Unbiased estimates of the diagonal of a Hessian."""

from keras_curvature._casting import times
from keras_curvature._random import random_signs, words_of
from keras_curvature.autodiff.curvature_of import curvature_of


class Hutchinson:
    """Rademacher probes of the Hessian.

        diag H = E[z ∘ Hz],  z = ±1

    Exact for every z where H is diagonal. The probe of a step is a function
    of `seed`, step and position: the same on every replica and for every
    micro-batch of an accumulated step.

    References:
        Bekas, Kokiopoulou, Saad, 2007, "An estimator for the diagonal of a
        matrix", Applied Numerical Mathematics 57.
    """

    def __init__(self, probes, seed):
        self.probes = probes
        self.seed = seed

    def record(self, gradients, variables, place):
        """A function that computes this replica's parts of the estimate.

        Args:
            gradients: List of tensors, times the loss scale.
            variables: List of the variables, in the same order.
            place: The `Place` of this batch in the training.
        """
        curvature = curvature_of(gradients, variables)
        shapes = [variable.shape for variable in variables]
        dtypes = [variable.dtype for variable in variables]
        words = sum(map(words_of, shapes))

        def compute():
            estimates = None
            for index in range(self.probes):
                probe = random_signs(
                    self.seed, place.step, index * words, shapes, dtypes
                )
                products = curvature.hessian_vector_product(
                    [times(z, 1 / place.loss_scale) for z in probe]
                )
                terms = [z * h for z, h in zip(probe, products, strict=True)]
                estimates = _added(estimates, terms)
            return [times(e, 1 / self.probes) for e in estimates]

        return compute

    def combine(self, parts):
        """The estimate from the sums of the parts over the replicas."""
        return parts


def _added(left, right):
    if left is None:
        return right
    return [x + y for x, y in zip(left, right, strict=True)]
