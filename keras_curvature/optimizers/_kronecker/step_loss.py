"""What a training step shows of its loss, for the Fisher information."""

from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.operators.kronecker.likelihood import Likelihood
from keras_curvature.operators.kronecker.recognized_losses import (
    recognized_terms,
)


def likelihood_of_step(optimizer, seen_loss):
    """The `Likelihood` of the step that is traced.

    Args:
        optimizer: Named in errors.
        seen_loss: The loss without its scale, or None where it was not seen.

    Raises:
        RuntimeError: if the step is eager, or shows no loss that is known.
    """
    tape = CurvatureTape.current()
    step = None if tape is None else tape.training_step
    if step is not None:
        _refuse_eager(optimizer, step.loss)
        with tape.stop_recording():
            return Likelihood(step.loss_terms())
    if seen_loss is None:
        raise RuntimeError(_NOT_SEEN.format(name=optimizer.name))
    _refuse_eager(optimizer, seen_loss)
    terms = recognized_terms(seen_loss)
    if not terms:
        raise RuntimeError(_NOT_RECOGNIZED.format(name=optimizer.name))
    return Likelihood(terms)


def _refuse_eager(optimizer, loss):
    if not hasattr(loss, "graph"):
        raise RuntimeError(
            f"{optimizer.name} finds the layers of the model in the graph of "
            "its training step. Received: a step in eager mode. Compile the "
            "model with run_eagerly=False, or write the training loop in a "
            "`tf.function`."
        )


_NOT_SEEN = (
    "{name} draws labels from the outputs of the model, which it finds in the "
    "graph of the loss, so it must see the loss of each step: "
    "`optimizer.scale_loss(loss)` must be called inside the tape before "
    "`optimizer.apply`. Received: no loss. `model.fit` calls it, unless Keras "
    "wraps the optimizer in a LossScaleOptimizer, as under the dtype policy "
    "'mixed_float16': build such a model with keras_curvature.Model or "
    "Sequential. In a training loop of your own, write "
    "`loss = optimizer.scale_loss(loss)`."
)
_NOT_RECOGNIZED = (
    "{name} knows the Fisher information of the losses mean_squared_error, "
    "binary_crossentropy, categorical_crossentropy and "
    "sparse_categorical_crossentropy, of logits or after a Keras sigmoid or "
    "softmax, where they are all that the loss takes from the outputs. "
    "Received: another loss, or one with further terms of the outputs. Build "
    "the model with keras_curvature.Model or Sequential, which show the "
    "optimizer the losses given to compile(), those of "
    "keras_curvature.losses.register_loss included."
)
