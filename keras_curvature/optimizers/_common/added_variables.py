"""Variables that several families of optimizers add alike."""

from keras_curvature.optimizers._common.arguments import is_overwritten


def step_counter(optimizer, name):
    """A number that counts steps, alike on all replicas."""
    return optimizer.add_variable(
        shape=(),
        dtype="int64",
        aggregation="only_first_replica",
        name=name,
    )


def momentums(optimizer, variables):
    """A momentum for each variable, None where the model overwrites it."""
    return [
        None
        if is_overwritten(variable)
        else optimizer.add_variable_from_reference(variable, name="momentum")
        for variable in variables
    ]


def state_variables(optimizer, shapes):
    """Dict of variables of zeros, alike on all replicas.

    Args:
        optimizer: The optimizer, which gets them.
        shapes: Dict from the name of each to its shape and dtype.
    """
    return {
        name: optimizer.add_variable(
            shape=shape,
            dtype=dtype,
            aggregation="only_first_replica",
            name=name,
        )
        for name, (shape, dtype) in shapes.items()
    }
