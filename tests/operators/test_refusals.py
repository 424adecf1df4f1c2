"""What cannot be right is refused, and the error says what to do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.operators import (
    Fisher,
    GaussNewton,
    Hessian,
    Jacobian,
    KroneckerFactored,
)

x = np.linspace(-1, 1, 12).reshape(6, 2).astype("float32")
y = x[:, :1]


def net(*more):
    return keras.Sequential(
        [keras.Input((2,)), *more, keras.layers.Dense(1, name="last")]
    )


def test_bad_arguments_are_named():
    model = net()
    infinite = tf.data.Dataset.from_tensors((x, y)).repeat()
    for message, call in {
        "`model` must be": lambda: Hessian(model.call, x, y, loss="mse"),
        "`layers` must hold .*'first'.*/last": lambda: Hessian(
            model, x, y, loss="mse", layers="first"
        ),
        "`layers` must be the name": lambda: Hessian(
            model, x, y, loss="mse", layers=[model.layers[0]]
        ),
        "list of at least one": lambda: Hessian(
            model, x, y, loss="mse", layers=[]
        ),
        "`y` must hold the targets": lambda: Hessian(model, x, loss="mse").loss,
        "A list of lists is several arrays": lambda: Hessian(
            model, x.tolist(), y, loss="mse"
        ),
        "`factor` must be a finite number": lambda: (
            np.nan * Hessian(model, x, y, loss="mse")
        ),
        "must be dense. Received: a RaggedTensor": lambda: Hessian(
            model, tf.ragged.constant([[1.0], [2.0, 3.0]]), y, loss="mse"
        ),
        "same number of samples": lambda: Hessian(model, x, y[:3], loss="mse"),
        "`batch_size` must be": lambda: Hessian(
            model, x, y, loss="mse", batch_size=0
        ),
        "`training` must be": lambda: Hessian(model, x, y, training=None),
        "must have an end": lambda: Hessian(model, infinite, loss="mse"),
        "`y` and `sample_weight` must be None": lambda: Hessian(
            model, infinite.take(1), y, loss="mse"
        ),
        "gone through more than once": lambda: Hessian(
            model, iter([(x, y)]), loss="mse"
        ),
        "axis of samples": lambda: Hessian(model, x[0, 0], y, loss="mse"),
        "belong to a given `loss`": lambda: Hessian(
            model, x, y, loss_weights=[1.0]
        ),
        "`kind` must be one of": lambda: Fisher(model, x, y, kind="true"),
        "`mc_samples` must be": lambda: Fisher(model, x, y, mc_samples=0),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_vectors_of_another_shape_or_kind_are_refused():
    operator = Hessian(net(), x, y, loss="mse")
    for vector in (np.ones(4), np.ones((3, 2, 1)), np.float32(1.0)):
        with pytest.raises(ValueError, match=r"of shape \(3, 3\) multiplies"):
            operator @ vector
    with pytest.raises(ValueError, match="real numbers"):
        operator @ np.ones(3, complex)
    with pytest.raises(ValueError, match="one tensor for each variable"):
        operator @ [np.ones((2, 1))]
    with pytest.raises(TypeError):
        operator + 1.0
    with pytest.raises(ValueError, match="over the same variables"):
        operator + operator.block("last/kernel")


def test_a_model_without_a_loss_is_refused():
    with pytest.raises(ValueError, match="`loss`"):
        Hessian(net(), x, y) @ np.ones(3)


def test_random_layers_are_named_in_training_mode_only():
    model = net(keras.layers.Dropout(0.5, name="noise"))
    plain = Hessian(net(), x, y, loss="mse").diagonal()
    diagonal = Hessian(model, x, y, loss="mse").diagonal()
    np.testing.assert_allclose(diagonal, plain, rtol=1e-6)
    operator = Hessian(model, x, y, loss="mse", training=True)
    with pytest.raises(ValueError, match="random numbers drawn in noise"):
        operator @ np.ones(3)


@keras.saving.register_keras_serializable(package="tests")
class Noise(keras.layers.Layer):
    """Random numbers that no seed of Keras tells of."""

    def call(self, inputs):
        return inputs * tf.random.uniform(tf.shape(inputs))


def test_a_model_that_differs_from_pass_to_pass_is_detected():
    operator = GaussNewton(net(Noise()), x, y, loss="mse")
    with pytest.raises(ValueError, match="the same in each pass"):
        operator @ np.ones(3)
    with pytest.raises(ValueError, match="the same in each pass"):
        Jacobian(net(Noise()), x) @ np.ones(3)


def test_data_that_change_are_detected():
    changing = x.copy()
    operator = Hessian(net(), changing, y, loss="mse")
    operator @ np.ones(3)
    changing[0] += 1
    with pytest.raises(ValueError, match="a data set that changes"):
        operator @ np.ones(3)


def test_shuffled_data_are_refused_where_their_order_counts():
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(6, seed=1)
    data = data.batch(6)
    hessian = Hessian(net(), data, loss="mse")
    np.testing.assert_allclose(
        hessian @ np.ones(3), hessian @ np.ones(3), rtol=1e-5
    )
    fisher = Fisher(net(), data, kind="monte_carlo", loss="mse")
    for operator in (fisher, Jacobian(net(), data)):
        operator @ np.ones(3)
        with pytest.raises(ValueError, match="in the same order"):
            operator @ np.ones(3)


def test_products_that_are_not_finite_are_refused():
    operator = Hessian(net(), x, y, loss="mse")
    with pytest.raises(ValueError, match="vector that was multiplied"):
        operator @ np.full(3, np.nan)
    broken = x.copy()
    broken[0] = np.nan
    with pytest.raises(ValueError, match=r"the product is, in \S*last/kernel"):
        Hessian(net(), broken, y, loss="mse") @ np.ones(3)
    with pytest.raises(ValueError, match=r"factors must be finite.*last/kern"):
        KroneckerFactored(net(), broken, y, loss="mse").diagonal()
    weights = np.array([-1.0, 1, 1, 1, 1, 1])
    fisher = Fisher(net(), x, y, weights, kind="empirical", loss="mse")
    for compute in (lambda: fisher @ np.ones(3), fisher.diagonal):
        with pytest.raises(ValueError, match="negative sample weights"):
            compute()


def test_a_loss_without_a_likelihood_has_no_fisher_information():
    for kind in ("exact", "monte_carlo"):
        fisher = Fisher(net(), x, y, kind=kind, loss="huber")
        with pytest.raises(ValueError, match="Received: huber"):
            fisher @ np.ones(3)
    # It has gradients.
    Fisher(net(), x, y, kind="empirical", loss="huber") @ np.ones(3)


def test_a_loss_that_averages_the_batch_itself_takes_one_batch():
    def total(y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2)

    plain = Hessian(net(), x, y, loss="mse").to_dense()
    whole = Hessian(net(), x, y, loss=total)
    np.testing.assert_allclose(whole.to_dense(), plain, rtol=1e-5)
    parts = Hessian(net(), x, y, loss=total, batch_size=4)
    with pytest.raises(ValueError, match="a value for each sample"):
        parts @ np.ones(3)


def test_weights_that_the_loss_does_not_depend_on_are_named():
    inputs = keras.Input((2,))
    used = keras.layers.Dense(1, name="used")(inputs)
    other = keras.layers.Dense(1, name="unused")(inputs)
    model = keras.Model(inputs, {"used": used, "other": other})
    targets = {"used": y}
    operator = Hessian(model, x, targets, loss={"used": "mse"})
    with pytest.raises(ValueError, match="no gradient for unused"):
        operator @ np.ones(6)
    Hessian(model, x, targets, loss={"used": "mse"}, layers="used") @ np.ones(3)


def test_half_precision_is_refused():
    keras.config.set_dtype_policy("mixed_float16")
    with pytest.raises(ValueError, match="float16 in layer last"):
        Hessian(net(), x, y, loss="mse")
