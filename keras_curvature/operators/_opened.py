"""The weights, the loss and the passes that every matrix of a model needs."""

from keras_curvature._checks import checked_flag
from keras_curvature.operators._batches import Batches
from keras_curvature.operators._flat import FlatVectors
from keras_curvature.operators._layers import weights_of_layers
from keras_curvature.operators._passes import Passes
from keras_curvature.operators._refusals import (
    refuse_narrow,
    refuse_training,
    refuse_unsuited,
    strategy_of,
)


def opened(
    model,
    data,
    make_loss,
    *,
    layers=None,
    training=False,
    batch_size=256,
    verbose=0,
    ordered=False,
):
    """The weights of chosen layers, and passes over data.

    Args:
        model: `keras.Model`, which is built where it is not.
        data: Tuple of x, y and sample weights: see `Hessian`.
        make_loss: Callable that maps the mode and the dtype of the loss to a
            `ModelLoss`.
        layers, training, batch_size, verbose: As for `Hessian`.
        ordered: Bool, see `Passes`.

    Returns:
        List of variables, `Passes`.
    """
    batches = Batches(*data, batch_size)
    refuse_unsuited(model)
    training = checked_flag("training", training)
    if not model.built:
        _build(model, next(iter(batches))[0])
    refuse_narrow(model)
    strategy = strategy_of(model)
    refuse_training(strategy, training)
    chosen = weights_of_layers(model.trainable_variables, layers)
    variables = [model.trainable_variables[k] for k in chosen]
    model_loss = make_loss(training, FlatVectors(variables).dtype)
    return variables, Passes(
        model_loss, batches, bool(verbose), ordered, strategy
    )


def _build(model, inputs):
    if model.distribute_strategy is None:
        model(inputs)
        return
    with model.distribute_strategy.scope():
        model(inputs)
