"""Config, files and backups: training goes on as if nothing had been."""

import keras
import numpy as np
import pytest

from tests.optimizers.contract.helpers import made, shared, train
from tests.optimizers.helpers import weights


def test_config_makes_the_same_optimizer(every):
    optimizer = made(every, name="mine")
    config = keras.optimizers.serialize(optimizer)
    again = keras.optimizers.deserialize(config)
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    assert again.name == optimizer.name


def test_a_checkpoint_resumes_the_run_bit_for_bit(every, tmp_path, float64):
    run = shared(every)
    # After three of twelve steps: in the middle of a period.
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    run.run(4, callbacks=[checkpoint])
    np.testing.assert_array_equal(run.weights(), run.plain())
    state = [v.numpy() for v in run.model.optimizer.variables]
    resumed = keras.saving.load_model(tmp_path / "1.keras")
    train(every, resumed, 3)
    np.testing.assert_array_equal(weights(resumed), run.plain())
    for mine, value in zip(resumed.optimizer.variables, state, strict=True):
        np.testing.assert_array_equal(mine.numpy(), value)


def test_saved_weights_resume_the_run_bit_for_bit(run, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", save_weights_only=True
    )
    run.run(4, callbacks=[checkpoint])
    path = tmp_path / "2.weights.h5"
    run.restart()
    run.model.load_weights(path)
    train(run.name, run.model, 2)
    np.testing.assert_array_equal(run.weights(), run.plain())


def test_a_run_that_was_interrupted_is_restored_bit_for_bit(run, tmp_path):
    class Interruption(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise InterruptedError

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(InterruptedError):
        run.run(4, callbacks=[backup(), Interruption()])
    run.run(4, callbacks=[backup()])
    # Where Keras keeps the epoch that every later fit begins with.
    run.model._initial_epoch = 0
    np.testing.assert_array_equal(run.weights(), run.plain())
