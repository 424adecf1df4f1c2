"""Fits of formulas, which other rules suit than networks."""

# A model of so few weights is a fit, whatever they are weights of.
_FEW_WEIGHTS = 16
# Of more, the matrices of a step are made in other ways.
_MOST_WEIGHTS = 256


def is_fit(variables):
    """Whether the weights are parameters of a formula, not of a network.

    Up to 16 weights; below 256, if all are numbers and vectors: networks have
    matrices. A fit may start far away, in another valley or orders of magnitude
    off, and its weights have units of their own. Networks start near random
    minima, with weights that many others can stand in for.

    Args:
        variables: List of the trainable variables.
    """
    shapes = [v.value.shape for v in variables]
    size = sum(shape.num_elements() for shape in shapes)
    has_matrix = any(shape.rank > 1 for shape in shapes)
    return size <= _FEW_WEIGHTS or (size < _MOST_WEIGHTS and not has_matrix)
