"""Cross-entropy whose labels depend on the weights.

SoftmaxCrossEntropyWithLogits returns the loss and its gradient by the logits,
p − labels. TensorFlow differentiates that gradient by the logits only; by the
labels it is −1.
"""


def softmax_cross_entropy(operation, *cotangents, registered):
    """TensorFlow's gradient, and the missing derivative by the labels."""
    by_logits, by_labels = registered(operation, *cotangents)
    gradient_cotangent = cotangents[1]
    unneeded = getattr(operation, "skip_input_indices", None) or ()
    if gradient_cotangent is not None and 1 not in unneeded:
        by_labels -= gradient_cotangent
    return by_logits, by_labels
