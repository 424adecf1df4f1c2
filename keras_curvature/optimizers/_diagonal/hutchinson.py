"""Unbiased estimates of the diagonal of a Hessian."""

from keras_curvature.autodiff.curvature_of import curvature_of
from keras_curvature.optimizers._diagonal.random import random_signs, words_of


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

    def record(self, optimizer, gradients, variables):
        """A function that computes this replica's parts of the estimate."""
        curvature = curvature_of(gradients, variables)
        # The recorded gradients are those of the scaled loss.
        scale = optimizer.loss_scale_factor or 1.0

        def compute():
            estimates = None
            first_word = 0
            for _ in range(self.probes):
                probe = []
                for variable in variables:
                    probe.append(
                        random_signs(
                            self.seed,
                            optimizer.iterations,
                            first_word,
                            variable.shape,
                            variable.dtype,
                        )
                    )
                    first_word += words_of(variable.shape)
                products = curvature.hessian_vector_product(
                    _scaled(probe, 1 / scale)
                )
                terms = [z * h for z, h in zip(probe, products, strict=True)]
                estimates = _added(estimates, terms)
            return _scaled(estimates, 1 / self.probes)

        return compute

    def combine(self, parts):
        """The estimate from the sums of the parts over the replicas."""
        return parts


def _added(left, right):
    if left is None:
        return right
    return [x + y for x, y in zip(left, right, strict=True)]


def _scaled(tensors, factor):
    if factor == 1:
        return tensors
    return [tensor * factor for tensor in tensors]
