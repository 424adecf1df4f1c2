"""The private TensorFlow names that the package stands on.

When one of these fails after an update of TensorFlow, the name was moved or
changed its meaning: `keras_curvature/autodiff/tensorflow_private.py` is the
only file to mend; of `_control_flow.py` tests/test_control_flow.py says so.
"""

import ast
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

import keras_curvature
from keras_curvature.autodiff import tensorflow_private
from keras_curvature.autodiff._vectorizations import better_vectorizations
from keras_curvature.autodiff.repairs.operations import created_in


def test_gradients_helper_differentiates_a_tensor_of_an_enclosing_graph():
    @tf.function
    def derivative(x):
        y = x**3
        graph = y.graph

        def branch():
            return tensorflow_private.gradients_in_graph(
                [y], [x], [tf.constant(1.0)], graph
            )[0]

        return tf.cond(x > 0, branch, lambda: 0.0)

    assert derivative(tf.constant(2.0)) == 12.0


def test_gradients_helper_says_none_where_nothing_is_connected():
    @tf.function
    def check(x, y):
        assert tensorflow_private.gradients_in_graph(
            [x**2], [y], [tf.constant(1.0)], x.graph
        ) == [None]

    check(tf.constant(1.0), tf.constant(2.0))


@pytest.mark.parametrize("jit", [False, True])
def test_xla_context_is_seen_also_from_a_branch(jit):
    seen = []

    @tf.function(jit_compile=jit)
    def function(x):
        seen.append(tensorflow_private.in_xla_context())

        def branch():
            seen.append(tensorflow_private.in_xla_context())
            return x

        return tf.cond(x > 0, branch, lambda: -x)

    function(tf.constant(1.0))
    assert seen == [jit, jit]


def test_the_gradient_of_a_logarithm_says_where_it_comes_from():
    @tf.function
    def gradient(x):
        derivative = tf.gradients(tf.math.log(x), x)[0]
        assert derivative.op.type == "Mul"
        assert derivative.op.inputs[1].op.type == "Reciprocal"
        assert created_in(
            derivative.op, *tensorflow_private.source_of_log_gradient()
        )

    gradient(tf.constant(1.0))


@pytest.mark.parametrize("adjoint_x", [False, True])
@pytest.mark.parametrize("adjoint_y", [False, True])
def test_a_matrix_of_all_samples_multiplies_rows(adjoint_x, adjoint_y, rng):
    x, y = rng.normal(size=(16, 1, 8, 8)), rng.normal(size=(1, 8, 8))
    x, y = x.astype("float32"), y.astype("float32")

    @tf.function(autograph=False)
    def products(x, y):
        return tf.vectorized_map(
            lambda sample: tf.matmul(
                sample, y, adjoint_a=adjoint_x, adjoint_b=adjoint_y
            ),
            x,
        )

    own = tensorflow_private.VECTORIZATIONS["BatchMatMulV2"]
    with better_vectorizations():
        assert tensorflow_private.VECTORIZATIONS["BatchMatMulV2"] != own
        found = products(x, y)
    assert tensorflow_private.VECTORIZATIONS["BatchMatMulV2"] == own
    expected = np.matmul(
        x.swapaxes(2, 3) if adjoint_x else x,
        y.swapaxes(1, 2) if adjoint_y else y,
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # Products of a shape (samples, 1, m, k) by (1, 1, k, n) are wrong, and
    # write beyond their memory, by oneDNN 3.7 on some processors.
    graph = products.get_concrete_function(x, y).graph
    assert "BatchMatMulV2" not in {
        operation.type
        for operation in tensorflow_private.operations_within(graph)
        if not operation.name.startswith("loop_body/")
    }


def test_no_other_file_names_private_modules():
    root = pathlib.Path(keras_curvature.__file__).parent
    offenders = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in root.rglob("*.py")
        if path.name != "tensorflow_private.py"
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _imported(node)
        if name.startswith(("tensorflow.python", "keras.src"))
    ]
    assert not offenders


def _imported(node):
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return []


@pytest.mark.parametrize("runs_as_traced", [False, True])
def test_the_graph_optimizer_is_left_out_where_told_so(runs_as_traced):
    answers = [not runs_as_traced]

    @tf.function
    def function(x):
        # Asked after this was traced.
        answers.append(runs_as_traced)
        for _ in range(6):
            x = tf.tanh(x) + tf.transpose(tf.transpose(x))
        return x

    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": False}
    )
    context.enable_run_metadata()
    with tensorflow_private.optimized_unless(lambda: answers[-1]):
        function(tf.ones((2, 2)))
    graphs = context.export_run_metadata().function_graphs
    context.disable_run_metadata()
    transposes = [
        node
        for graph in graphs
        for node in graph.post_optimization_graph.node
        if node.op == "Transpose"
    ]
    # The optimizer knows that two of them cancel.
    assert len(transposes) == (12 if runs_as_traced else 0)


def test_options_of_calls_are_those_of_before_afterwards():
    before = context.context().function_call_options
    with (
        pytest.raises(ZeroDivisionError),
        tensorflow_private.optimized_unless(lambda: True),
    ):
        assert context.context().function_call_options is not before
        raise ZeroDivisionError
    assert context.context().function_call_options is before
