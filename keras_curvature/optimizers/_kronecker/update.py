"""New factors on the steps that are due."""

import tensorflow as tf

from keras_curvature.optimizers._common.amortize import (
    amortize,
    branches_are_slow,
)
from keras_curvature.optimizers._common.replicas import (
    assign_on_replicas,
    call_unless,
    replica_count,
    sum_over_replicas,
)
from keras_curvature.optimizers._common.skipping import all_finite


def update_factors(optimizer, estimate, numbers, is_finite):
    """Assigns new factors where a step is due and its numbers are finite.

    Args:
        optimizer: A `KroneckerOptimizer` whose factors exist.
        estimate: `FactorEstimate` of the batch.
        numbers: For each block of the estimate its number in the optimizer.
        is_finite: Scalar bool tensor, whether the gradients are.
    """
    blocks = [optimizer._blocks[n] for n in numbers]
    states = [
        {k: v.value for k, v in optimizer._factors[n].items()} for n in numbers
    ]
    update = _Update(optimizer, estimate, blocks, states)
    is_due = is_finite & update.is_due()
    if replica_count() == 1 and not branches_are_slow():
        call_unless(~is_due, lambda: update.assign(update.sums()), ())
        return
    # A sum over replicas cannot stand in a branch.
    zeros = [tf.zeros(shape, dtype) for shape, dtype in update.shapes()]
    sums = amortize(is_due, update.sums, zeros)
    sums = sum_over_replicas(sums)
    call_unless(~is_due, lambda *sums: update.assign(list(sums)), sums)


class _Update:
    """The sums of a batch and the state that they lead to."""

    def __init__(self, optimizer, estimate, blocks, states):
        self._optimizer = optimizer
        self._estimate = estimate
        self._blocks = blocks
        self._states = states
        self._preconditioner = optimizer._preconditioner
        self._bases = [
            self._preconditioner.basis(block, state)
            for block, state in zip(blocks, states, strict=True)
        ]

    def is_due(self):
        """Whether this step takes new factors."""
        optimizer, period = self._optimizer, self._optimizer.update_period
        if period == 1:
            return tf.constant(True)
        step = tf.convert_to_tensor(optimizer.iterations)
        # The first factors are of few samples, and soon of other weights.
        early = [2**k for k in range(period.bit_length()) if 2**k < period]
        is_early = tf.reduce_any(tf.equal(step, tf.constant(early, step.dtype)))
        # Without any estimate (`iterations` set by hand) do not wait for one.
        is_first = tf.equal(optimizer._curvature_updates.value, 0)
        return tf.equal(step % period, 0) | is_early | is_first

    def sums(self):
        """What is added up over replicas: A, G, squares and weights."""
        outputs, squares = self._estimate.output_factors(self._bases)
        weight = tf.cast(self._estimate.total_weight(), tf.float64)
        return [*self._estimate.input_factors(), *outputs, *squares, weight]

    def shapes(self):
        """Shapes and dtypes of the sums."""
        return [
            *self._estimate.input_shapes(),
            *self._estimate.output_shapes(self._bases),
            ((), tf.float64),
        ]

    def assign(self, sums):
        """Moves the averages, and what is computed from them, to new values."""
        count = len(self._blocks)
        inputs, outputs = sums[:count], sums[count : 2 * count]
        squares, weight = iter(sums[2 * count : -1]), sums[-1]
        # A batch whose samples weigh nothing says nothing.
        counts = weight > 0
        rate = tf.where(counts, self._rate(), 0)
        for block, state, a, g, basis in zip(
            self._blocks,
            self._states,
            inputs,
            outputs,
            self._bases,
            strict=True,
        ):
            a = tf.math.divide_no_nan(a, tf.cast(weight, a.dtype))
            own = next(squares) if basis is not None else None
            self._assign_block(block, state, a, g, own, rate)
        assign_on_replicas(
            [self._optimizer._curvature_updates],
            [
                self._optimizer._curvature_updates.value
                + tf.cast(counts, "int64")
            ],
        )

    def _rate(self):
        """The weight of this batch: means first, then a moving average."""
        optimizer = self._optimizer
        parts = optimizer.gradient_accumulation_steps or 1
        count = tf.cast(optimizer._curvature_updates.value, tf.float64) + 1
        # The micro-batches of a step share its weight.
        return tf.maximum(1 / count, 1 - optimizer.decay ** (1 / parts))

    def _assign_block(self, block, state, a, g, squares, rate):
        values = {name: tf.convert_to_tensor(v) for name, v in state.items()}
        rate = tf.cast(rate, a.dtype)
        new = dict(values)
        # So written, nothing is left of what preceded the first.
        new["inputs"] = (1 - rate) * new["inputs"] + rate * a
        new["outputs"] = (1 - rate) * new["outputs"] + rate * g
        measured = [new["inputs"], new["outputs"]]
        if squares is not None:
            measured.append(squares)
        is_good = all_finite(measured) & (rate > 0)
        if squares is not None:
            squares = tf.where(is_good, squares, tf.zeros_like(squares))
        # A factorization must not be given what is not a number.
        for name in ("inputs", "outputs"):
            new[name] = tf.where(is_good, new[name], values[name])
        refreshed = self._preconditioner.refreshed(
            block, new, squares, rate, self._optimizer._damping()
        )
        is_good &= all_finite(list(refreshed.values()))
        new.update(refreshed)
        assign_on_replicas(
            list(state.values()),
            [tf.where(is_good, new[name], values[name]) for name in state],
        )
