"""Jacobian, Gauss-Newton and per-sample products of a row, and their truth."""

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff import (
    gauss_newton_vector_product,
    jacobian_vector_product,
    per_sample_jacobian,
    vector_jacobian_product,
)
from tests.autodiff.table.subject import (
    BATCH,
    curved,
    flat,
    float64,
    weights_of,
)


def jacobian(problem):
    """J·v, and Jᵀ·u by its adjointness: uᵀ(J·v) = (Jᵀ·u)ᵀ·v."""
    variables, vectors = _output_variables(problem)
    outputs = problem.subject.bounded
    pushed = jacobian_vector_product(outputs, variables, vectors)
    problem.restore()
    cotangent = weights_of(pushed)
    pulled = vector_jacobian_product(outputs, variables, cotangent)
    along, truth = flat(pulled) @ flat(vectors), problem.pushed
    return (
        np.append(flat([pushed]), along),
        np.append(truth, flat([cotangent]) @ truth),
    )


def gauss_newton(problem):
    """G·v, against Jᵀ·2·c·cᵀ·(J·v) with J·v by central differences."""
    variables, vectors = _output_variables(problem)
    products = gauss_newton_vector_product(
        problem.subject.bounded, curved, variables, vectors
    )
    problem.restore()
    with tf.GradientTape() as tape:
        outputs = problem.subject.bounded()
    c = weights_of(outputs)
    pulled = tape.gradient(
        outputs, [v.value for v in variables], output_gradients=c
    )
    return flat(products), 2 * (flat([c]) @ problem.pushed) * flat(pulled)


def per_sample(problem):
    """Σ c·J of each sample, against the gradient of a batch of one."""
    variables, _ = _output_variables(problem)
    samples = list(map(tf.constant, problem.subject.samples))
    outputs, jacobians = per_sample_jacobian(
        problem.subject.bounded, samples, variables
    )
    c = weights_of(outputs[0])
    measured = [
        tf.tensordot(c, j, [[0], [1]]).numpy() for j in map(float64, jacobians)
    ]
    rows = [np.ravel(m[i]) for i in range(BATCH) for m in measured]
    truth = [
        _gradient_of_sample(problem, i, c, variables) for i in range(BATCH)
    ]
    return np.concatenate(rows), np.concatenate(truth)


def _gradient_of_sample(problem, i, c, variables):
    sample = [s[i : i + 1] for s in problem.subject.samples]
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(problem.subject.bounded(sample)[0] * c)
    return flat(tape.gradient(value, [v.value for v in variables]))


def _output_variables(problem):
    """The variables of the outputs, not of a penalty only, and the vectors."""
    with tf.GradientTape() as tape:
        outputs = problem.subject.bounded()
    gradients = tape.gradient(outputs, problem.values)
    problem.restore()
    found = [
        (variable, vector)
        for variable, vector, gradient in zip(
            problem.variables, problem.vectors, gradients, strict=True
        )
        if gradient is not None
    ]
    return tuple(map(list, zip(*found, strict=True)))
