"""What `fit` is given: arrays, datasets, weights, validation, callbacks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.optimizers.contract.helpers import (
    ERRORS,
    REFUSED,
    SOLVERS,
    takes,
    train,
)
from tests.optimizers.helpers import X, Y


def test_a_dataset_trains_as_its_arrays_do(run, name):
    size = 18 if name in SOLVERS else 6
    dataset = tf.data.Dataset.from_tensor_slices((X[:18], Y[:18])).batch(size)
    run.restart()
    run.model.fit(dataset, epochs=4, verbose=0)
    weights = run.weights()
    run.restart()
    run.model.fit(
        X[:18], Y[:18], batch_size=size, shuffle=False, epochs=4, verbose=0
    )
    np.testing.assert_array_equal(run.weights(), weights)


def test_a_sample_of_weight_two_is_the_sample_twice(run, name):
    """With weights (2, 0), over which Keras takes the same mean."""
    twice = np.repeat(np.arange(9), 2)
    # Two equal samples stand in one batch of six, as three and three zeros.
    places = np.arange(18).reshape(3, 6)
    x, y = np.zeros_like(X[:18]), np.zeros_like(Y[:18])
    weight = np.zeros(18)
    for batch in places:
        own = twice[batch][::2]
        x[batch] = X[np.r_[own, own]]
        y[batch] = Y[np.r_[own, own]]
        weight[batch] = [2, 2, 2, 0, 0, 0]
    run.run(3, x, y, sample_weight=weight)
    weighted = run.weights()
    run.run(3, X[twice], Y[twice], sample_weight=np.ones(18))
    np.testing.assert_allclose(run.weights(), weighted, rtol=1e-7)


def test_a_class_weight_weighs_the_samples_of_its_class(run, name):
    classes = (Y[:18] > 0).astype("float64")
    weight = np.where(classes[:, 0] > 0, 2.0, 0.5)
    run.run(3, y=classes, sample_weight=weight)
    by_samples = run.weights()
    run.run(3, y=classes, class_weight={0: 0.5, 1: 2.0})
    np.testing.assert_array_equal(run.weights(), by_samples)


def test_validation_changes_nothing_and_sees_the_weights(run, name):
    seen = []

    class Seen(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            error = self.model(X[18:]).numpy() - Y[18:]
            seen.append(np.mean(error**2))

    history = run.run(4, validation_data=(X[18:], Y[18:]), callbacks=[Seen()])
    np.testing.assert_array_equal(run.weights(), run.plain())
    np.testing.assert_allclose(history["val_loss"], seen, rtol=1e-9)


def test_early_stopping_ends_the_run(run, name):
    stopping = keras.callbacks.EarlyStopping("loss", min_delta=1e9)
    history = run.run(4, callbacks=[stopping])
    assert len(history["loss"]) == 2
    np.testing.assert_array_equal(run.weights(), run.plain(2))


def plateau():
    return keras.callbacks.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, min_delta=1e9
    )


@pytest.mark.parametrize("name", takes("learning_rate_callback"))
def test_a_callback_lowers_the_learning_rate(run, name):
    rate = float(run.model.optimizer.learning_rate)
    lowered = run.run(4, callbacks=[plateau()])["learning_rate"]
    np.testing.assert_allclose(
        lowered, rate * np.array([1, 1, 0.5, 0.25]), rtol=1e-6
    )
    by_plateau = run.weights()
    schedule = keras.callbacks.LearningRateScheduler(lowered.__getitem__)
    run.run(4, callbacks=[schedule])
    np.testing.assert_array_equal(run.weights(), by_plateau)
    assert (by_plateau != run.plain()).all()


@pytest.mark.parametrize("name", REFUSED["learning_rate_callback"])
@pytest.mark.parametrize(
    "make",
    [
        plateau,
        lambda: keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
    ],
    ids=["plateau", "scheduler"],
)
def test_a_callback_of_the_learning_rate_is_refused(run, name, make):
    message = REFUSED["learning_rate_callback"][name]
    with pytest.raises(ERRORS, match=message) as refusal:
        run.run(4, callbacks=[make()])
    assert "learning_rate" in str(refusal.value)


def test_fit_takes_up_where_it_left_off(run, name):
    """Two calls are one, but for an evaluation of the accepted point."""
    # Not before the third: an unbroken run confirms its first accepted point
    # there, for which the evaluation of the second call would serve.
    run.run(3)
    is_evaluation = name in ("lbfgs", "newton_cg")
    train(name, run.model, 2 if is_evaluation else 1)
    np.testing.assert_array_equal(run.weights(), run.plain())
