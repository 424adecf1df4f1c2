"""The table of second derivatives: every layer, activation and loss of Keras,
with the options that change its mathematics."""

from tests.autodiff.table import (
    activations,
    attention,
    audio,
    convolutions,
    core,
    images,
    losses,
    merging,
    normalization,
    pooling,
    recurrent,
)
from tests.autodiff.table.case import Case

CASES: list[Case] = [
    row
    for subject in (
        core,
        convolutions,
        pooling,
        normalization,
        recurrent,
        attention,
        merging,
        audio,
        images,
        activations,
        losses,
    )
    for row in subject.rows()
]
