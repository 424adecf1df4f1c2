"""Losses of an unmodified model, recognized by their operations."""

import dataclasses

import keras
import tensorflow as tf

from keras_curvature.autodiff.backpropagation import backpropagate
from keras_curvature.losses.term import LossTerm
from keras_curvature.operators.kronecker.weight_uses import ancestors


@dataclasses.dataclass(frozen=True)
class RecognizedTerm(LossTerm):
    """A summand of a loss whose target is not known, but its weights are.

    Args:
        rows: Tensor, ∂L/∂(loss of each row of outputs).
        step_loss: Scalar tensor L, of which the outputs are a part.
    """

    # A tensor in place of the method.
    rows: object = None  # type: ignore[assignment]
    step_loss: object = None

    def coefficients(self):
        return self.rows

    def gradient(self):
        (gradient,) = backpropagate(
            [self.step_loss], [tf.ones_like(self.step_loss)], [self.output]
        )
        return gradient


def recognized_terms(loss):
    """The summands of a loss that stand in its graph, with their outputs.

    Cross-entropies of logits, with Keras's softmax and sigmoid for their
    logits, and squared errors, in means and sums with weights.

    Args:
        loss: Symbolic scalar tensor.

    Returns:
        List of `RecognizedTerm`; empty unless all that the loss takes of the
        model was recognized.
    """
    part = _LossGraph(loss)
    found = [
        (operation, term)
        for operation in part.operations
        for recognize in (_softmax, _sigmoid, _square)
        for term in [recognize(operation, part)]
        if term is not None and part.is_linear_in(term[2])
    ]
    if not part.is_explained_by({operation for operation, _ in found}):
        return []
    return [_term(loss, *term) for _, term in found]


class _LossGraph:
    """The operations that compute a loss, in their order.

    Attributes:
        operations: List of `tf.Operation`s.
        of_weights: Set of those that depend on a variable.
        of_data: Set of those that depend on what the function is given.
    """

    def __init__(self, loss):
        self._loss = loss
        found = ancestors([loss])
        self.operations = [
            operation
            for operation in loss.graph.get_operations()
            if operation in found
        ]
        self.of_weights = self._depending(
            lambda operation: any(
                tensor.dtype == tf.resource for tensor in operation.inputs
            )
        )
        self.of_data = self._depending(
            lambda operation: (
                operation.type in _DATA
                and operation.outputs[0].dtype != tf.resource
            )
        )

    def _depending(self, is_source):
        found = set()
        for operation in self.operations:
            if operation.type in _SHAPES:
                continue
            if is_source(operation) or any(
                tensor.op in found for tensor in operation.inputs
            ):
                found.add(operation)
        return found

    def is_linear_in(self, values):
        """Whether the loss is a sum of the values with given weights."""
        pending, seen = [values], set()
        inside = set(self.operations)
        while pending:
            tensor = pending.pop()
            for operation in tensor.consumers():
                if operation not in inside or operation in seen:
                    continue
                seen.add(operation)
                if operation.type in _SHAPES:
                    continue
                if not self._is_linear(operation, tensor):
                    return False
                pending += operation.outputs
        return True

    def _is_linear(self, operation, tensor):
        if operation.type == "Mul":
            left, right = operation.inputs
            other = right if left is tensor else left
            return other.op not in self.of_weights
        if operation.type in ("RealDiv", "DivNoNan"):
            return operation.inputs[1].op not in self.of_weights
        return operation.type in _LINEAR

    def is_explained_by(self, recognized):
        """Whether data meets weights nowhere but behind these operations."""
        pending, seen = [self._loss.op], set()
        while pending:
            operation = pending.pop()
            if operation in seen or operation in recognized:
                continue
            seen.add(operation)
            both = operation in self.of_weights and operation in self.of_data
            if both and operation.type not in _LINEAR | _WEIGHTED:
                return False
            pending += [tensor.op for tensor in operation.inputs]
        return bool(recognized)


_DATA = ("Placeholder", "IteratorGetNext", "IteratorGetNextAsOptional")
_SHAPES = {"Shape", "ShapeN", "Size", "Rank"}
_WEIGHTED = {"Mul", "RealDiv", "DivNoNan"} | _SHAPES
_LINEAR = {
    "AddN",
    "AddV2",
    "Cast",
    "ExpandDims",
    "Identity",
    "Mean",
    "Pack",
    "Reshape",
    "Squeeze",
    "Sum",
}


def _term(loss, kind, output, values):
    """A term from the operation's values, one a row or one an entry."""
    (rows,) = backpropagate([loss], [tf.ones_like(loss)], [values])
    if values.shape.rank == output.shape.rank:
        # Means over the last axis.
        rows = tf.reduce_sum(rows, axis=-1)
    target = tf.zeros_like(output)
    return RecognizedTerm(kind(), target, output, rows=rows, step_loss=loss)


def _softmax(operation, part):
    if operation.type not in (
        "SoftmaxCrossEntropyWithLogits",
        "SparseSoftmaxCrossEntropyWithLogits",
    ):
        return None
    logits = operation.inputs[0]
    # Reshapes lose the number of classes.
    before = logits.op.inputs[0] if logits.op.type == "Reshape" else logits
    if before.shape.rank == 2:
        logits = before
    else:
        logits = tf.ensure_shape(logits, (None, before.shape[-1]))
    return _crossentropy, logits, operation.outputs[0]


def _sigmoid(operation, part):
    """log(1 + exp(−|f|)) + max(f, 0) − f·y, as TensorFlow writes it."""
    if operation.type != "AddV2" or operation.inputs[1].op.type != "Log1p":
        return None
    difference = operation.inputs[0].op
    if difference.type != "Sub":
        return None
    chosen, product = (tensor.op for tensor in difference.inputs)
    if product.type != "Mul" or chosen.type not in ("Select", "SelectV2"):
        return None
    logits = product.inputs[0]
    if chosen.inputs[1] is not logits:
        return None
    return _binary_crossentropy, logits, operation.outputs[0]


def _square(operation, part):
    """The square of a difference of which one side is the model's."""
    if operation.type == "SquaredDifference":
        sides = operation.inputs
    elif operation.type == "Square" and operation.inputs[0].op.type == "Sub":
        sides = operation.inputs[0].op.inputs
    else:
        return None
    outputs = [side for side in sides if side.op in part.of_weights]
    if len(outputs) != 1 or outputs[0].shape.rank in (None, 0):
        return None
    output, square = outputs[0], operation.outputs[0]
    if not output.shape.is_compatible_with(square.shape):
        return None
    return keras.losses.MeanSquaredError, output, square


def _crossentropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _binary_crossentropy():
    return keras.losses.BinaryCrossentropy(from_logits=True)
