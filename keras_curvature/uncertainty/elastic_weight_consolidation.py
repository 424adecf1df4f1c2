"""Elastic weight consolidation: a new task, and the earlier ones kept."""

from __future__ import annotations

import json
import os
from typing import Any, Literal

import keras
import numpy as np

from keras_curvature._checks import checked_choice, checked_number
from keras_curvature._typing import Data, Layers
from keras_curvature.operators.fisher import Fisher
from keras_curvature.operators.kronecker import KroneckerFactored
from keras_curvature.uncertainty._quadratic_penalty import (
    ConsolidatedWeight,
    QuadraticPenalty,
    name_in_layer,
)

_STRUCTURES = ("diagonal", "kron")
_FISHERS = ("exact", "monte_carlo", "empirical")


class ElasticWeightConsolidation:
    """Holds weights where earlier tasks need them.

        L(w) + strength·Σₜ ½·(w − wₜ)ᵀ·Fₜ·(w − wₜ)

    with the loss L of the task that is trained, and for each finished task t
    its weights wₜ and its Fisher information Fₜ, the mean over its samples, of
    which the diagonal or a Kronecker product for each layer is kept.

    `consolidate` hands the penalty to the variables as their regularizer, so
    that it counts in `fit` with any optimizer and in every model that shares
    these layers, such as that of another head; `loss` in the logs includes it.
    Tasks add up. A saved `.keras` file holds the model without the penalty:
    `save` writes that beside it.

    Args:
        strength: Float ≥ 0, how much an earlier task counts beside the one
            that is trained; some 1 to 10⁴. Defaults to 1.0, a mean over as
            many samples as the new task has.
        structure: `"diagonal"`, exact, or `"kron"`, which also knows how the
            weights of a layer act together. Defaults to `"diagonal"`.
        fisher: `"exact"`, the expectation over the labels that the model
            gives; `"monte_carlo"`, over labels drawn; or `"empirical"`, the
            labels of the data: the mean of squared gradients of samples.
            Defaults to `"exact"`.

    Attributes:
        tasks: Int, how many were consolidated.

    Raises:
        ValueError: if an argument breaks its rule.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.uncertainty import ElasticWeightConsolidation

    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    first, second = (x[:, 0] > 0).astype(int), (x[:, 1] > 0).astype(int)
    model.fit(x, first, verbose=0)
    consolidation = ElasticWeightConsolidation(strength=100.0)
    consolidation.consolidate(model, x, first)
    model.fit(x, second, verbose=0)  # the first is not forgotten
    ```

    References:
        Kirkpatrick et al., 2017, "Overcoming catastrophic forgetting in
        neural networks", PNAS 114(13), equation 3. Ritter, Botev, Barber,
        2018, "Online structured Laplace approximations for overcoming
        catastrophic forgetting", for Kronecker products.
    """

    def __init__(
        self,
        strength: float = 1.0,
        *,
        structure: Literal["diagonal", "kron"] = "diagonal",
        fisher: Literal["exact", "monte_carlo", "empirical"] = "exact",
    ) -> None:
        self._strength = checked_number("strength", strength, minimum=0)
        self.structure = checked_choice("structure", structure, _STRUCTURES)
        self.fisher = checked_choice("fisher", fisher, _FISHERS)
        self._tasks: list[Any] = []

    @property
    def strength(self) -> float:
        """What it was made with: traced steps would not see another one."""
        return self._strength

    @property
    def tasks(self) -> int:
        return len(self._tasks)

    def consolidate(
        self,
        model: keras.Model,
        x: Data,
        y: Data | None = None,
        *,
        layers: Layers | None = None,
        batch_size: int = 256,
    ) -> None:
        """Keeps what the model has learned of a task, from now on.

        Args:
            model: Compiled `keras.Model`, trained on the task.
            x: Inputs of the task: array, list or dict of arrays,
                `tf.data.Dataset` of batches, or `keras.utils.PyDataset`.
            y: Targets; None for data sets, which yield them. Defaults to
                `None`.
            layers: Names of layers or patterns, whose weights are held.
                Defaults to all.
            batch_size: Int, samples of a batch of arrays. Defaults to 256.

        Raises:
            ValueError: for a loss without a known likelihood, and for models
                and data that `Fisher` refuses.
        """
        options: dict[str, Any] = {"layers": layers, "batch_size": batch_size}
        if self.structure == "kron":
            operator = KroneckerFactored(
                model, x, y, fisher=self.fisher, **options
            )
            task = _of_factors(operator)
        else:
            operator = Fisher(model, x, y, kind=self.fisher, **options)
            task = _of_diagonal(operator)
        self._add(task, model)

    def penalty(self) -> float:
        """What is added to the loss at the weights of now, a float."""
        total = sum(float(p()) for task in self._tasks for p in task)
        return self.strength * total

    def release(self, model: keras.Model) -> None:
        """Takes this penalty from the variables, which keep all others.

        Args:
            model: The model to be trained without the penalty; others that
                share its layers must be compiled again.
        """
        ours = [penalty for task in self._tasks for penalty in task]
        for variable in (penalty.variables[0] for penalty in ours):
            regularizer = variable.regularizer
            if not isinstance(regularizer, ConsolidatedWeight):
                continue
            # Another consolidation may hold the variable as well.
            regularizer.penalties = [
                pair
                for pair in regularizer.penalties
                if not any(pair[1] is penalty for penalty in ours)
            ]
            if not regularizer.penalties:
                variable.regularizer = regularizer.own
        self._tasks = []
        _trace_again(model)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the penalties of all tasks to an `.npz` file.

        Args:
            path: String or path, beside the `.keras` file of the model.

        Raises:
            ValueError: if two layers have one name, in nested models.
        """
        arrays: dict[str, Any] = {}
        _refuse_ambiguous(self._tasks)
        for t, task in enumerate(self._tasks):
            for k, penalty in enumerate(task):
                arrays |= penalty.arrays(f"{t}/{k}")
        facts = {
            "settings": {"structure": self.structure, "fisher": self.fisher},
            "strength": self.strength,
            "tasks": [[p.to_json() for p in task] for task in self._tasks],
        }
        np.savez(path, facts=json.dumps(facts), **arrays)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], model: keras.Model
    ) -> ElasticWeightConsolidation:
        """What was saved, for the weights of a model.

        Args:
            path: String or path of the `.npz` file.
            model: Model whose layers have the names that they had.

        Raises:
            ValueError: if the model lacks one of the weights, or has it in
                another shape.
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        facts = json.loads(str(arrays.pop("facts")))
        self = cls(facts["strength"], **facts["settings"])
        variables = {name_in_layer(v): v for v in model.trainable_variables}
        for t, configs in enumerate(facts["tasks"]):
            for config in configs:
                _refuse_missing(config["names"], variables, model)
            task = [
                QuadraticPenalty.from_file(f"{t}/{k}", c, arrays, variables)
                for k, c in enumerate(configs)
            ]
            self._add(task, model)
        return self

    def _add(self, task, model):
        self._tasks.append(task)
        for penalty in task:
            variable = penalty.variables[0]
            own = variable.regularizer
            if not isinstance(own, ConsolidatedWeight):
                variable.regularizer = ConsolidatedWeight(own)
            variable.regularizer.penalties.append((self.strength, penalty))
        _trace_again(model)


def _of_diagonal(operator):
    """The penalties of a task by the diagonal of its Fisher information."""
    diagonal = operator.unflatten(operator.diagonal())
    return [
        QuadraticPenalty([v], [v.value], [own])
        for v, own in zip(operator.variables, diagonal, strict=True)
    ]


def _of_factors(operator):
    """The penalties of a task by a Kronecker product for each layer."""
    penalties = []
    for factors in operator.factors:
        variables = [operator.variables[i] for i in factors.block.indices]
        penalties.append(
            QuadraticPenalty(
                variables,
                [v.value for v in variables],
                [factors.inputs, factors.outputs],
                factors.block,
            )
        )
    return penalties


def _trace_again(model):
    """Lets `fit` and `evaluate` see other regularizers than before."""
    if isinstance(model, keras.Model) and model.compiled:
        model.make_train_function(force=True)
        model.make_test_function(force=True)


def _refuse_missing(names, variables, model):
    missing = [name for name in names if name not in variables]
    if missing:
        raise ValueError(
            "The model must have the weights that were consolidated, in layers "
            f"of the names that they had. Received: {model.name} without "
            f"{', '.join(missing)}."
        )


def _refuse_ambiguous(tasks):
    found = {}
    for variable in (v for task in tasks for p in task for v in p.variables):
        name = name_in_layer(variable)
        if found.setdefault(name, variable) is not variable:
            raise ValueError(
                "Each layer must have a name of its own to be saved. Received: "
                f"two with a weight {name}. Name the layers."
            )
