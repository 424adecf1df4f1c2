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

# Where TensorFlow's graph optimizer stays on, as it is for users. To rewrite a
# graph before its first run takes longer than all runs in the other tests.
OPTIMIZED_GRAPHS = (
    "tests/autodiff/test_gradient_graph.py",
    "tests/autodiff/test_repair_scope.py",
    "tests/autodiff/test_repair_under_fit.py",
    "tests/optimizers/contract/",
    "tests/optimizers/evaluations/",
    "tests/optimizers/least_squares/test_options.py",
)

# What `make test-fast` leaves out: parts of the tests' names.
SLOW = (
    "tests/autodiff/test_second_derivatives_table.py::test_second_derivative_is"
    "[layers",
    "tests/autodiff/test_second_derivatives_models.py",
    "tests/autodiff/test_repair_under_fit.py",
    "tests/examples/",
    "tests/operators/test_dense_matrices.py",
    "tests/optimizers/contract/test_data.py",
    "tests/optimizers/contract/test_problems.py",
    "tests/optimizers/contract/test_ways.py",
    "tests/optimizers/least_squares/test_nist_strd.py",
    "tests/optimizers/least_squares/test_physics_informed.py",
    "tests/optimizers/test_adahessian.py::test_estimate_is_unbiased",
    "tests/optimizers/test_lbfgs.py::test_reaches_the_minimum_of_scipy",
    "tests/optimizers/test_newton_cg.py::test_reaches_the_minimum_of_scipy",
    "tests/optimizers/test_mixed_precision.py",
    "tests/optimizers/test_multi_worker.py",
    "tests/optimizers/test_second_order_gradient_keras_options.py"
    "::test_every_inner_optimizer_trains",
    "tests/optimizers/test_sophia.py::test_bartlett_estimate_is_unbiased",
    "tests/optimizers/test_strategies.py",
    "tests/test_docstrings.py::test_example_runs_as_pasted",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def graph_optimizer(request):
    is_on = request.node.nodeid.startswith(OPTIMIZED_GRAPHS)
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": not is_on}
    )


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
