"""The variables that hold the factors of an optimizer."""

import json
from typing import Any

import numpy as np
import tensorflow as tf

from keras_curvature.autodiff.variables import created_outside_of_traces
from keras_curvature.operators.kronecker.estimate import factor_dtype
from keras_curvature.operators.kronecker.layout import Block

_BLOCKS = "kronecker_blocks"


class HoldsFactors:
    """For optimizers whose state depends on the layers of the model.

    Which weights form a block is known when the first step is traced, so the
    variables are created then, and by `load_own_variables` from what a saved
    state says of its blocks.
    """

    _blocks = None

    def _create_factors(self, blocks):
        """Creates the variables, or checks that they are there."""
        if self._blocks is None:
            # Once for all replicas.
            tf.__internal__.distribute.interim.maybe_merge_call(
                lambda strategy: self._add_factors(blocks),
                tf.distribute.get_strategy(),
            )
        known = {block.kernel: block for block in self._blocks}
        for block in blocks:
            if known.get(block.kernel) != block:
                path = self._trainable_variables[block.kernel].path
                raise ValueError(
                    f"The layers of {self.name} must use their weights as in "
                    f"the first step. Received: another use of {path}. "
                    "Compile the model with a new optimizer."
                )

    def _add_factors(self, blocks):
        if self._blocks is not None:
            return
        self._factors = []
        with created_outside_of_traces():
            for number, block in enumerate(blocks):
                variable = self._trainable_variables[block.kernel]
                self._factors.append(
                    self._add_factors_of(number, block, factor_dtype(variable))
                )
        self._blocks = list(blocks)

    def _add_factors_of(self, number, block, dtype):
        shapes = {
            "inputs": block.input_shape,
            "outputs": block.output_shape,
            **self._preconditioner.shapes(block),
        }
        variables = {}
        for name, shape in shapes.items():

            def initializer(shape, dtype, name=name):
                if name in ("inputs", "outputs", "eigenvalues"):
                    return tf.zeros(shape, dtype)
                return self._preconditioner.initial(name, shape, dtype)

            variables[name] = self.add_variable(
                shape=shape,
                initializer=initializer,
                dtype=dtype.name,
                aggregation="only_first_replica",
                name=f"factor_{number}_{name}",
            )
        return variables

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if self._blocks is not None:
            text = json.dumps([block.to_json() for block in self._blocks])
            store[_BLOCKS] = np.frombuffer(text.encode(), "uint8")

    def load_own_variables(self, store: Any) -> None:
        keys = store.keys()
        values = {key: store[key] for key in keys}
        saved = values.pop(_BLOCKS, None)
        if saved is not None and self._blocks is None:
            text = np.asarray(saved).tobytes().decode()
            self._add_factors(
                [Block.from_json(config) for config in json.loads(text)]
            )
        super().load_own_variables(values)
