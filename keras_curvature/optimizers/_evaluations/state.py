"""The state of a run: what each of its tensors holds.

The state is a dict of tensors, kept in a `RunState` between steps. Here
stand the names of all of them, with the shape and the dtype; what a
quasi-Newton direction remembers stands with the direction. `reset()` makes all
of them 0, and the next evaluation begins a run. A new run makes scalars 0; of
vectors it sets those of the run, and has its method forget its own.
"""

import tensorflow as tf

from keras_curvature.optimizers._common.selecting import select_each
from keras_curvature.optimizers._evaluations import line_search
from keras_curvature.optimizers.stop_reason import RUNNING

# What the next evaluation is for: the point where a run starts; the accepted
# point once more, early, to see whether the loss is a function of the
# weights; a trial; the accepted point once more, after no trial was better.
START, CONFIRM, TRIAL, VERIFY = range(4)
# Not an evaluation: the next trial is still to be chosen.
CHOOSE = 4
# The accepted point on other data, of which the solver was told.
RENEW = 5


def shapes_of_run(size, dtype, variables):
    """For every method."""
    return {
        # One of the phases above.
        "phase": ((), "int64"),
        # The code of the `StopReason`, 0 while the run goes on.
        "status": ((), "int64"),
        # 1 after `fit` left the accepted point in the model, where it is in
        # the hands of the user until the next evaluation.
        "resumed": ((), "int64"),
        # For each variable, in how many successive evaluations it came back
        # with other values than it was given.
        "rewritten": ((variables,), "int64"),
        # For each variable, 1 where the loss of this run depends on it.
        "connected": ((variables,), "int64"),
        # 1 where the last evaluation was of weights that were not accepted.
        "rejected": ((), "int64"),
        # Over all runs, not to be forgotten by a new one.
        "evaluations": ((), "int64"),
        "non_finite_evaluations": ((), "int64"),
        # Of this run. The accepted point is confirmed once, after the first
        # step or after the first few trials.
        "trials": ((), "int64"),
        "accepted_steps": ((), "int64"),
        # Where the run began.
        "start": ((size,), dtype),
        "initial_loss": ((), "float64"),
        # The accepted point.
        "point": ((size,), dtype),
        "loss": ((), "float64"),
        "gradient": ((size,), dtype),
        # Its largest absolute entry.
        "gradient_size": ((), "float64"),
        # Of the accepted steps since the loss last showed one: the smallest
        # largest entry of a gradient, and how many since then.
        "smallest_gradient": ((), "float64"),
        "stalled_steps": ((), "int64"),
        # The weights that a trial is to evaluate.
        "trial": ((size,), dtype),
    }


def shapes_of_accumulation(size, dtype):
    """With `gradient_accumulation_steps`: sums over the batches so far."""
    return {
        "batches": ((), "int64"),
        "accumulated_loss": ((), "float64"),
        "accumulated_gradient": ((size,), dtype),
    }


def shapes_of_line_search(size, dtype):
    """For methods that search along a line."""
    return {
        # d, along which the trials w + α d lie.
        "direction": ((size,), dtype),
        # The `Search`, as `line_search.pack` makes it.
        "search": ((line_search.FIELDS,), "float64"),
        # The gradient at the best trial of the search.
        "low_gradient": ((size,), dtype),
        # α and ‖α d‖ of the last accepted step.
        "step_length": ((), "float64"),
        "moved": ((), "float64"),
    }


def shapes_of_trust_region(size, dtype, kept):
    """For methods that keep steps from one path of conjugate gradients."""
    return {
        # p, gᵀp, pᵀHp and ‖p‖ of the steps that are left to try, the next one
        # first, as `SteihaugSteps` has them.
        "path_steps": ((kept, size), dtype),
        "path_slopes": ((kept,), dtype),
        "path_curvatures": ((kept,), dtype),
        "path_lengths": ((kept,), dtype),
        "trust_radius": ((), dtype),
        # ‖∇L‖ where the run began.
        "initial_gradient_norm": ((), dtype),
        # Of the last step, and of all.
        "cg_iterations": ((), "int64"),
        "hessian_products": ((), "int64"),
        # 1 where the last trial was accepted.
        "accepted": ((), "int64"),
    }


def next_weights(state):
    """The weights that the next evaluation is to see."""
    is_trial = (state["phase"] == TRIAL) & (state["status"] == RUNNING)
    return tf.where(is_trial, state["trial"], state["point"])


def select(condition, yes, no, common=None):
    """The one state where the condition holds, else the other.

    Args:
        condition: Scalar bool tensor.
        yes: Dict of tensors.
        no: Dict of tensors with the same keys.
        common: A state that `yes` was made from. What it has still of that
            is taken from `no`. Defaults to `no`.
    """
    common = no if common is None else common
    changed = [n for n, tensor in yes.items() if tensor is not common[n]]
    selected = select_each(
        condition, [yes[n] for n in changed], [no[n] for n in changed]
    )
    return {**no, **dict(zip(changed, selected, strict=True))}


def changed_where(condition, state, change):
    """What `change()` makes of a state where the condition holds.

    Only what is changed passes the branches.

    Args:
        condition: Scalar bool tensor.
        state: Dict of tensors.
        change: Callable that returns a dict of tensors, some of the state's.

    Returns:
        Dict of the keys that may have changed.
    """
    names = []

    def changed():
        after = change()
        names[:] = [n for n, t in after.items() if t is not state[n]]
        return {name: after[name] for name in names}

    # The first branch is traced first.
    return tf.cond(condition, changed, lambda: {n: state[n] for n in names})
