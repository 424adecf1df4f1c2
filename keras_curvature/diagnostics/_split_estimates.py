"""Traces and norms of the parts of a Hessian from shared products."""

import math
from typing import Literal, TypeAlias

import numpy as np
import tensorflow as tf

from keras_curvature.linalg import TraceEstimate

Part: TypeAlias = Literal["hessian", "gauss_newton", "activations", "rest"]
PARTS: tuple[Part, ...] = ("hessian", "gauss_newton", "activations", "rest")
# Vectors that share a pass over the data, and the most bytes of them.
_AT_ONCE, _BYTES = 64, 2**28


def estimate_parts(operators, indices, probes, seed):
    """The numbers of one diagonal block.

    Args:
        operators: H, H₀ and JᵀH_L·J over the same variables.
        indices: Ints, the variables of the block.
        probes: Int, random vectors.
        seed: Tuple of ints.

    Returns:
        The size of the block, and two dicts of `TraceEstimate`s: traces and
        Frobenius norms.
    """
    rows = _rows(operators[0].variables, indices)
    is_exact = probes >= len(rows)
    count = len(rows) if is_exact else probes
    random = np.random.default_rng(seed)
    forms = {part: [] for part in PARTS}
    squares = {part: [] for part in PARTS}
    at_once = max(1, min(_AT_ONCE, _BYTES // (8 * operators[0].shape[0])))
    for start in range(0, count, at_once):
        columns = range(start, min(start + at_once, count))
        if is_exact:
            block = np.eye(count)[:, columns]
        else:
            block = random.choice([-1.0, 1.0], (len(rows), len(columns)))
        products = _products(operators, rows, block)
        for part, product in zip(PARTS, _parts(*products), strict=True):
            forms[part].append(np.sum(block * product, 0))
            squares[part].append(np.sum(product**2, 0))
    traces = {p: _estimate(forms[p], count, is_exact) for p in PARTS}
    norms = {p: _root(_estimate(squares[p], count, is_exact)) for p in PARTS}
    return len(rows), traces, norms


def sum_of(estimates):
    """The sum of independent estimates."""
    return TraceEstimate(
        math.fsum(e.value for e in estimates),
        math.hypot(*(e.standard_error for e in estimates)),
        sum(e.products for e in estimates),
    )


def _rows(variables, indices):
    sizes = [math.prod(v.shape) for v in variables]
    starts = np.cumsum([0, *sizes])
    return np.concatenate(
        [np.arange(starts[k], starts[k + 1]) for k in indices]
    )


def _products(operators, rows, block):
    """Rows of the products with vectors that are 0 outside of the rows."""
    padded = np.zeros((operators[0].shape[0], block.shape[1]))
    padded[rows] = block
    padded = tf.constant(padded, operators[0].dtype)
    return [(op @ padded).numpy().astype("float64")[rows] for op in operators]


def _parts(hessian, without, gauss_newton):
    return hessian, gauss_newton, hessian - without, without - gauss_newton


def _estimate(terms, count, is_exact):
    """From the terms of single vectors, which add up for unit vectors."""
    terms = np.concatenate(terms)
    if is_exact:
        return TraceEstimate(float(terms.sum()), 0.0, count)
    error = float(terms.std(ddof=1) / len(terms) ** 0.5)
    return TraceEstimate(float(terms.mean()), error, count)


def _root(square):
    norm = math.sqrt(square.value)
    # To first order d√s = ds / (2·√s).
    error = square.standard_error / (2 * norm) if norm else 0.0
    return TraceEstimate(norm, error, square.products)
