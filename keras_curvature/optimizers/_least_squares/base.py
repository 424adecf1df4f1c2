"""What the solvers for least squares share: the step around a proposal."""

import warnings
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_curvature._checks import (
    checked_flag,
    checked_integer,
    checked_number,
)
from keras_curvature._typing import Variables
from keras_curvature.autodiff.variables import created_outside_of_traces
from keras_curvature.optimizers._common.known_variables import (
    SavesVariableNames,
    check_all_known,
)
from keras_curvature.optimizers._common.run_state import RunState
from keras_curvature.optimizers._common.trust_region import first_radius
from keras_curvature.optimizers._least_squares.objective import Objective
from keras_curvature.optimizers._least_squares.penalties import l2_penalty
from keras_curvature.optimizers._least_squares.refusals import (
    refuse_model,
    refuse_narrow,
    refuse_variables,
)
from keras_curvature.optimizers._least_squares.run import (
    begun,
    carried_on,
    shapes,
)
from keras_curvature.optimizers._least_squares.trials import try_steps
from keras_curvature.optimizers.solver import Solver, SolverError, number
from keras_curvature.optimizers.stop_reason import StopReason


class LeastSquaresSolver(SavesVariableNames, Solver):
    """Takes whole training steps of `keras_curvature.Model`.

    The base drives: trust region, trials, the tests that end a run, and all
    assignments. A subclass implements `_propose(objective, variables, state,
    form)`; `_method_shapes()` if it keeps a state of its own; `_by_form` if
    it has several forms of the same step to choose from.
    """

    # Whether the outputs of a sample may depend on the rest of the batch.
    may_mix_samples = True
    # Whether the steps keep the bounds that constraints give.
    keeps_bounds = False
    # What `Proposals.is_mixed` means for this method.
    reason_of_mixing = StopReason.LOSS_CHANGED

    def __init__(
        self,
        *,
        initial_trust_radius: float,
        max_attempts: int,
        gradient_tolerance: float,
        step_tolerance: float,
        loss_tolerance: float,
        mini_batches: bool,
        name: str | None,
        options: dict[str, Any],
    ) -> None:
        super().__init__(
            gradient_tolerance=gradient_tolerance,
            loss_tolerance=loss_tolerance,
            name=name,
            options=options,
        )
        self.initial_trust_radius = checked_number(
            "initial_trust_radius", initial_trust_radius, above=0
        )
        self.max_attempts = checked_integer(
            "max_attempts", max_attempts, minimum=1
        )
        self.step_tolerance = checked_number(
            "step_tolerance", step_tolerance, minimum=0
        )
        self.mini_batches = checked_flag("mini_batches", mini_batches)
        self._has_warned = False

    @created_outside_of_traces()
    def build(self, variables: Variables) -> None:
        if self.built:
            return
        variables = list(variables)
        dtype = refuse_variables(self, variables, self.keeps_bounds)
        size = sum(v.value.shape.num_elements() for v in variables)
        super().build(variables)
        own = self._method_shapes(variables, size, dtype)
        self._state = RunState(self, {**shapes(size, dtype), **own})

    def _method_shapes(self, variables, size, dtype):
        """Shape and dtype of each entry of own state."""
        return {}

    def train_on(self, step: Any) -> tf.Tensor:
        """Takes one training step.

        Args:
            step: `keras_curvature.training.TrainingStep`.

        Returns:
            Scalar tensor, the loss at the weights before the step.
        """
        refuse_model(self, step, self.may_mix_samples)
        variables = step.model.trainable_variables
        self.build(variables)
        check_all_known(self, variables)
        refuse_narrow(step, variables[0].dtype)
        objective = Objective(
            step, variables, l2_penalty(self, step.model, variables)
        )
        # What a network of dense layers computes is short as it was traced.
        self.runs_as_traced = objective.is_chain
        before = begun(self._state, objective)
        try:
            after = self._by_form(
                objective,
                lambda form: self._step(objective, variables, before, form),
            )
        except KeyboardInterrupt:
            # Run eagerly, a step can be interrupted at a trial point.
            objective.return_to_start()
            raise
        objective.move(after["point"])
        self._state.assign(after)
        self._iterations.assign_add(1)
        return objective.loss

    def _by_form(self, objective, step):
        """`step(form)` with the form of the method that suits the batch."""
        return step(None)

    def _step(self, objective, variables, state, form):
        """The state after this step, with the weights to move to."""
        proposals = self._propose(objective, variables, state, form)
        length = state["last_free_length"]
        trial = try_steps(
            objective,
            proposals.propose,
            radius=self._radius(state, proposals.norm),
            damping=state["damping"],
            last=tf.where(length > 0, length, length.dtype.max),
            # None after a run has ended.
            max_attempts=tf.where(state["status"] == 0, self.max_attempts, 0),
            bounds=proposals.bounds,
        )
        return carried_on(self, state, objective, proposals, trial)

    def _radius(self, state, length):
        """The trust radius of this step, where the weights have this length."""
        radius = state["trust_radius"]
        first = first_radius(self.initial_trust_radius, length)
        return tf.where(radius > 0, radius, first)

    def _propose(self, objective, variables, state, form):
        """The `Proposals` at the current weights."""
        raise NotImplementedError

    @property
    def _status(self):
        return self._state["status"]

    def _progress(self):
        return {
            "accepted_loss": self._state["loss"],
            "gradient_norm": self._state["gradient_norm"],
            "evaluations": self._state["evaluations"],
            "accepted_steps": self._state["accepted_steps"],
            "trust_radius": self._state["trust_radius"],
            "gain_ratio": self._state["gain_ratio"],
        }

    def reset(self) -> None:
        if self.built:
            self._state.reset()
        self._has_warned = False

    def announce_new_data(self) -> None:
        if not self.built or not number(self._state["steps"]):
            return
        changed = self._state["changed_batches"]
        # This change is meant: it counts for no warning.
        self._state.update(status=0, repeats=0, changed_batches=changed - 1)

    def raise_on_error(self) -> None:
        try:
            super().raise_on_error()
        except SolverError:
            # The next step begins a new run.
            self._state.update(is_raised=1)
            raise

    def warn(self) -> None:
        if not self.built or self.mini_batches or self._has_warned:
            return
        steps, changes = (
            int(number(self._state[name]))
            for name in ("steps", "changed_batches")
        )
        if changes >= 2 and 2 * changes >= steps:
            self._has_warned = True
            warnings.warn(
                f"{self.name}: the loss changes from step to step at the same "
                "weights, so that each step fits its own batch and not the "
                f"data. Received: another loss in {changes} of {steps} steps, "
                "as from mini-batches (the default `batch_size` of fit() is "
                "32), or from a layer that draws random numbers or keeps a "
                "state from one batch to the next. Use fit(batch_size=len(x)); "
                "or mini_batches=True, if it is meant.",
                stacklevel=2,
            )

    def apply(
        self, grads: Sequence[Any], trainable_variables: Variables | None = None
    ) -> None:
        raise RuntimeError(
            f"{type(self).__name__} needs more of the model than gradients. "
            "Received: gradients only, from a plain Keras model (as "
            "keras.models.clone_model makes one of any model), from a "
            "train_step() of the model's own, or from a custom training loop. "
            "Build the model as keras_curvature.Model or "
            "keras_curvature.Sequential, leave its train_step() as it is, and "
            "train it with fit()."
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_trust_radius": self.initial_trust_radius,
            "max_attempts": self.max_attempts,
            "step_tolerance": self.step_tolerance,
            "mini_batches": self.mini_batches,
        }
