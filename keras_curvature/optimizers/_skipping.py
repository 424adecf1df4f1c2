"""Steps that are left out because their numbers are not finite."""

import warnings

import tensorflow as tf

from keras_curvature.optimizers._replicas import cond_on_all_replicas


def all_finite(tensors):
    """Whether every entry of every tensor is finite: a scalar bool tensor."""
    return tf.reduce_all(
        [tf.reduce_all(tf.math.is_finite(tensor)) for tensor in tensors]
    )


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
        skipped = int(self.skipped_steps)
        if skipped:
            warnings.warn(
                f"{self.name}: {skipped} steps were skipped because {what} "
                f"was not finite; {int(self.iterations)} were taken. {remedy}",
                stacklevel=3,
            )
