"""Operators made of other operators."""

import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature.operators.curvature_operator import CurvatureOperator


class SumOperator(CurvatureOperator):
    """Σ cₖ·Aₖ over the same variables.

    Args:
        summands: List of pairs of a number and an operator.
    """

    def __init__(self, summands):
        super().__init__(summands[0][1].variables)
        self.summands = [
            (factor * inner, operator)
            for factor, outer in summands
            for inner, operator in _summands_of(outer)
        ]
        for _, operator in self.summands:
            _refuse_other_variables(self, operator)

    def _matmat(self, matrix):
        return self._combine([a @ matrix for _, a in self.summands])

    def diagonal(self, block_size=64):
        return self._combine([a.diagonal(block_size) for _, a in self.summands])

    def _restricted(self, indices):
        return SumOperator(
            [(c, a._restricted(indices)) for c, a in self.summands]
        )

    def _combine(self, results):
        return tf.add_n(
            [
                cast(factor, self.dtype) * result
                for (factor, _), result in zip(
                    self.summands, results, strict=True
                )
            ]
        )


def _summands_of(operator):
    if isinstance(operator, SumOperator):
        return operator.summands
    return [(1.0, operator)]


def _refuse_other_variables(first, second):
    ours, theirs = ([id(v) for v in a.variables] for a in (first, second))
    if ours != theirs:
        raise ValueError(
            "Operators can be added that are over the same variables. "
            f"Received: operators of shapes {first.shape} and {second.shape}. "
            "Give both the same model and `layers`."
        )


class BlockOperator(CurvatureOperator):
    """The rows and columns of another operator that belong to some variables.

    Args:
        operator: The other operator.
        indices: List of ints, which of its variables.
    """

    def __init__(self, operator, indices):
        super().__init__([operator.variables[k] for k in indices])
        self._operator = operator
        self._rows = operator._vectors.positions(indices)

    def _matmat(self, matrix):
        shape = (self._operator.shape[0], tf.shape(matrix)[1])
        padded = tf.scatter_nd(self._rows[:, tf.newaxis], matrix, shape)
        padded = tf.ensure_shape(padded, (shape[0], matrix.shape[1]))
        return tf.gather(self._operator @ padded, self._rows)

    def diagonal(self, block_size=64):
        return tf.gather(self._operator.diagonal(block_size), self._rows)
