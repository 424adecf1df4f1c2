"""The ways to a second derivative, and the error of each."""

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff import GradientGraph, hessian_vector_product
from keras_curvature.autodiff.checking.double_precision import default_float
from tests.autodiff.table.products import gauss_newton, jacobian, per_sample
from tests.autodiff.table.subject import flat

# Hessian products, by the gradient graph and by nested tapes.
HESSIAN = ("graph", "eager", "tape", "graph jit", "tape jit")
PRODUCTS = {
    "jacobian": jacobian,
    "gauss-newton": gauss_newton,
    "per-sample": per_sample,
}


def error_of(problem, way):
    """Relative error of a way, maximum norm."""
    subject, case = problem.subject, problem.case
    with default_float(case.dtype):
        try:
            if way in PRODUCTS:
                # Outputs are compared at one point, and samples alone.
                subject.training = case.training and not (
                    case.overwrites or way == "per-sample"
                )
                measured, truth = PRODUCTS[way](problem)
            else:
                measured = flat(_hessian(problem, way))
                truth = problem.hessian_product[0]
        finally:
            subject.training = case.training
            problem.restore()
    size = np.abs(truth).max()
    return float(np.abs(measured - truth).max() / max(size, 1e-300))


def _hessian(problem, way):
    if way == "eager":
        return _by_tapes(problem)
    function = _by_tapes if "tape" in way else _by_graph
    return tf.function(
        lambda: function(problem), jit_compile="jit" in way, autograph=False
    )()


def _by_graph(problem):
    gradients = problem.gradients(problem.variables)
    curvature = GradientGraph(gradients, problem.variables)
    return curvature.hessian_vector_product(problem.vectors)


def _by_tapes(problem):
    return hessian_vector_product(
        problem.subject.objective, problem.variables, problem.vectors
    )
