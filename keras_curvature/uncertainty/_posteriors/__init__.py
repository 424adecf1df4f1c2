"""Normal distributions of the weights, one structure of precision a file.

Each names the class of its `operator`, is made of one by
`from_curvature(operator, factor, rank)`, holds G = factor·operator, the
curvature of the negative log-likelihood for a noise of 1, as `arrays`, and
gives with `at(scale, prior)` the distribution with the precision

    P = scale·G + diag(prior)

whose `log_determinant` is that of P, `variances` the diagonal of P⁻¹ and
`covariance(rows)` the blocks J·P⁻¹·Jᵀ of `_rows` of Jacobians.
"""

from keras_curvature.uncertainty._posteriors.diagonal import Diagonal
from keras_curvature.uncertainty._posteriors.full import Full
from keras_curvature.uncertainty._posteriors.kron import Kron
from keras_curvature.uncertainty._posteriors.low_rank import LowRank

STRUCTURES = {
    "full": Full,
    "kron": Kron,
    "diagonal": Diagonal,
    "low_rank": LowRank,
}

__all__ = ["STRUCTURES"]
