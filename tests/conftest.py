"""Settings shared by all tests."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest
import tensorflow as tf

# Strategies need two devices, and logical ones can only be made before the
# first operation runs.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

# The collector need not look through TensorFlow again and again.
gc.collect()
gc.freeze()


@pytest.fixture(autouse=True)
def fresh_keras():
    """Seeds, names, dtypes and policies as a new program finds them."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def float64():
    """Models and optimizers of this test compute in float64."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def mirrored_strategy():
    """One MirroredStrategy for all tests of the process.

    The collectives of a second one over the same CPUs wait for the first.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
