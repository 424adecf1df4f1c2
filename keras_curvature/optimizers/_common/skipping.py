"""Steps that are left out because their numbers are not finite."""

import warnings

import keras
import tensorflow as tf

from keras_curvature.optimizers._common.replicas import (
    cond_on_all_replicas,
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
        self._skipped_steps = self.add_variable(
            shape=(),
            dtype="int64",
            aggregation="only_first_replica",
            name="skipped_steps",
        )

    def _step_if(self, finite, step, arguments):
        """`step(*arguments)`, or one more skipped step."""

        def skip():
            self._skipped_steps.assign_add(1)

        cond_on_all_replicas(finite, step, skip, arguments)

    @property
    def skipped_steps(self):
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
