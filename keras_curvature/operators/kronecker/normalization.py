"""The scale of a normalization whose statistics are those of the batch."""

from keras_curvature.operators.kronecker.elementwise import (
    ElementwiseUse,
    aligned_shape,
)


class BatchNormalizationScale(ElementwiseUse):
    """z = a·v + (β − μ·v) with v = γ/σ: ∂/∂γ = (a − μ)/σ.

    The product γ/σ has no axis for the samples; the sum z has.
    """

    def __init__(self, layout, output, weight_shape, inputs):
        super().__init__(layout, output, weight_shape)
        self._values, self._mean, self._sign, self._inverse = inputs

    @classmethod
    def match(cls, use, forward):
        if use.operation.type != "Mul":
            return None
        scale = use.operation.outputs[0]
        inverse = use.operation.inputs[1 - use.position]
        products = forward.consumers(scale)
        if any(product.type != "Mul" for product in products):
            return None
        shape = use.layout.viewed_shape
        of_batch = [p for p in products if aligned_shape(shape, p.outputs[0])]
        of_mean = [p for p in products if p not in of_batch]
        if len(of_batch) != 1 or len(of_mean) != 1:
            return None
        total = forward.only_consumer(of_batch[0].outputs[0])
        if total is None or total.type not in ("Add", "AddV2"):
            return None
        shift = _other(total, of_batch[0].outputs[0])
        sign = _sign(shift, of_mean[0].outputs[0], forward)
        if sign is None:
            return None
        output = total.outputs[0]
        values = _other(of_batch[0], scale)
        mean = _other(of_mean[0], scale)
        aligned = aligned_shape(shape, output)
        return cls(use.layout, output, aligned, (values, mean, sign, inverse))

    def _derivative(self, cotangent):
        centered = self._values + self._sign * self._mean
        return cotangent * centered * self._inverse


def _other(operation, tensor):
    left, right = operation.inputs
    return right if left is tensor else left


def _sign(shift, product, forward):
    """The sign of the product in the shift; None unless that is all of it."""
    if shift is product:
        return 1
    consumer = forward.only_consumer(product)
    is_subtracted = (
        consumer is shift.op
        and consumer.type == "Sub"
        and consumer.inputs[1] is product
    )
    return -1 if is_subtracted else None
