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
        shapes: Dict of the shape and the dtype of each entry.
    """

    def __init__(self, optimizer, shapes):
        # The names in each variable; None where it is one entry.
        self._groups = {}
        kinds = {}
        for name, (shape, dtype) in shapes.items():
            if shape:
                self._groups[name] = None
                kinds[name] = (shape, dtype)
            else:
                group = f"{dtype}_scalars"
                self._groups.setdefault(group, []).append(name)
                kinds[group] = ((len(self._groups[group]),), dtype)
        self._variables = state_variables(optimizer, kinds)

    @property
    def variables(self):
        """List of the variables."""
        return list(self._variables.values())

    def read(self):
        """Dict of all entries, as tensors."""
        return self._apart(
            {
                group: tf.convert_to_tensor(variable.value)
                for group, variable in self._variables.items()
            }
        )

    def __getitem__(self, name):
        group = self._group_of(name)
        value = tf.convert_to_tensor(self._variables[group].value)
        return self._apart({group: value})[name]

    def values(self, entries):
        """The values of the `variables`, of the entries of a dict."""
        return list(self._together(entries).values())

    def assign(self, entries):
        """Makes the entries of a dict, which has all of them, the state."""
        for variable, value in zip(
            self.variables, self.values(entries), strict=True
        ):
            variable.assign(value)

    def update(self, **entries):
        """Changes some entries."""
        # In their order: a set has another one in each process.
        for group in dict.fromkeys(map(self._group_of, entries)):
            variable, names = self._variables[group], self._groups[group]
            if names is None:
                variable.assign(entries[group])
                continue
            old = self._apart({group: tf.convert_to_tensor(variable.value)})
            values = [entries.get(name, old[name]) for name in names]
            variable.assign(tf.stack(values))

    def reset(self):
        """Makes all entries 0."""
        set_to_zero(self.variables)

    def cleared(self, condition, entries, kept=()):
        """The entries, where the condition holds 0 but for those `kept`."""
        cleared = {}
        for group, value in self._together(entries).items():
            names = self._groups[group] or (group,)
            is_cleared = condition
            if not set(kept).isdisjoint(names):
                is_cleared &= tf.constant([name not in kept for name in names])
            zero = tf.zeros((), value.dtype)
            cleared[group] = tf.where(is_cleared, zero, value)
        return self._apart(cleared)

    def _group_of(self, name):
        for group, names in self._groups.items():
            if name in (names or (group,)):
                return group
        raise KeyError(name)

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
