"""Einstein sums of one tensor and a weight: EinsumDense."""

import math

import tensorflow as tf

from keras_curvature.operators.kronecker.layer_use import LayerUse


class EinsteinSum(LayerUse):
    """z = Σ a·W over the axes that a and W share and z lacks.

    Axes that all three share are groups, those of a and z alone are the batch
    and positions.
    """

    def __init__(self, layout, output, rows, labels):
        super().__init__(layout, output)
        self._rows = rows
        self._row_labels, self._output_labels, self._axes = labels

    @classmethod
    def match(cls, use, forward):
        operation = use.operation
        if operation.type != "Einsum" or len(operation.inputs) != 2:
            return None
        rows = operation.inputs[1 - use.position]
        labels = _labels(operation, use.position, rows, use.layout)
        if labels is None:
            return None
        row_labels, weight_labels, output_labels = labels
        axes = {
            "groups": [
                label
                for label in weight_labels
                if label in row_labels and label in output_labels
            ],
            "inputs": [
                label
                for label in weight_labels
                if label in row_labels and label not in output_labels
            ],
            "outputs": [
                label for label in output_labels if label not in row_labels
            ],
        }
        free = [x for x in output_labels if x not in weight_labels]
        used = {*axes["groups"], *axes["inputs"], *axes["outputs"]}
        if not free or used != set(weight_labels):
            return None
        if set(row_labels) != {*free, *axes["groups"], *axes["inputs"]}:
            return None
        axes["free"] = free
        sizes = dict(zip(weight_labels, use.layout.viewed_shape, strict=True))
        order = [*axes["groups"], *axes["inputs"], *axes["outputs"]]
        layout = use.layout.transpose(*map(weight_labels.index, order))
        shape = [
            math.prod(sizes[label] for label in axes[kind])
            for kind in ("groups", "inputs", "outputs")
        ]
        return cls(
            layout.reshape(*shape),
            operation.outputs[0],
            rows,
            (row_labels, output_labels, axes),
        )

    def inputs(self):
        return self._arranged(self._rows, self._row_labels, "inputs", 1)

    def signals(self, cotangent):
        return self._arranged(cotangent, self._output_labels, "outputs", 2)

    @property
    def outputs_in_order(self):
        """Whether a bias of the trailing axes has the order of the outputs."""
        order = [*self._axes["groups"], *self._axes["outputs"]]
        return self._output_labels[-len(order) :] == order

    def _arranged(self, tensor, labels, kind, axis):
        order = [*self._axes["free"], *self._axes["groups"], *self._axes[kind]]
        batch = tf.shape(tensor)[labels.index(order[0])]
        shape = self.layout.viewed_shape
        tensor = tf.transpose(tensor, [labels.index(x) for x in order])
        return tf.reshape(tensor, (batch, -1, shape[0], shape[axis]))


def _labels(operation, position, rows, layout):
    """Labels of rows, weight and output, an ellipsis as labels of its own."""
    equation = operation.get_attr("equation").decode()
    operands, output = equation.split("->")
    operands = operands.split(",")
    if rows.shape.rank is None:
        return None
    row_labels = operands[1 - position]
    hidden = rows.shape.rank - len(row_labels.replace("...", ""))
    dots = "".join(chr(0x100 + i) for i in range(hidden))
    weight_labels = operands[position]
    if "..." in weight_labels:
        if len(weight_labels) - 3 != len(layout.viewed_shape):
            return None
        weight_labels = weight_labels.replace("...", "")
    texts = (
        row_labels.replace("...", dots),
        weight_labels,
        output.replace("...", dots),
    )
    if any(len(set(text)) != len(text) for text in texts):
        return None
    return [list(text) for text in texts]
