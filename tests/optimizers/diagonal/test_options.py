"""Keras's own options, on both diagonal optimizers, against the papers."""

import keras
import numpy as np
import pytest

from keras_curvature.optimizers import AdaHessian, Sophia
from tests.optimizers.diagonal import references

SCALES = np.random.default_rng(1).uniform(0.5, 2, 12)
SETTINGS = {
    "adahessian": {"beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-3},
    "sophia": {"beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-9, "rho": 0.6},
}
RULES = {"adahessian": references.adahessian, "sophia": references.sophia}
CLASSES = {"adahessian": AdaHessian, "sophia": Sophia}

pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.parametrize("name", CLASSES),
]


def made(name, **options):
    options = {"learning_rate": 0.1, "update_period": 1, **options}
    return CLASSES[name](**SETTINGS[name], **options)


def expected(name, **options):
    options.setdefault("scales", [[s] for s in SCALES])
    return references.path(RULES[name], SETTINGS[name], **options)


def assert_same(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("period", [1, 3, 5])
def test_early_steps_have_their_full_curvature(name, period):
    got, _ = references.path_of(made(name, update_period=period), SCALES)
    assert_same(got, expected(name, period=period))


def test_learning_rate_follows_its_schedule(name):
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.125, 1, 0.5)
    got, _ = references.path_of(made(name, learning_rate=schedule), SCALES)
    # Keras computes the schedule from float32 constants.
    wanted = expected(name, rate=lambda t: 0.125 / (1 + 0.5 * t))
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "option, clip",
    [
        ({"clipvalue": 0.25}, lambda g: np.clip(g, -0.25, 0.25)),
        ({"clipnorm": 0.5}, lambda g: g * min(1, 0.5 / np.linalg.norm(g))),
        (
            {"global_clipnorm": 0.5},
            lambda g: g * min(1, 0.5 / np.linalg.norm(g)),
        ),
    ],
)
def test_clipping_acts_on_the_gradient_alone(name, option, clip):
    got, _ = references.path_of(made(name, **option), SCALES)
    assert_same(got, expected(name, clip=clip))


def test_a_loss_scale_changes_nothing(name):
    got, _ = references.path_of(made(name, loss_scale_factor=1024.0), SCALES)
    assert_same(got, expected(name))


@pytest.mark.parametrize("period", [1, 2])
def test_accumulated_micro_batches_are_one_batch(name, period):
    optimizer = made(name, gradient_accumulation_steps=3, update_period=period)
    got, _ = references.path_of(optimizer, SCALES)
    parts = SCALES.reshape(4, 3)
    assert_same(got[2::3], expected(name, scales=parts, period=period))
    assert int(optimizer.iterations) == 4


def test_moving_average_of_the_weights_is_left_in_the_model(name):
    optimizer = made(name, use_ema=True, ema_momentum=0.5)
    _, weights = references.path_of(optimizer, SCALES)
    average = None
    for t, point in enumerate(expected(name)):
        momentum = 0.5 if t else 0.0
        average = (
            momentum * (0 if average is None else average)
            + (1 - momentum) * point
        )
    optimizer.finalize_variable_values([weights])
    assert_same(weights.numpy(), average)


def test_constraints_hold_after_each_step(name):
    got, _ = references.path_of(
        made(name), SCALES, constraint=keras.constraints.NonNeg()
    )
    assert got.min() == 0
    assert got.max() > 0


def test_a_start_at_a_later_iteration_does_not_wait_for_curvature(name):
    optimizer = made(name, update_period=10)
    optimizer.iterations.assign(5)
    got, _ = references.path_of(optimizer, SCALES[:3])
    assert np.isfinite(got).all()
    assert int(optimizer._curvature_updates) == 1
