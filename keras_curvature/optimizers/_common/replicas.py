"""Sums over replicas, and conditions that hold on all of them."""

import tensorflow as tf

from keras_curvature.autodiff.variables import as_tf_variable


def replica_count():
    """Number of replicas whose gradients are summed for one step."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def sum_over_replicas(tensors):
    """Each tensor summed over the replicas; None stays None."""
    if replica_count() == 1:
        return tensors
    summed = {}
    # Tensors of one reduction must have the same dtype.
    for dtype in dict.fromkeys(t.dtype for t in tensors if t is not None):
        places = [
            place
            for place, tensor in enumerate(tensors)
            if tensor is not None and tensor.dtype == dtype
        ]
        sums = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM, [tensors[place] for place in places]
        )
        summed.update(zip(places, sums, strict=True))
    return [summed.get(place) for place in range(len(tensors))]


def first_row(output):
    """How many samples of the global batch lie on earlier replicas."""
    count = replica_count()
    if count == 1:
        return 0
    context = tf.distribute.get_replica_context()
    replicas = tf.range(count)
    own = tf.equal(replicas, context.replica_id_in_sync_group)
    sizes = context.all_reduce(
        tf.distribute.ReduceOp.SUM,
        tf.where(own, tf.shape(output)[0], 0),
    )
    return tf.reduce_sum(
        tf.where(replicas < context.replica_id_in_sync_group, sizes, 0)
    )


def call_unless(predicate, function, arguments):
    """`function(*arguments)`, unless the predicate holds on the replicas.

    The predicate is alike on all of them. The function acts by its
    assignments and returns nothing. A strategy that updates variables by
    `merge_call` cannot do so in a `tf.cond` of one replica: there the
    condition is placed around all replicas.
    """
    if (
        not tf.distribute.has_strategy()
        or tf.__internal__.distribute.strategy_supports_no_merge_call()
    ):
        _cond_unless(predicate, function, *arguments)
        return

    def across(strategy, predicate, *arguments):
        predicate = strategy.experimental_local_results(predicate)[0]
        _cond_unless(
            predicate,
            lambda: strategy.extended.call_for_each_replica(
                function, args=arguments
            ),
        )

    tf.distribute.get_replica_context().merge_call(
        across, args=(predicate, *arguments)
    )


def _cond_unless(predicate, function, *arguments):
    def branch():
        function(*arguments)
        return tf.constant(0)

    tf.cond(predicate, lambda: tf.constant(0), branch)


def assign_on_replicas(variables, values):
    """Gives variables values that every replica has computed alike."""
    variables = [as_tf_variable(v) for v in variables]

    def assign(strategy, variables, values):
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(
                variable, _assign, args=(value,), group=False
            )

    tf.__internal__.distribute.interim.maybe_merge_call(
        assign, tf.distribute.get_strategy(), variables, values
    )


def _assign(variable, value):
    variable.assign(value)
