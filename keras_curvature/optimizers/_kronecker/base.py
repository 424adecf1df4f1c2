"""The training step of an optimizer with Kronecker factors."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_curvature._casting import cast
from keras_curvature._random import Draws
from keras_curvature._typing import Variables
from keras_curvature.autodiff.curvature_of import not_recorded
from keras_curvature.autodiff.repairs import (
    refuse_inexact_nested_derivatives,
)
from keras_curvature.autodiff.variables import (
    created_outside_of_traces,
    variable_name,
)
from keras_curvature.operators.kronecker.estimate import FactorEstimate
from keras_curvature.operators.kronecker.plan import kronecker_plan
from keras_curvature.optimizers._common.added_variables import (
    momentums,
    step_counter,
)
from keras_curvature.optimizers._common.arguments import (
    gradients_and_variables,
)
from keras_curvature.optimizers._common.known_variables import (
    SavesVariableNames,
)
from keras_curvature.optimizers._common.replicas import (
    first_row,
    sum_over_replicas,
)
from keras_curvature.optimizers._common.seen_loss import SeesLoss
from keras_curvature.optimizers._common.skipping import (
    SkipsNonFiniteSteps,
    all_finite_on_replicas,
)
from keras_curvature.optimizers._kronecker.adaptive_damping import (
    AdaptsDamping,
    Judgment,
)
from keras_curvature.optimizers._kronecker.eigenvalue_correction import (
    EigenvalueCorrection,
)
from keras_curvature.optimizers._kronecker.factored_gradient import (
    FactoredGradient,
)
from keras_curvature.optimizers._kronecker.inverse_factors import (
    InverseFactors,
)
from keras_curvature.optimizers._kronecker.state import HoldsFactors
from keras_curvature.optimizers._kronecker.step_loss import likelihood_of_step
from keras_curvature.optimizers._kronecker.update import update_factors


class KroneckerOptimizer(
    HoldsFactors,
    AdaptsDamping,
    SeesLoss,
    SkipsNonFiniteSteps,
    SavesVariableNames,
    keras.optimizers.Optimizer,
):
    """Updates A and G of each layer, then takes Keras's step.

    In it the gradients are clipped, summed over replicas and micro-batches,
    and then replaced by directions, of which `update_step` is given one for
    each variable.
    """

    uses_curvature = True

    def _set_preconditioner(self):
        self._preconditioner = (
            EigenvalueCorrection()
            if self.eigenvalue_correction
            else InverseFactors()
        )

    def build(self, variables: Variables) -> None:
        if self.built:
            return
        # What follows is too long to be traced twice.
        with created_outside_of_traces():
            self._build(list(variables))

    def _build(self, variables):
        super().build(variables)
        self._build_skipping()
        self._build_damping(variables)
        self._momentums = momentums(self, variables)
        self._curvature_updates = step_counter(self, "curvature_updates")

    def apply(
        self, grads: Sequence[Any], trainable_variables: Variables | None = None
    ) -> None:
        grads, variables, indices = gradients_and_variables(
            self, grads, trainable_variables
        )
        seen_loss = self._seen_loss()
        if not indices:
            super().apply(grads, variables)
            return
        refuse_inexact_nested_derivatives(grads)
        likelihood = likelihood_of_step(self, seen_loss)
        with not_recorded():
            judgment = Judgment.of(self, likelihood, variables)
            dense = {i: tf.convert_to_tensor(grads[i]) for i in indices}
            is_finite = all_finite_on_replicas(list(dense.values()))
            estimate, blocks = self._estimate(
                likelihood, [variables[i] for i in indices]
            )
            update_factors(self, estimate, blocks, is_finite)
            dense_grads = [dense.get(i, g) for i, g in enumerate(grads)]
            self._take_step(
                lambda: super(KroneckerOptimizer, self).apply(
                    dense_grads, variables
                ),
                is_finite,
            )
            if judgment is not None:
                judgment.adapt_damping()

    def _estimate(self, likelihood, variables):
        """The factors of this batch, and the numbers of their blocks."""
        own = [self._get_variable_index(v) for v in variables]
        plan = kronecker_plan(
            likelihood.outputs, variables, self.max_factor_size
        )
        is_new = self._blocks is None
        self._create_factors([block.renumbered(own) for block in plan.blocks])
        if is_new:
            self._warn_of_diagonals(plan, variables)
        numbers = {block.kernel: n for n, block in enumerate(self._blocks)}
        row = first_row(likelihood.outputs[0])
        draws = [
            # Not the step: each micro-batch has labels of its own.
            Draws((self.seed, index), self._iterations, row)
            for index in range(len(likelihood.terms))
        ]
        signs = Draws((self.seed, len(draws)), self._iterations, row)
        estimate = FactorEstimate(
            plan,
            variables,
            likelihood,
            self.fisher,
            self.sharing,
            draws,
            signs,
        )
        return estimate, [numbers[own[b.kernel]] for b in plan.blocks]

    def _undone_variables(self):
        # Not the factors: none but good ones are taken, before the step.
        factors = {id(v) for state in self._factors for v in state.values()}
        return [v for v in super()._undone_variables() if id(v) not in factors]

    def _warn_of_diagonals(self, plan, variables):
        names = [
            variable_name(variables[block.kernel])
            for block in plan.blocks
            if not block.has_factors
        ]
        if names:
            warnings.warn(
                f"{self.name}: no Kronecker factors are known for the use of "
                f"{', '.join(names)}. An estimated diagonal takes their place.",
                stacklevel=4,
            )

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        variables = list(trainable_variables)
        grads = sum_over_replicas(list(grads))
        directions = self._directions(grads, variables, learning_rate)
        values = [getattr(v, "value", v) for v in variables]
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._distributed_tf_update_step,
            tf.distribute.get_strategy(),
            list(zip(directions, values, strict=True)),
            learning_rate,
        )

    def _directions(self, grads, variables, learning_rate):
        """The natural gradient, shortened to the bound of its step."""
        places = {
            self._get_variable_index(v): i for i, v in enumerate(variables)
        }
        directions = list(grads)
        for block, state in zip(self._blocks, self._factors, strict=True):
            if block.kernel not in places:
                continue
            own = [places[index] for index in block.indices]
            gradients = [grads[i] for i in own]
            matrix = self._direction(block, state, gradients)
            parts = block.split(matrix, variables[own[-1]].shape)
            for place, part in zip(own, parts, strict=True):
                directions[place] = tf.cast(part, grads[place].dtype)
        if self.kl_bound is None:
            return directions
        factor = self._shortening(grads, directions, learning_rate)
        return [d * tf.cast(factor, d.dtype) for d in directions]

    def _direction(self, block, state, gradients):
        """The natural gradient of a block as its matrix."""
        dtype = state["inputs"].dtype
        return self._preconditioner.direction(
            block,
            {name: tf.convert_to_tensor(v) for name, v in state.items()},
            block.join([tf.cast(gradient, dtype) for gradient in gradients]),
            self._damping(),
            FactoredGradient.of(block, gradients),
        )

    def _shortening(self, grads, directions, learning_rate):
        """The factor of all directions that keeps them in the bound."""
        dtype = self._factors[0]["inputs"].dtype
        slope = tf.add_n(
            [
                tf.reduce_sum(tf.cast(g, dtype) * tf.cast(d, dtype))
                for g, d in zip(grads, directions, strict=True)
            ]
        )
        divergence = slope * tf.square(cast(learning_rate, dtype))
        bound = tf.sqrt(self.kl_bound / divergence)
        return tf.where(divergence > self.kl_bound, bound, 1.0)

    def finalize_variable_values(self, var_list: Variables) -> None:
        super().finalize_variable_values(var_list)
        self._warn_of_skipped_steps(
            "the gradient or the step",
            "Lower the learning rate or, in float16, the loss scale.",
        )
