"""Elastic weight consolidation against closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_curvature.uncertainty import ElasticWeightConsolidation

STRUCTURES = ("diagonal", "kron")


def line(**options):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, name="line", **options)]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.fixture
def tasks(float64, rng):
    x = rng.normal(size=(2, 40, 3))
    y = np.stack([x[0] @ [[1.0], [2.0], [0.0]], x[1] @ [[0.0], [1.0], [3.0]]])
    return x, y


def information(structure, x):
    """The Fisher information of a line under the mean squared error."""
    rows = np.concatenate([x, np.ones((len(x), 1))], 1)
    matrix = 2 * rows.T @ rows / len(x)
    return np.diag(np.diag(matrix)) if structure == "diagonal" else matrix


def flat(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


@pytest.mark.parametrize("structure", STRUCTURES)
def test_penalties_of_tasks_add_up(structure, tasks):
    x, y = tasks
    model = line(kernel_regularizer=keras.regularizers.L2(0.25))
    consolidation = ElasticWeightConsolidation(5.0, structure=structure)
    anchors = []
    for k in range(2):
        model.set_weights([np.full((3, 1), 1.0 + k), np.array([0.5 * k])])
        anchors.append(flat(model))
        consolidation.consolidate(model, x[k], y[k])
    model.set_weights([np.array([[0.3], [-1.0], [2.0]]), np.array([0.7])])
    moved = [flat(model) - anchor for anchor in anchors]
    expected = 2.5 * sum(
        d @ information(structure, x[k]) @ d for k, d in enumerate(moved)
    )
    np.testing.assert_allclose(consolidation.penalty(), expected, rtol=1e-10)
    # The regularizer of the layer counts as before.
    own = 0.25 * np.sum(model.get_weights()[0] ** 2)
    np.testing.assert_allclose(
        float(sum(model.losses)), expected + own, rtol=1e-10
    )
    consolidation.release(model)
    np.testing.assert_allclose(float(sum(model.losses)), own, rtol=1e-12)
    assert consolidation.tasks == 0


@pytest.mark.parametrize("jit", [False, True], ids=["plain", "jit"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_fit_ends_at_the_minimum_of_both(structure, jit, tasks):
    x, y = tasks
    model = line()
    model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=jit)
    # A function for steps without the penalty is there already.
    model.fit(x[0], y[0], batch_size=40, epochs=1, verbose=0)
    anchor = flat(model)
    consolidation = ElasticWeightConsolidation(2.0, structure=structure)
    consolidation.consolidate(model, x[0], y[0])
    steps = tf.data.Dataset.from_tensors((x[1], y[1])).repeat(400)
    model.fit(steps, verbose=0)
    held = 2.0 * information(structure, x[0])
    rows = np.concatenate([x[1], np.ones((40, 1))], 1)
    both = 2 * rows.T @ rows / 40 + held
    expected = np.linalg.solve(
        both, 2 * rows.T @ y[1][:, 0] / 40 + held @ anchor
    )
    np.testing.assert_allclose(flat(model), expected, rtol=1e-6)


def test_empirical_fisher_is_the_mean_of_squared_gradients(float64, rng):
    x, labels = rng.normal(size=(12, 3)), rng.integers(0, 2, 12)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    squares = 0.0
    for k in range(12):
        with tf.GradientTape() as tape:
            value = loss(labels[k : k + 1], model(x[k : k + 1]))
        rows = tape.gradient(value, model.trainable_variables)
        squares += np.concatenate([np.ravel(r) for r in rows]) ** 2 / 12
    consolidation = ElasticWeightConsolidation(fisher="empirical")
    consolidation.consolidate(model, x, labels, batch_size=5)
    model.set_weights([w + 0.1 for w in model.get_weights()])
    np.testing.assert_allclose(
        consolidation.penalty(), 0.5 * 0.01 * squares.sum(), rtol=1e-10
    )


def test_a_model_of_shared_layers_is_held_too(tasks):
    x, y = tasks
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(2, name="hidden")(inputs)
    heads = [
        keras.Model(inputs, keras.layers.Dense(1)(hidden)) for _ in range(2)
    ]
    for model in heads:
        model.compile("sgd", "mse")
    consolidation = ElasticWeightConsolidation(3.0)
    consolidation.consolidate(heads[0], x[0], y[0], layers="hidden")
    assert float(sum(heads[1].losses)) == 0
    heads[1].layers[1].bias.assign_add([0.2, 0.0])
    assert float(sum(heads[1].losses)) == consolidation.penalty() > 0


@pytest.mark.parametrize("structure", STRUCTURES)
def test_saved_beside_the_model_it_holds_the_same(structure, tasks, tmp_path):
    x, y = tasks
    model = line()
    consolidation = ElasticWeightConsolidation(3.0, structure=structure)
    consolidation.consolidate(model, x[0], y[0])
    model.layers[0].bias.assign_add([0.2])
    model.save(tmp_path / "model.keras")
    consolidation.save(tmp_path / "penalty.npz")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert not again.losses
    loaded = ElasticWeightConsolidation.load(tmp_path / "penalty.npz", again)
    assert loaded.tasks == 1
    assert loaded.penalty() == consolidation.penalty()
    assert float(sum(again.losses)) == consolidation.penalty()
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"without .*line/kernel"):
        ElasticWeightConsolidation.load(tmp_path / "penalty.npz", other)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"strength": -1.0}, "strength"),
        ({"structure": "full"}, "structure"),
        ({"fisher": "true"}, "fisher"),
    ],
    ids=["strength", "structure", "fisher"],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ElasticWeightConsolidation(**options)


def test_a_loss_without_likelihood_is_refused(tasks):
    x, y = tasks
    model = line()
    model.compile("sgd", "mae")
    with pytest.raises(ValueError, match="likelihood"):
        ElasticWeightConsolidation().consolidate(model, x[0], y[0])


def test_two_consolidations_have_their_own_strengths(tasks):
    x, y = tasks
    model = line()
    both = [ElasticWeightConsolidation(strength) for strength in (2.0, 30.0)]
    for k, consolidation in enumerate(both):
        consolidation.consolidate(model, x[k], y[k])
    anchor = flat(model)
    model.set_weights([w + 1.0 for w in model.get_weights()])
    moved = flat(model) - anchor
    expected = [
        c.strength / 2 * moved @ information("diagonal", x[k]) @ moved
        for k, c in enumerate(both)
    ]
    np.testing.assert_allclose(
        float(sum(model.losses)), sum(expected), rtol=1e-10
    )
    both[0].release(model)
    np.testing.assert_allclose(
        float(sum(model.losses)), expected[1], rtol=1e-10
    )
    both[1].release(model)
    assert not model.losses
    with pytest.raises(AttributeError):
        both[1].strength = 3.0


def test_weights_of_another_shape_are_named(tasks, tmp_path):
    x, y = tasks
    consolidation = ElasticWeightConsolidation()
    consolidation.consolidate(line(), x[0], y[0])
    consolidation.save(tmp_path / "tasks.npz")
    wide = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, name="line")]
    )
    with pytest.raises(ValueError, match="shapes"):
        ElasticWeightConsolidation.load(tmp_path / "tasks.npz", wide)
