"""The table of operations: TensorFlow's differentiable ones, by subject.

Each subject has `rows()`, a dict that maps the name of a row to a function of
one tensor and the point where its derivatives are measured.
"""

from tests.autodiff.operations import (
    arrays,
    elementwise,
    images,
    keras_ops,
    lists,
    losses,
    matrices,
    numpy_functions,
    reductions,
    signals,
    single_precision,
    sparse,
    special_matrices,
    special_points,
    types,
)

SUBJECTS = {
    subject.__name__.rpartition(".")[2]: subject
    for subject in (
        elementwise,
        special_points,
        reductions,
        arrays,
        matrices,
        special_matrices,
        signals,
        losses,
        images,
        sparse,
        lists,
        single_precision,
        types,
        numpy_functions,
        keras_ops,
    )
}
