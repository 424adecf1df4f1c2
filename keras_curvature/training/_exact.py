"""Keras's methods that compute, under exact derivatives."""

import functools
import inspect
from typing import Any

from keras_curvature._typing import Structure
from keras_curvature.autodiff import exact_derivatives

_COMPUTING = (
    "__call__",
    "compute_loss",
    "predict_step",
    "test_step",
    "train_step",
)


class ExactDerivatives:
    """Opens `exact_derivatives` wherever a Keras model computes.

    Also in the methods that a subclass writes anew, as a training step with a
    gradient penalty is.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _COMPUTING:
            method = vars(cls).get(name)
            if inspect.isfunction(method):
                setattr(cls, name, _exact(method))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with exact_derivatives():
            return super().__call__(*args, **kwargs)

    def test_step(self, data: Structure) -> Any:
        with exact_derivatives():
            return super().test_step(data)

    def predict_step(self, data: Structure) -> Any:
        with exact_derivatives():
            return super().predict_step(data)


def _exact(method):
    @functools.wraps(method)
    def exact(*args, **kwargs):
        with exact_derivatives():
            return method(*args, **kwargs)

    return exact
