"""Functions of a batch whose rows lie on the replicas of a strategy."""

import functools
import itertools

import tensorflow as tf

from keras_curvature.operators._compiled import CompiledFunction


class ReplicatedFunction:
    """A function of a batch and further tensors, on one replica or several.

    Args:
        function: Callable `function(batch, *tensors)`.
        jit_compile: Bool, with one device only.
        strategy: `tf.distribute.MirroredStrategy`, or None for one device.
        usual_size: As for `CompiledFunction`.
    """

    def __init__(self, function, jit_compile, strategy, usual_size):
        self._alone = CompiledFunction(function, jit_compile, usual_size)
        self._function, self._strategy = function, strategy
        self._together = {}

    def __call__(self, parts, summed):
        """What the function returns for the parts of a batch.

        Args:
            parts: List of the arguments of each replica, or of the only one.
            summed: Bool, whether results of replicas are added up.

        Returns:
            List of results, in the order of the parts; one where summed.
        """
        if len(parts) == 1:
            return [self._alone(*parts[0])]
        if summed not in self._together:
            run = functools.partial(self._run, summed)
            self._together[summed] = CompiledFunction(run, False)
        batches, others = zip(*((p[0], p[1:]) for p in parts), strict=True)
        return self._together[summed](batches, others)

    def _run(self, summed, batches, others):
        strategy = self._strategy
        parts = [
            (batch, *rest) for batch, rest in zip(batches, others, strict=True)
        ]
        flat = [tf.nest.flatten(part) for part in parts]
        values = [
            strategy.experimental_distribute_values_from_function(
                lambda context, ts=ts: ts[context.replica_id_in_sync_group]
            )
            for ts in zip(*flat, strict=True)
            if ts[0] is not None
        ]
        present = [tensor is not None for tensor in flat[0]]

        # A function of its own gives each replica a graph of its own.
        @tf.function(autograph=False)
        def on_replica(given):
            given = iter(given)
            filled = [next(given) if p else None for p in present]
            return self._function(*tf.nest.pack_sequence_as(parts[0], filled))

        results = strategy.run(on_replica, args=(values,))
        flat = tf.nest.flatten(results)
        if summed:
            flat = [
                strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
                for value in flat
            ]
            return [tf.nest.pack_sequence_as(results, flat)]
        local = zip(
            *(strategy.experimental_local_results(v) for v in flat),
            strict=True,
        )
        return [tf.nest.pack_sequence_as(results, list(r)) for r in local]


def rows_of_replicas(batch, size, strategy):
    """The rows of a batch for each replica, in their order.

    A batch of fewer samples than there are replicas stays whole.

    Args:
        batch: Structure of tensors and None.
        size: Int, the number of samples.
        strategy: As for `ReplicatedFunction`.

    Returns:
        List of such structures.
    """
    count = 1 if strategy is None else strategy.num_replicas_in_sync
    if count == 1 or size < count:
        return [batch]
    ends = [size * k // count for k in range(count + 1)]
    return [rows_of(batch, slice(*pair)) for pair in itertools.pairwise(ends)]


def rows_of(batch, rows):
    """Some rows of each tensor of a batch."""
    return tf.nest.map_structure(
        lambda t: None if t is None else t[rows], batch
    )
