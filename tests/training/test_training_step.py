"""What a training step leaves for optimizers, against Keras's own loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_curvature
from keras_curvature.training import TrainingStep

DENSE = keras.layers.Dense
RNG = np.random.default_rng(2)
X = RNG.normal(size=(4, 2))
A, B = RNG.normal(size=(2, 4, 1))
WEIGHT, OTHER = RNG.uniform(0.5, 2, (2, 4))


def two_headed(structure):
    """A model with the outputs `b` and `a`, not in alphabetical order."""
    inputs = keras.Input((2,))
    first, second = DENSE(1, name="b")(inputs), DENSE(1, name="a")(inputs)
    return keras_curvature.Model(inputs, structure(first, second))


def as_list(b, a):
    return [b, a]


def as_dict(b, a):
    return {"b": b, "a": a}


def as_nested(b, a):
    return {"inner": {"b": b}, "a": a}


def step_of(model, y, sample_weight=None, x=X):
    outputs = model(x, training=True)
    loss = model.compute_loss(x, y, outputs, sample_weight)
    return TrainingStep(model, x, y, outputs, sample_weight, loss)


BOTH = {"b": "mse", "a": "huber"}
# Structure of the outputs, losses, further options of compile, y, weights.
STRUCTURES = {
    "lists": (as_list, ["mse", "huber"], {}, [B, A], None),
    "list, loss by name": (as_list, BOTH, {}, [B, A], None),
    "list, targets by name": (as_list, BOTH, {}, {"a": A, "b": B}, None),
    "tuple of targets": (as_list, ["mse", "huber"], {}, (B, A), None),
    "dicts": (as_dict, BOTH, {}, {"a": A, "b": B}, None),
    "dict, one loss": (as_dict, "mse", {}, {"a": A, "b": B}, None),
    "nested": (
        as_nested,
        {"inner": {"b": "mse"}, "a": "huber"},
        {},
        {"inner": {"b": B}, "a": A},
        None,
    ),
    "weights of each output": (
        as_list,
        ["mse", "huber"],
        {"loss_weights": [0.3, 2.0]},
        [B, A],
        [WEIGHT, OTHER],
    ),
    "weights by name": (
        as_dict,
        BOTH,
        {"loss_weights": {"b": 0.3, "a": 2.0}},
        {"a": A, "b": B},
        {"a": OTHER, "b": WEIGHT},
    ),
    "one weight for all outputs": (
        as_list,
        ["mse", "huber"],
        {},
        [B, A],
        WEIGHT,
    ),
    "an output without loss": (
        as_list,
        [None, "huber"],
        {},
        [B, A],
        [WEIGHT, OTHER],
    ),
    "neither loss nor targets": (as_list, [None, "huber"], {}, [A], None),
    "a name without loss": (as_dict, {"a": "huber"}, {}, {"a": A}, None),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_terms_add_up_to_the_loss_of_keras(name, float64):
    structure, losses, options, y, weight = STRUCTURES[name]
    model = two_headed(structure)
    model.compile("sgd", losses, **options)
    step = step_of(model, y, weight)
    terms = step.loss_terms()
    flat = [id(output) for output in keras.tree.flatten(step.outputs)]
    assert all(id(term.output) in flat for term in terms)
    total = sum(term.value() for term in terms)
    np.testing.assert_allclose(total, step.loss, rtol=1e-12)


def test_terms_leave_the_running_losses_of_keras_alone(float64):
    model = two_headed(as_list)
    model.compile("sgd", ["mse", "huber"])
    step = step_of(model, [B, A])
    before = [v.numpy() for v in model._compile_loss.variables]
    step.loss_terms()
    after = [v.numpy() for v in model._compile_loss.variables]
    assert before
    np.testing.assert_array_equal(before, after)


def single(*layers):
    model = keras_curvature.Sequential([keras.Input((2,)), *layers])
    return model


def test_a_step_before_the_first_loss_has_terms_too(float64):
    model = single(DENSE(1))
    model.compile("sgd", "mse")
    (term,) = TrainingStep(model, X, A, model(X), None, None).loss_terms()
    assert term.function is keras.losses.mean_squared_error
    np.testing.assert_allclose(
        term.value(), np.mean((model(X) - A) ** 2), rtol=1e-12
    )


def test_of_several_losses_of_one_output_the_first_counts_as_in_keras(float64):
    model = single(DENSE(1))
    model.compile("sgd", ["mse", "huber"])
    step = step_of(model, A)
    (term,) = step.loss_terms()
    np.testing.assert_allclose(term.value(), step.loss, rtol=1e-12)


def test_regularizers_and_added_losses_are_no_terms(float64):
    model = single(
        DENSE(1, kernel_regularizer="l2"),
        keras.layers.ActivityRegularization(l2=0.5),
    )
    model.compile("sgd", "mse")
    step = step_of(model, A)
    (term,) = step.loss_terms()
    expected = np.mean((step.outputs - A) ** 2)
    np.testing.assert_allclose(term.value(), expected, rtol=1e-12)
    assert step.loss > term.value()


def test_masks_of_the_outputs_reach_the_terms(float64):
    inputs = keras.Input((3, 2))
    outputs = DENSE(1)(keras.layers.Masking()(inputs))
    model = keras_curvature.Model(inputs, outputs)
    model.compile("sgd", "mse")
    x = np.ones((2, 3, 2))
    x[0, 1:] = 0
    (term,) = step_of(model, np.zeros((2, 3, 1)), x=x).loss_terms()
    valid = [[1, 0, 0], [1, 1, 1]]
    np.testing.assert_allclose(
        term.coefficients(), np.divide(valid, 4), rtol=1e-14
    )


def test_forward_computes_in_training_mode(float64):
    model = single(keras.layers.BatchNormalization())
    model.compile("sgd", "mse")
    step = step_of(model, A)
    for x in (X, 3 * X):
        centered = x - x.mean(0)
        expected = centered / np.sqrt(centered.var(0) + 1e-3)
        outputs = step.forward() if x is X else step.forward(x)
        np.testing.assert_allclose(outputs, expected, rtol=1e-10)


def test_forward_calls_a_model_without_training_argument(float64):
    class Plain(keras_curvature.Model):
        def call(self, x):
            return 2 * x

    model = Plain()
    model.compile("sgd", "mse")
    np.testing.assert_array_equal(step_of(model, A).forward(), 2 * X)


def test_other_outputs_have_other_losses(float64):
    model = single(DENSE(1))
    model.compile("sgd", "mse")
    step = step_of(model, A)
    changed = step.with_outputs(tf.constant(B))
    (term,) = changed.loss_terms()
    np.testing.assert_allclose(term.value(), np.mean((B - A) ** 2), rtol=1e-12)
    assert changed.loss is None and changed.inputs is X
    assert step.outputs is not changed.outputs and step.loss is not None


def test_a_model_without_a_loss_is_refused():
    model = single(DENSE(1))
    model.compile("sgd")
    step = TrainingStep(model, X, A, model(X), None, None)
    with pytest.raises(ValueError, match=r"`loss` must be given to compile"):
        step.loss_terms()


def test_a_loss_of_several_outputs_is_refused():
    class OfBoth(keras.losses.Loss):
        def call(self, y_true, y_pred):
            errors = [y_pred[key] - y_true[key] for key in ("a", "b")]
            return keras.ops.mean(sum(errors) ** 2, axis=-1)

    inputs = keras.Input((2,))
    outputs = {"a": DENSE(1)(inputs), "b": DENSE(1)(inputs)}
    model = keras_curvature.Model(inputs, {"pair": outputs})
    model.compile("sgd", {"pair": OfBoth()})
    step = step_of(model, {"pair": {"a": A, "b": B}})
    with pytest.raises(ValueError, match="one output tensor at a time"):
        step.loss_terms()


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_probabilities_taken_for_logits_are_refused(activation):
    model = single(DENSE(2, activation=activation))
    losses = {
        "sigmoid": keras.losses.BinaryCrossentropy,
        "softmax": keras.losses.CategoricalCrossentropy,
    }
    model.compile("sgd", losses[activation](from_logits=True))
    y = np.eye(2)[[0, 1, 1, 0]]
    step = TrainingStep(model, X, y, model(X), None, None)
    with pytest.warns(UserWarning, match="from_logits=True"):
        step.model.compute_loss(X, y, step.outputs)
    with pytest.raises(ValueError, match="must be logits"):
        step.loss_terms()
    model.compile("sgd", losses[activation]())
    assert not step_of(model, y).loss_terms()[0].from_logits
