"""What the optimizers with a moving diagonal of the Hessian share."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import (
    checked_integer,
    checked_number,
)
from keras_curvature._typing import LearningRate, Variables
from keras_curvature.autodiff.curvature_of import not_recorded
from keras_curvature.autodiff.variables import created_outside_of_traces
from keras_curvature.optimizers._common.added_variables import (
    momentums,
    step_counter,
)
from keras_curvature.optimizers._common.amortize import amortize
from keras_curvature.optimizers._common.arguments import (
    gradients_and_variables,
    is_overwritten,
)
from keras_curvature.optimizers._common.known_variables import (
    SavesVariableNames,
)
from keras_curvature.optimizers._common.replicas import (
    replica_count,
    sum_over_replicas,
)
from keras_curvature.optimizers._common.skipping import (
    SkipsNonFiniteSteps,
    all_finite_on_replicas,
)
from keras_curvature.optimizers._diagonal.place import Place


class DiagonalCurvatureOptimizer(
    SkipsNonFiniteSteps, SavesVariableNames, keras.optimizers.Optimizer
):
    """Keeps moving averages of the gradient and of the Hessian's diagonal.

    On every `update_period`-th step an estimate D of the diagonal enters

        h ← beta_2 · h + (1 − beta_2) · φ(D)

    and Keras's own step with the raw gradients follows, in which
    `update_step` finds h in `self._diagonals`. A subclass gives φ by
    `_curvature_moment`, and `self._estimator` in its `__init__`.
    """

    uses_curvature = True

    def __init__(
        self,
        learning_rate: LearningRate,
        *,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        update_period: int,
        seed: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta_1 = checked_number("beta_1", beta_1, minimum=0, below=1)
        self.beta_2 = checked_number("beta_2", beta_2, minimum=0, below=1)
        self.epsilon = checked_number("epsilon", epsilon, minimum=0)
        self.update_period = checked_integer(
            "update_period", update_period, minimum=1
        )
        self.seed = checked_integer("seed", seed, minimum=0)

    # What the warning of skipped steps advises.
    _remedy_of_skipping = (
        "Lower the learning rate or, in float16, the loss scale."
    )

    def _curvature_moment(self, estimate, variable):
        """What of an estimate of the diagonal is averaged over the steps."""
        raise NotImplementedError

    def _diagonal_shape(self, variable):
        return variable.shape

    @created_outside_of_traces()
    def build(self, variables: Variables) -> None:
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._build_skipping()
        self._momentums = momentums(self, variables)
        self._diagonals = self._add_assigned(
            variables, "hessian_diagonal", self._diagonal_shape
        )
        self._accumulated = []
        if self.gradient_accumulation_steps:
            self._accumulated = self._add_assigned(
                variables,
                "hessian_accumulator",
                lambda variable: variable.shape,
            )
        self._curvature_updates = step_counter(self, "curvature_updates")

    def _add_assigned(self, variables, name, shape_of):
        """Variables that `apply` itself assigns, alike on every replica."""
        return [
            None
            if is_overwritten(variable)
            else self.add_variable(
                shape=shape_of(variable),
                dtype=variable.dtype,
                aggregation="only_first_replica",
                name=f"{name}_{index}",
            )
            for index, variable in enumerate(variables)
        ]

    def apply(
        self, grads: Sequence[Any], trainable_variables: Variables | None = None
    ) -> None:
        grads, variables, indices = gradients_and_variables(
            self, grads, trainable_variables
        )
        if not indices:
            super().apply(grads, variables)
            return
        # `grads` are this replica's part, times the loss scale; Keras's own
        # step takes them as they are.
        compute = self._estimator.record(
            [grads[i] for i in indices],
            [variables[i] for i in indices],
            Place(
                step=self.iterations,
                batch=self._iterations,
                loss_scale=self.loss_scale_factor or 1.0,
            ),
        )
        with not_recorded():
            # tf.convert_to_tensor sums duplicate rows of tf.IndexedSlices.
            dense = {i: tf.convert_to_tensor(grads[i]) for i in indices}
            dense_grads = [dense.get(i, g) for i, g in enumerate(grads)]
            state, values, is_updated = self._new_state(
                compute, [variables[i] for i in indices]
            )

            def step():
                for variable, value in zip(state, values, strict=True):
                    variable.assign(value)
                self._curvature_updates.assign_add(tf.cast(is_updated, "int64"))
                super(DiagonalCurvatureOptimizer, self).apply(
                    dense_grads, variables
                )

            self._take_step(step, all_finite_on_replicas(list(dense.values())))

    def _new_state(self, compute, variables):
        """The state that curvature changes, and its values after this step.

        Returns also whether a new estimate is in it.
        """
        indices = [self._get_variable_index(v) for v in variables]
        diagonals = [self._diagonals[i] for i in indices]
        is_due = self._is_due()
        if replica_count() > 1 or self.gradient_accumulation_steps:
            accumulated = self._accumulated and [
                self._accumulated[i] for i in indices
            ]
            return self._new_state_of_parts(
                is_due, compute, variables, diagonals, accumulated
            )

        def update():
            estimates = self._estimator.combine(compute())
            return self._moments(diagonals, estimates, variables)

        held = [diagonal.value for diagonal in diagonals]
        return diagonals, self._if_due(is_due, update, held), is_due

    def _new_state_of_parts(
        self, is_due, compute, variables, diagonals, accumulated
    ):
        """The same where a step is spread over replicas or micro-batches."""
        nothing = [tf.zeros(v.shape, v.dtype) for v in variables]
        parts = self._if_due(is_due, compute, nothing)
        estimates = self._estimator.combine(sum_over_replicas(parts))
        values = []
        if accumulated:
            steps = self.gradient_accumulation_steps
            is_last = (self._iterations + 1) % steps == 0
            estimates = [
                total.value + estimate / steps
                for total, estimate in zip(accumulated, estimates, strict=True)
            ]
            values = [
                tf.where(is_last, tf.zeros_like(estimate), estimate)
                for estimate in estimates
            ]
            is_due &= is_last
        moments = self._moments(diagonals, estimates, variables)
        values += [
            tf.where(is_due, moment, diagonal.value)
            for moment, diagonal in zip(moments, diagonals, strict=True)
        ]
        return [*accumulated, *diagonals], values, is_due

    def _is_due(self):
        """Whether this step takes a new estimate."""
        if self.update_period == 1:
            return tf.constant(True)
        # Without any estimate (`iterations` set by hand) do not wait for one.
        return tf.logical_or(
            tf.equal(self.iterations % self.update_period, 0),
            tf.equal(self._curvature_updates, 0),
        )

    def _if_due(self, is_due, compute, held):
        if self.update_period == 1:
            return compute()
        return amortize(is_due, compute, held)

    def _moments(self, diagonals, estimates, variables):
        return [
            diagonal
            + (self._curvature_moment(estimate, variable) - diagonal)
            * (1 - self.beta_2)
            for diagonal, estimate, variable in zip(
                diagonals, estimates, variables, strict=True
            )
        ]

    def _epsilon_in(self, dtype):
        """`epsilon`, at least the smallest normal number, so that 0 / 0
        cannot occur.
        """
        smallest = np.float16(6.2e-5) if dtype == "float16" else 1e-37
        return tf.constant(max(self.epsilon, smallest), dtype)

    def finalize_variable_values(self, var_list: Variables) -> None:
        super().finalize_variable_values(var_list)
        self._warn_of_skipped_steps(
            "g, the estimate of H's diagonal or the step",
            self._remedy_of_skipping,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "beta_1": self.beta_1,
                "beta_2": self.beta_2,
                "epsilon": self.epsilon,
                "update_period": self.update_period,
                "seed": self.seed,
            }
        )
        return config


def correction(beta, count):
    """Bias correction 1 − βᶜ of a moving average initialized at 0."""
    # In float32 the difference of 1 and a power of 0.999 has three digits.
    rate = math.log(beta) if beta else -math.inf
    return -tf.math.expm1(rate * tf.cast(count, "float64"))
