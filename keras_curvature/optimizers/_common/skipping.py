"""Steps that are undone because their numbers are not finite."""

import warnings
from typing import Any

import keras
import tensorflow as tf

from keras_curvature.autodiff.variables import as_tf_variable
from keras_curvature.optimizers._common.added_variables import step_counter
from keras_curvature.optimizers._common.replicas import (
    assign_on_replicas,
    call_unless,
    replica_count,
    sum_over_replicas,
)


def all_finite(tensors):
    """Whether every entry of every tensor is finite: a scalar bool tensor."""
    return tf.reduce_all(
        [tf.reduce_all(tf.math.is_finite(tensor)) for tensor in tensors]
    )


def all_finite_on_replicas(tensors):
    """The same of the tensors of all replicas, which may differ."""
    finite = all_finite(tensors)
    if replica_count() == 1:
        return finite
    (count,) = sum_over_replicas([tf.cast(finite, tf.int32)])
    return tf.equal(count, replica_count())


class SkipsNonFiniteSteps:
    """For optimizers that leave everything as it was on such a step."""

    def _build_skipping(self):
        self._skipped_steps = step_counter(self, "skipped_steps")

    def _take_step(self, step, is_finite):
        """Calls `step`, and undoes it unless its numbers are finite.

        Args:
            step: Callable without arguments that assigns to weights and to
                the variables of the optimizer.
            is_finite: Scalar bool tensor, alike on all replicas: whether what
                the step is computed from is finite. Clipping hides an inf.
        """
        variables = self._undone_variables()
        before = _values(variables)
        step()
        after = _values(variables)

        def undo(is_finite, before, after):
            is_undone = ~is_finite | _have_lost_numbers(before, after)
            assign_on_replicas(
                variables,
                [
                    tf.where(is_undone, old, new)
                    for old, new in zip(before, after, strict=True)
                ],
            )
            self._skipped_steps.assign_add(tf.cast(is_undone, "int64"))

        call_unless(
            is_finite & _have_finite_sum(after),
            undo,
            (is_finite, before, after),
        )

    def _undone_variables(self):
        """What a step that is undone leaves as it was."""
        own = [v for v in self.variables if v is not self._skipped_steps]
        return [*self._trainable_variables, *own]

    @property
    def skipped_steps(self) -> Any:
        """Number of steps left out because their numbers were not finite."""
        return self._skipped_steps if self.built else 0

    def _warn_of_skipped_steps(self, what, remedy):
        # int() of a variable that is mirrored on replicas fails.
        skipped, taken = (
            int(keras.ops.convert_to_numpy(count))
            for count in (self.skipped_steps, self.iterations)
        )
        if skipped:
            warnings.warn(
                f"{self.name}: {skipped} steps were skipped because {what} "
                f"was not finite; {taken} were taken. {remedy}",
                stacklevel=3,
            )


def _values(variables):
    return [tf.convert_to_tensor(as_tf_variable(v)) for v in variables]


def _have_finite_sum(tensors):
    """True only if every entry is finite.

    A sum takes a third of the time of looking at each entry. It may overflow
    where they are finite, so that False decides nothing.
    """
    sums = {}
    for tensor in tensors:
        if tensor.dtype.is_floating:
            # The sum of half-precision numbers overflows early.
            wide = tf.float32 if tensor.dtype.size < 4 else tensor.dtype
            total = tf.reduce_sum(tf.cast(tensor, wide))
            sums.setdefault(wide, []).append(total)
    return tf.reduce_all(
        [tf.math.is_finite(tf.add_n(part)) for part in sums.values()]
    )


def _have_lost_numbers(before, after):
    """Whether an entry that was finite is so no longer."""
    return tf.reduce_any(
        [
            tf.reduce_any(tf.math.is_finite(old) & ~tf.math.is_finite(new))
            for old, new in zip(before, after, strict=True)
            if new.dtype.is_floating
        ]
    )
