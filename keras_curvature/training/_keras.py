"""The only function of this package that uses private Keras names.

Keras resolves `compile(loss=...)` against the outputs when the loss is first
computed (names, nested structures, `"crossentropy"`), and keeps what it found
to itself. tests/training/test_training_step.py says what broke when Keras
moves it.
"""


def compiled_losses(model):
    """`(path of the output, keras.losses.Loss, loss weight)` of each loss."""
    compiled = model._compile_loss
    if compiled is None:
        return []
    return [
        (term.path, term.loss, term.loss_weights)
        for term in compiled._flat_losses
    ]
