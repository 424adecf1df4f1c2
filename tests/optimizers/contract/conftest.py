"""The optimizers that a test runs, and their shared models."""

import pytest

from tests.optimizers.contract import helpers


@pytest.fixture(scope="session", params=helpers.OPTIMIZERS)
def every(request):
    """The name of an optimizer, of each and in all its settings."""
    return request.param


@pytest.fixture(scope="session", params=helpers.CLASSES)
def name(request):
    """The name of an optimizer, one for each class."""
    return request.param


@pytest.fixture
def run(name, float64):
    """The shared model of `name`, which trains in float64."""
    return helpers.shared(name)
