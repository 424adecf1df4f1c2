"""The state of a run as few variables."""

import tensorflow as tf

from keras_curvature.autodiff.variables import set_to_zero
from keras_curvature.optimizers._common.added_variables import (
    state_variables,
)


class RunState:
    """Named entries, of which all scalars of a type share one variable.

    A variable costs several operations to read and to assign, which take
    longer to trace and to run than what a step does with a number.

    Args:
        optimizer: The optimizer, which gets the variables.
        shapes: Dict of the shape of each entry, and its dtype or None for
            that of the weights.
        dtype: String, the float type of the weights.
    """

    def __init__(self, optimizer, shapes, dtype):
        # The names in each variable; None where it is one entry.
        self._groups = {"counts": [], "numbers": []}
        others = {}
        for name, (shape, kind) in shapes.items():
            if shape:
                self._groups[name] = None
                others[name] = (shape, kind or dtype)
            else:
                self._groups["counts" if kind else "numbers"].append(name)
        self._variables = state_variables(
            optimizer,
            {
                "counts": ((len(self._groups["counts"]),), "int32"),
                "numbers": ((len(self._groups["numbers"]),), dtype),
                **others,
            },
        )

    def read(self):
        """Dict of all entries, as tensors."""
        return self._apart(
            {
                group: tf.convert_to_tensor(variable.value)
                for group, variable in self._variables.items()
            }
        )

    def __getitem__(self, name):
        for group, names in self._groups.items():
            if names and name in names:
                return self._variables[group].value[names.index(name)]
        return self._variables[name].value

    def assign(self, entries):
        """Makes the entries of a dict, which has all of them, the state."""
        for group, value in self._together(entries).items():
            self._variables[group].assign(value)

    def update(self, **entries):
        """Changes some entries."""
        self.assign({**self.read(), **entries})

    def reset(self):
        """Makes all entries 0."""
        set_to_zero(self._variables.values())

    def cleared(self, condition, entries, kept=()):
        """The entries, where the condition holds 0 but for those `kept`."""
        together = self._together(entries)
        is_forgotten = tf.constant(
            [name not in kept for name in self._groups["counts"]]
        )
        conditions = {"counts": condition & is_forgotten}
        return self._apart(
            {
                group: tf.where(
                    conditions.get(group, condition),
                    tf.zeros((), value.dtype),
                    value,
                )
                for group, value in together.items()
            }
        )

    def _together(self, entries):
        """The values of the variables, of those of the entries."""
        return {
            group: tf.stack([entries[name] for name in names])
            if names
            else entries[group]
            for group, names in self._groups.items()
        }

    def _apart(self, values):
        """The inverse of `_together`."""
        entries = {}
        for group, value in values.items():
            names = self._groups[group]
            if names:
                entries |= zip(names, tf.unstack(value), strict=True)
            else:
                entries[group] = value
        return entries
