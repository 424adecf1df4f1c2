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
    matrices,
    reductions,
    single_precision,
    sparse,
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
        images,
        sparse,
        lists,
        single_precision,
        types,
        keras_ops,
    )
}
