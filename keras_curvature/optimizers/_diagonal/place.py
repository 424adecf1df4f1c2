"""Where in a training an estimate of the diagonal is taken."""

import dataclasses
import typing


@dataclasses.dataclass(frozen=True)
class Place:
    """What an estimator must know of the training beside the gradients.

    Args:
        step: Integer variable or tensor, the steps taken so far.
        batch: Integer variable or tensor, the batches seen so far: more than
            steps where gradients are accumulated.
        loss_scale: Float, the factor of the gradients.
    """

    step: typing.Any
    batch: typing.Any
    loss_scale: float = 1.0
