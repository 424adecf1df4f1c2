"""Small models with data, and dense matrices of theirs by nested tapes."""

import keras
import numpy as np
import tensorflow as tf

from tests.oracles import dense_hessian, values_of

SAMPLES = 7
layers = keras.layers


def mlp():
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, activation="tanh", kernel_regularizer="l2"),
            layers.Dense(3),
        ]
    )


def cnn():
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(2, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("tanh"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def residual():
    first, second = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    hidden = layers.Dense(3, activation="tanh")(first)
    hidden = layers.Add()([hidden, second, layers.Dense(3)(hidden)])
    return keras.Model(
        {"a": first, "b": second}, layers.Dense(3, activation="silu")(hidden)
    )


def shared():
    inputs = keras.Input((3,))
    layer = layers.Dense(3, activation="tanh")
    return keras.Model(inputs, layer(layer(inputs)))


def lstm():
    return keras.Sequential(
        [keras.Input((2, 1)), layers.LSTM(1), layers.Dense(3)]
    )


def attention():
    inputs = keras.Input((3, 2))
    attended = layers.MultiHeadAttention(1, 2)(inputs, inputs)
    normalized = layers.LayerNormalization()(layers.Add()([inputs, attended]))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(normalized)))


def embedding():
    return keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            layers.Embedding(5, 2),
            layers.Flatten(),
            layers.Dense(3, activation="tanh"),
        ]
    )


MODELS = {
    f.__name__: f
    for f in (mlp, cnn, residual, shared, lstm, attention, embedding)
}


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make(name, samples=SAMPLES):
    """A compiled model in float64, its inputs and labels of three classes."""
    model = MODELS[name]()
    random = np.random.default_rng(1)

    def data(tensor):
        shape = (samples, *tensor.shape[1:])
        if "int" in tensor.dtype:
            return random.integers(0, 5, shape)
        return random.normal(size=shape)

    x = {tensor.name: data(tensor) for tensor in model.inputs}
    if len(x) == 1:
        (x,) = x.values()
    for variable in model.trainable_variables:
        # Biases and scales other than 0 and 1.
        variable.assign_add(0.3 * random.normal(size=variable.shape))
    model.compile(loss=cross_entropy())
    return model, x, random.integers(0, 3, samples)


def as_tensors(data):
    return tf.nest.map_structure(tf.convert_to_tensor, data)


def loss_of(model, x, y, training=False):
    """The loss of all data as one batch, as a function of the weights."""
    x, y = as_tensors(x), tf.convert_to_tensor(y)

    def loss():
        outputs = model(x, training=training)
        return tf.add_n([cross_entropy()(y, outputs), *model.losses])

    return loss


def dense_jacobian(model, x):
    """J of shape (samples, outputs, n)."""
    x = as_tensors(x)
    sources = values_of(model.trainable_variables)
    with tf.GradientTape(persistent=True) as tape:
        outputs = model(x, training=False)
    blocks = tape.jacobian(outputs, sources, experimental_use_pfor=False)
    shape = (len(outputs), outputs.shape[1], -1)
    return np.concatenate(
        [np.reshape(tf.convert_to_tensor(b), shape) for b in blocks], 2
    )


def dense_gauss_newton(model, x):
    """Σ J'(diag p − p·p')·J / N for the cross-entropy of logits."""
    jacobian = dense_jacobian(model, x)
    p = tf.nn.softmax(model(as_tensors(x), training=False)).numpy()
    blocks = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None]
    return np.einsum("nip,nij,njq->pq", jacobian, blocks, jacobian) / len(p)


def sample_gradients(model, x, y):
    """The gradients of the losses of single samples, of shape (samples, n)."""
    jacobian = dense_jacobian(model, x)
    p = tf.nn.softmax(model(as_tensors(x), training=False)).numpy()
    return np.einsum("nip,ni->np", jacobian, p - np.eye(p.shape[1])[y])


def hessian_of(model, x, y, training=False):
    return dense_hessian(
        loss_of(model, x, y, training), model.trainable_variables
    )


def distance(ours, theirs):
    """The largest difference, relative to the largest entry."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()
