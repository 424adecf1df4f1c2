"""Quadratic penalties of weights, as regularizers of Keras's variables."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.operators.kronecker.damping import multiply
from keras_curvature.operators.kronecker.layout import Block


class QuadraticPenalty:
    """½·Σ (w − w*)ᵀ·F·(w − w*) of the weights of one layer and one task.

    Args:
        variables: List of a weight, or of a kernel and its bias.
        anchors: List of tensors w* in their shapes.
        factors: List of one tensor in the shape of the weight, the diagonal
            of F; or of A and G, of shapes `(groups, size, size)` or
            `(groups, size)`, of which F is the product.
        block: `Block` of the factors A and G, else None.
    """

    def __init__(self, variables, anchors, factors, block=None):
        self.variables = variables
        self.anchors = [
            # A copy: casting returns a variable of that dtype itself.
            tf.cast(tf.identity(anchor), v.dtype)
            for anchor, v in zip(anchors, variables, strict=True)
        ]
        self.factors = [tf.cast(f, variables[0].dtype) for f in factors]
        self.block = block

    def __call__(self):
        """A scalar tensor, in the graph of the caller."""
        moved = [
            tf.convert_to_tensor(v.value) - anchor
            for v, anchor in zip(self.variables, self.anchors, strict=True)
        ]
        if self.block is None:
            return 0.5 * tf.reduce_sum(self.factors[0] * moved[0] ** 2)
        moved = self.block.join(moved)
        return 0.5 * tf.reduce_sum(moved * multiply(moved, *self.factors))

    def arrays(self, name):
        """Dict of arrays for a file, their names beginning with a name."""
        found = {f"{name}/anchor/{k}": a for k, a in enumerate(self.anchors)}
        found |= {f"{name}/factor/{k}": f for k, f in enumerate(self.factors)}
        return {key: np.asarray(value) for key, value in found.items()}

    def to_json(self):
        """What else a file must hold."""
        return {
            "names": [name_in_layer(v) for v in self.variables],
            "factors": len(self.factors),
            "block": None if self.block is None else self.block.to_json(),
        }

    @classmethod
    def from_file(cls, name, config, file, variables):
        """The inverse of `arrays` and `to_json`.

        Args:
            name: As for `arrays`.
            config: What `to_json` returned.
            file: Mapping with the arrays.
            variables: Dict from `name_in_layer` to variables.
        """
        block = config["block"]
        own = [variables[own] for own in config["names"]]
        anchors = [file[f"{name}/anchor/{k}"] for k in range(len(own))]
        for variable, anchor in zip(own, anchors, strict=True):
            if tuple(variable.shape) != anchor.shape:
                raise ValueError(
                    "The model must have weights of the shapes that were "
                    f"consolidated. Received: {variable.path} of shape "
                    f"{tuple(variable.shape)} in place of {anchor.shape}."
                )
        return cls(
            own,
            anchors,
            [file[f"{name}/factor/{k}"] for k in range(config["factors"])],
            None if block is None else Block.from_json(block),
        )


def name_in_layer(variable):
    """Such as "dense/kernel"; what is before it may change with a file."""
    return "/".join(variable.path.split("/")[-2:])


class ConsolidatedWeight(keras.regularizers.Regularizer):
    """The regularizer of a variable with penalties beside its own one.

    Args:
        own: The regularizer that the variable had, or None.

    Attributes:
        penalties: List of pairs of a strength and a `QuadraticPenalty`.
    """

    def __init__(self, own):
        self.own = own
        self.penalties = []

    def __call__(self, weight):
        parts = []
        for strength, penalty in self.penalties:
            part = penalty()
            parts.append(tf.cast(strength, part.dtype) * part)
        total = tf.add_n(parts)
        return total if self.own is None else total + self.own(weight)
