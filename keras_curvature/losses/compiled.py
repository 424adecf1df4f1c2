"""What `compile(loss=...)` makes of a loss.

Keras resolves a loss against the outputs when it is first computed (names,
nested structures, `"crossentropy"`), and keeps what it found to itself: these
are private names of Keras. tests/training/test_training_step.py says what
broke when Keras moves them.
"""

import keras


def compiled_losses(model, targets, outputs, sample_weight):
    """What the compiled loss passes to each loss of `compile`.

    Returns:
        List of `(loss, target, output, sample weight, loss weight)`.
    """
    compiled = model._compile_loss
    if compiled is None:
        return []
    if not compiled.built:
        # Keras resolves the losses when it first computes them.
        compiled(targets, outputs, sample_weight)
    # Keras pairs outputs with targets and weights by many rules (names, order,
    # nesting, missing targets). A copy whose losses only record what they are
    # called with follows all of them.
    calls = []

    def recorder(entry):
        def record(target, output, weight):
            calls.append(
                (entry.loss, target, output, weight, entry.loss_weights)
            )
            return 0.0

        return entry._replace(loss=record)

    # copy.copy() would save it to a file and load it.
    recording = object.__new__(type(compiled))
    vars(recording).update(vars(compiled))
    recording._flat_losses = [recorder(e) for e in compiled._flat_losses]
    recording._metrics = [None] * len(recording._flat_losses)
    recording(targets, outputs, sample_weight)
    if not keras.tree.is_nested(outputs) and not keras.tree.is_nested(targets):
        # Of several losses of a single output Keras returns the first.
        return calls[:1]
    return calls


def compiled_with(model, loss=None, loss_weights=None):
    """A model without layers that is compiled with a loss for another one.

    Keras builds a compiled loss when it is first computed; that of `model`
    stays as it is.

    Args:
        model: The `keras.Model` whose outputs the loss takes.
        loss: As in `compile`. Defaults to the loss that `model` has.
        loss_weights: As in `compile`. Defaults to those that `model` has,
            where `loss` is None.
    """
    compiled = getattr(model, "_compile_loss", None)
    if loss is None and compiled is not None:
        loss = compiled._user_loss
        loss_weights = compiled._user_loss_weights
    holder = keras.Model()
    if hasattr(model, "output_names"):
        holder.output_names = model.output_names
    holder.compile(loss=loss, loss_weights=loss_weights)
    return holder
