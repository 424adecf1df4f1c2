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

# What `make test-sweeps` runs and `make test` leaves out, since it goes through
# all of something: all that Keras and TensorFlow export, every optimizer in all
# of Keras's ways to train, all of NIST's problems, whole applications, every
# example of the folder and of the documentation.
SWEEPS = (
    "tests/autodiff/test_operations_table.py",
    "tests/autodiff/test_second_derivatives_models.py",
    "tests/autodiff/test_second_derivatives_table.py",
    "tests/examples/",
    "tests/layers/test_activation_accuracy.py",
    "tests/optimizers/contract/test_data.py",
    "tests/optimizers/contract/test_problems.py",
    "tests/optimizers/contract/test_resuming.py",
    "tests/optimizers/contract/test_ways.py",
    "tests/optimizers/least_squares/test_nist_strd.py",
    "tests/test_docstrings.py",
    "tests/uncertainty/test_nist_errors.py",
)

# What `make test-fast` leaves out besides: parts of the tests' names. Most of
# them train a model, of which tracing alone takes half a second and more.
SLOW = (
    "tests/autodiff/test_by_columns.py",
    "tests/autodiff/test_directional.py",
    "tests/autodiff/test_gauss_newton.py",
    "tests/autodiff/test_gradient_graph.py",
    "tests/autodiff/test_hessian.py",
    "tests/autodiff/test_per_sample.py",
    "tests/autodiff/test_repair_scope.py",
    "tests/autodiff/test_repair_under_fit.py",
    "tests/callbacks/",
    "tests/diagnostics/test_activation_report.py",
    "tests/diagnostics/test_curvature_split.py",
    "tests/layers/test_activation_contract.py",
    "tests/losses/test_known_loss.py",
    "tests/operators/kronecker/test_kronecker_factored.py",
    "tests/operators/kronecker/test_peers_matrices.py",
    "tests/operators/test_dense_matrices.py",
    "tests/optimizers/common/test_skipping.py",
    "tests/optimizers/diagonal/test_peers_paths.py",
    "tests/optimizers/evaluations/test_direction.py",
    "tests/optimizers/evaluations/test_faults.py",
    "tests/optimizers/kronecker/",
    "tests/optimizers/least_squares/test_bounds.py",
    "tests/optimizers/least_squares/test_geodesic_acceleration.py",
    "tests/optimizers/least_squares/test_jacobian_systems.py",
    "tests/optimizers/least_squares/test_losses.py",
    "tests/optimizers/least_squares/test_options.py",
    "tests/optimizers/least_squares/test_physics_informed.py",
    "tests/optimizers/least_squares/test_point_sets.py",
    "tests/optimizers/least_squares/test_problems.py",
    "tests/optimizers/least_squares/test_runs.py",
    "tests/optimizers/test_check_numerics.py",
    "tests/optimizers/test_gauss_newton.py",
    "tests/optimizers/test_lbfgs.py",
    "tests/optimizers/test_mixed_precision.py",
    "tests/optimizers/test_multi_worker.py",
    "tests/optimizers/test_newton_cg.py",
    "tests/optimizers/test_second_order_gradient.py",
    "tests/optimizers/test_second_order_gradient_keras_options.py",
    "tests/optimizers/test_self_scaled_broyden.py",
    "tests/optimizers/test_sophia.py",
    "tests/optimizers/test_strategies.py",
    "tests/report/test_command.py",
    "tests/report/test_curvature_report.py",
    "tests/test_packaging.py",
    "tests/training/test_curve.py",
    "tests/training/test_exact_derivatives.py",
    "tests/training/test_solve.py",
    "tests/training/test_solver_fit.py",
    "tests/training/test_training.py",
    "tests/uncertainty/test_influence.py",
    "tests/uncertainty/test_laplace_peers.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.nodeid.startswith(SWEEPS):
            item.add_marker(pytest.mark.sweep)
        if item.nodeid.startswith(SLOW + SWEEPS):
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
