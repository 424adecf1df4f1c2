"""Options of Keras's optimizers: each acts as it should or is refused.

One step on L(w) = ½ Σ aᵢwᵢ², whose gradient and Hessian are known. The step
of every optimizer that takes these options is, at first, linear in what Keras
clips: the gradient, or the direction of SecondOrderGradient.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.optimizers import SecondOrderGradient
from tests.optimizers.contract.helpers import (
    CLASSES,
    ERRORS,
    OPTIMIZERS,
    REFUSED,
    made,
    shared,
    takes,
)
from tests.optimizers.helpers import X, Y, fit
from tests.oracles import flat

A = np.array([0.5, 1.0, 2.0])
START = np.array([1.0, -2.0, 0.5])
RATE, PART = 0.125, 0.01
# What shortens steps by itself.
UNBOUNDED = {"sophia": {"rho": 1e4}, "kfac": {"kl_bound": None}}
VALUES = {
    "learning_rate": 0.1,
    "weight_decay": 0.1,
    "clipnorm": 0.5,
    "clipvalue": 0.5,
    "global_clipnorm": 0.5,
    "use_ema": True,
    "gradient_accumulation_steps": 3,
    "loss_scale_factor": 1024.0,
}


def optimizer_with(name, **options):
    """One whose first step is a multiple of the gradient or direction."""
    make, settings, _ = OPTIMIZERS[name]
    options = {"learning_rate": RATE} | options
    if make is SecondOrderGradient:
        inner = keras.optimizers.SGD(**options)
        return make(inner, curvature_weight=PART)
    return make(**settings | UNBOUNDED.get(name, {}) | options)


def path(optimizer, steps=1, rates=None):
    """The weights after each step, and as `fit` would leave them."""
    w = keras.Variable(START, dtype="float64")
    optimizer.build([w])

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            # ½ Σ aᵢwᵢ², as a mean of squares.
            outputs = np.sqrt(1.5 * A) * w.value
            loss = tf.reduce_mean(tf.math.squared_difference(outputs, 0))
            loss = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(loss, [w.value]), [w])

    points = []
    for number in range(steps):
        if rates:
            optimizer.learning_rate = rates[number]
        step()
        points.append(w.numpy())
    optimizer.finalize_variable_values([w])
    return np.array([*points, w.numpy()])


@functools.cache
def first_step(name):
    """Without any of the options."""
    return path(optimizer_with(name))[0] - START


def clipped_share(name, option):
    """What clipping leaves of each entry."""
    gradient = A * START
    if name == "second_order_gradient":
        gradient = gradient + PART * A * gradient
    if option == "clipvalue":
        return np.minimum(1, 0.5 / np.abs(gradient))
    return min(1, 0.5 / np.linalg.norm(gradient))


@pytest.mark.parametrize("option", ["clipnorm", "clipvalue", "global_clipnorm"])
@pytest.mark.parametrize("name", takes("clipnorm"))
def test_clipping_shortens_the_first_step(name, option, float64):
    plain = first_step(name)
    clipped = path(optimizer_with(name, **{option: 0.5}))[0] - START
    np.testing.assert_allclose(
        clipped, plain * clipped_share(name, option), rtol=1e-9
    )


@pytest.mark.parametrize("name", takes("weight_decay"))
def test_weight_decay_takes_its_share_of_the_weights(name, float64):
    decayed = path(optimizer_with(name, weight_decay=0.5))[0] - START
    np.testing.assert_allclose(
        decayed, first_step(name) - 0.5 * RATE * START, rtol=1e-9
    )


@pytest.mark.parametrize("name", takes("use_ema"))
def test_the_average_of_the_weights_is_left_in_the_model(name, float64):
    points = path(optimizer_with(name, use_ema=True, ema_momentum=0.75), 3)
    plain = path(optimizer_with(name), 3)
    np.testing.assert_allclose(points[:3], plain[:3], rtol=1e-12)
    average = plain[0]
    for point in plain[1:3]:
        average = 0.75 * average + 0.25 * point
    np.testing.assert_allclose(points[3], average, rtol=1e-12)


@pytest.mark.parametrize("name", takes("learning_rate"))
def test_a_schedule_is_followed(name, float64):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [0, 1], [0.5, 0.25, 0.125]
    )
    followed = path(optimizer_with(name, learning_rate=schedule), 3)
    optimizer = optimizer_with(name, learning_rate=0.5)
    by_hand = path(optimizer, 3, rates=[0.5, 0.25, 0.125])
    np.testing.assert_array_equal(followed, by_hand)
    # With half of the first rate the first step would be half as long.
    np.testing.assert_allclose(by_hand[0] - START, 4 * first_step(name))


@pytest.mark.parametrize("name", takes("loss_scale_factor"))
def test_a_loss_scale_changes_nothing(name, float64):
    scaled = path(made(name, loss_scale_factor=1024.0), 3)
    np.testing.assert_allclose(scaled, path(made(name), 3), rtol=1e-12)


@pytest.mark.parametrize("name", takes("gradient_accumulation_steps"))
def test_accumulated_batches_are_one_batch(name, float64):
    run = shared(name)
    model = type(run.model).from_config(run.model.get_config())
    model.set_weights(run.start())
    model.compile(made(name, gradient_accumulation_steps=3), "mse")
    run.run(4, batch_size=18)
    whole = run.weights()
    x, y = X[:18], Y[:18]
    fit(model, 4, x, y, batch_size=6)
    assert int(model.optimizer.iterations) == 4
    np.testing.assert_allclose(flat(model.get_weights()), whole, rtol=1e-8)


@pytest.mark.parametrize(
    "name, option",
    [
        (name, option)
        for option in VALUES
        for name in CLASSES
        if name in REFUSED[option]
    ],
)
def test_an_option_without_a_meaning_is_refused_by_name(name, option):
    with pytest.raises(ERRORS, match=REFUSED[option][name]) as refusal:
        made(name, **{option: VALUES[option]})
    assert option in str(refusal.value)
    assert str(VALUES[option]) in str(refusal.value)
