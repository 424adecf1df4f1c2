"""Optimizers and states that meet variables they were not made for."""

import json
import re
import warnings
from typing import Any

import numpy as np

from keras_curvature.autodiff.variables import variable_name


def check_known(optimizer, variables):
    """Raises as Keras's own optimizers do for variables of another model."""
    optimizer._check_variables_are_known(variables)


def check_all_known(optimizer, variables):
    """The same, and for variables that are missing, as those of a layer that
    was frozen: for optimizers whose state is that of all variables at once.
    """
    check_known(optimizer, variables)
    given = {optimizer._var_key(v) for v in variables}
    missing = [
        variable_name(v)
        for v in optimizer._trainable_variables
        if optimizer._var_key(v) not in given
    ]
    if missing:
        raise ValueError(
            "This optimizer can only be called for all of the variables it "
            f"was originally built with. Missing: {', '.join(missing)}. When "
            "working with a new set of variables, as after freezing a layer, "
            "you should recreate a new optimizer instance."
        )


class SavesVariableNames:
    """Saves with the state whose it is, and warns where it goes to others.

    Keras loads the state of an optimizer by position: after another layer of
    equal shape was frozen, each layer would have the state of the other.
    """

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        if self.built:
            names = json.dumps(self._variable_names())
            store[_NAMES] = np.frombuffer(names.encode(), "uint8")

    def load_own_variables(self, store: Any) -> None:
        keys = store.keys()
        values = {key: store[key] for key in keys}
        names = values.pop(_NAMES, None)
        super().load_own_variables(values)
        if names is None or len(values) != len(self.variables):
            return  # Keras has warned of another number of variables.
        saved = json.loads(np.asarray(names).tobytes().decode())
        differing = _differing(saved, self._variable_names())
        if differing:
            pairs = ", ".join(f"{old} → {new}" for old, new in differing)
            warnings.warn(
                f"The state of the optimizer {self.name!r} was saved for "
                "variables of other names than those it is loaded for: "
                f"{pairs}. If they are not the same weights, as after "
                "freezing another layer, compile the model with a new "
                "optimizer.",
                stacklevel=2,
            )

    def _variable_names(self):
        return [variable_name(v) for v in self._trainable_variables]


_NAMES = "variable_names"


def _differing(saved, current):
    """Pairs of names that differ by more than the numbers Keras gives.

    A model built again has "dense_7" for "dense_2". All numbers after "dense"
    are then larger by the same. Built by its first call, a model may stand
    before the names of its layers.
    """
    shifts, pairs = {}, []
    for old, new in zip(saved, current, strict=True):
        old_parts, new_parts = _parts(old), _parts(new)
        depth = min(len(old_parts), len(new_parts))
        is_same = all(
            base == new_base
            and shifts.setdefault(base, new_number - number)
            == new_number - number
            for (base, number), (new_base, new_number) in zip(
                old_parts[-depth:], new_parts[-depth:], strict=True
            )
        )
        if not is_same:
            pairs.append((old, new))
    return pairs


def _parts(name):
    """The parts of a path, each as its base and the number at its end."""
    return [
        (base, int(number or 0))
        for base, number in re.findall(
            r"(?:^|/)([^/]*?)(?:_(\d+))?(?=/|$)", name
        )
    ]
