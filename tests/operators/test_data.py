"""Data of every kind, in batches of any size, give the same operators."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.operators import Fisher, Hessian
from tests.operators.models import distance, make

pytestmark = pytest.mark.usefixtures("float64")


class Sequence(keras.utils.PyDataset):
    def __init__(self, *arrays, size=3):
        super().__init__()
        self.arrays, self.size = arrays, size

    @property
    def num_batches(self):
        return -(-len(self.arrays[0]) // self.size)

    def __getitem__(self, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        return tuple(a[rows] for a in self.arrays)


def test_every_kind_of_data_gives_the_same_products(rng):
    model, x, y = make("mlp")
    # Digits that single precision has, too.
    x = np.round(8 * x) / 8
    weights = rng.uniform(0.5, 2, len(x))
    vector = rng.normal(size=31)
    exact = Hessian(model, x, y, weights) @ vector
    dataset = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(3)
    # One that does not know how many batches it has.
    unknown = dataset.filter(lambda *_: True)
    for data in (
        (x.astype("float32"), y.tolist(), weights.tolist()),
        (tf.constant(x), tf.constant(y), tf.constant(weights)),
        (dataset,),
        (unknown,),
        (Sequence(x, y, weights),),
    ):
        operator = Hessian(model, *data, batch_size=4)
        assert distance(operator @ vector, exact) < 1e-12
        assert distance(operator @ vector, exact) < 1e-12


def test_the_batch_size_changes_nothing_where_samples_are_masked(rng):
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            keras.layers.Embedding(5, 2, mask_zero=True),
            keras.layers.Dense(2, activation="tanh"),
        ]
    )
    # Rows with one to four steps that count.
    x = np.tril(np.ones((4, 4), "int32"))[[0, 3, 2, 1, 3]]
    y = rng.normal(size=(5, 4, 2))
    vector = rng.normal(size=16)
    whole, parts = (
        Hessian(model, x, y, loss="mse", batch_size=size) for size in (5, 2)
    )
    assert distance(parts @ vector, whole @ vector) < 1e-12
    expected = keras.losses.MeanSquaredError()(y, model(x))
    assert abs(parts.loss - float(expected)) < 1e-14


def test_chunks_of_a_batch_give_the_same_diagonal(monkeypatch):
    model, x, y = make("mlp")
    operator = Fisher(model, x, y, kind="monte_carlo")
    whole = operator.diagonal()
    monkeypatch.setattr(
        "keras_curvature.operators._sample_diagonal._ENTRIES", 31 * 3 * 2
    )
    assert distance(operator.diagonal(), whole) < 1e-12


def test_products_are_at_the_weights_that_the_model_has(rng):
    model, x, y = make("mlp")
    operator = Hessian(model, x, y)
    vector = rng.normal(size=31)
    operator @ vector
    before = operator.loss
    weights = model.trainable_variables[0]
    weights.assign(2 * weights)
    fresh = Hessian(model, x, y)
    assert distance(operator @ vector, fresh @ vector) < 1e-12
    assert operator.loss == fresh.loss != before


def test_a_loss_in_single_precision_is_the_same_in_each_pass(rng):
    model, x, y = make("mlp")
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, dtype="float32"
    )
    vector = rng.normal(size=31)
    exact = Hessian(model, x, y) @ vector
    single = Hessian(model, x, y, loss=loss, batch_size=3)
    assert 1e-10 < distance(single @ vector, exact) < 1e-5


def test_a_model_without_weights_is_built_by_the_data():
    model = keras.Sequential([keras.layers.Dense(2)])
    operator = Hessian(model, np.ones((5, 3)), np.ones((5, 2)), loss="mse")
    assert operator.shape == (8, 8)


def test_progress_is_shown_in_each_pass(capsys):
    model, x, y = make("mlp")
    operator = Hessian(model, x, y, batch_size=3, verbose=1)
    operator @ np.ones(31)
    assert "3/3" in capsys.readouterr().out


def test_xla_draws_the_same_targets_and_gives_the_same_products(rng):
    model, x, y = make("mlp")
    plain, compiled = (
        Fisher(model, x, y, kind="monte_carlo", jit_compile=jit)
        for jit in (False, True)
    )
    vectors = rng.normal(size=31)
    assert distance(compiled @ vectors, plain @ vectors) < 1e-12


class Counting(keras.layers.Layer):
    """Counts its calls in Python, of which a trace has one or two."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs


def test_many_batches_of_a_size_have_a_trace_and_all_others_one_more(rng):
    counting = Counting()
    model = keras.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.Dense(2, activation="tanh"),
            counting,
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    # Nine batches of two, the last of longer sequences, and three of others.
    ends = np.cumsum([0, 1, *[2] * 9, 3, 4])
    parts = [
        (
            rng.normal(size=(b - a, 3 + (a == 17), 2)),
            rng.normal(size=(b - a, 2)),
        )
        for a, b in itertools.pairwise(ends)
    ]

    def batches():
        yield from parts

    signature = (
        tf.TensorSpec((None, None, 2), tf.float64),
        tf.TensorSpec((None, 2), tf.float64),
    )
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    operator = Hessian(model, data, loss="mse")
    vector = rng.normal(size=6)
    expected = sum(
        len(y) / ends[-1] * (Hessian(model, x, y, loss="mse") @ vector)
        for x, y in parts
    )
    before = operator.loss and counting.calls
    assert distance(operator @ vector, expected) < 1e-12
    traces = counting.calls - before
    assert distance(operator @ vector, expected) < 1e-12
    assert counting.calls - before == traces <= 3
