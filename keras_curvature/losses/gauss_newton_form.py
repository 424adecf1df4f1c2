"""Losses as sums of squares, to second order in the outputs of a model."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._casting import cast


@dataclasses.dataclass(frozen=True)
class GaussNewtonForm:
    """The residuals r and the factor S of a batch's loss at its outputs.

        ∂L/∂outputs = S·r,  H_L = S·Sᵀ

    so that with A = Sᵀ·∂outputs/∂w the gradient is Aᵀr and the Gauss–Newton
    matrix AᵀA. H_L is the Hessian of the loss by the outputs, except for
      - probabilities and Poisson rates: the Fisher information, with which
        AᵀA is the Gauss–Newton matrix of their logits and logarithms;
      - Huber: the curvature of the quadratic that touches it from above,
        because a matrix without the outliers could not see their gradient.
    S is diag(scale), for logits of several classes diag(scale) − p·scaleᵀ.

    Args:
        residuals: r, tensor of shape `(batch, m)` with the m outputs of each
            sample.
        scale: Tensor of shape `(batch, m)`.
        probabilities: p, tensor of shape `(batch, m)`, 0 where S is diagonal.
        segments: Tuple of `(outputs, classes)` for each output tensor of the
            model; classes is None where S is diagonal.
    """

    residuals: tf.Tensor
    scale: tf.Tensor
    probabilities: tf.Tensor
    segments: tuple

    def gather(self, indices, weights):
        """The form of the samples at `indices`, times 0 or 1 each."""
        weights = weights[:, tf.newaxis]
        return GaussNewtonForm(
            tf.gather(self.residuals, indices) * weights,
            tf.gather(self.scale, indices) * weights,
            tf.gather(self.probabilities, indices),
            self.segments,
        )

    def push(self, jacobian):
        """Sᵀ·jacobian, for shapes `(batch, m)` and `(batch, m, n)`."""
        if self._has_classes:
            mean = self._sum_over_classes(self.probabilities, jacobian)
            jacobian = jacobian - mean
        return _times(self.scale, jacobian)

    def pull(self, vector):
        """S·vector, shape `(batch, m)`."""
        if not self._has_classes:
            return self.scale * vector
        total = self._sum_over_classes(self.scale, vector)
        return self.scale * vector - self.probabilities * total

    @property
    def _has_classes(self):
        return any(classes for _, classes in self.segments)

    def _sum_over_classes(self, weights, tensor):
        """Σ weights·tensor over the classes of each output, 0 elsewhere."""
        sums, start = [], 0
        products = _times(weights, tensor)
        rest = tensor.shape[2:]
        for width, classes in self.segments:
            part = products[:, start : start + width]
            start += width
            if classes is None:
                sums.append(tf.zeros_like(part))
                continue
            grouped = tf.reshape(part, (-1, width // classes, classes, *rest))
            grouped = tf.repeat(
                tf.reduce_sum(grouped, axis=2, keepdims=True), classes, axis=2
            )
            sums.append(tf.reshape(grouped, (-1, width, *rest)))
        return tf.concat(sums, axis=1)


def gauss_newton_form(terms, gradients):
    """The form of a loss.

    Args:
        terms: List of `LossTerm`s, one for each output.
        gradients: ∂L/∂output for each of them.

    Raises:
        ValueError: if a loss has no Gauss–Newton form here, naming it.
    """
    residuals, scales, probabilities, segments = [], [], [], []
    for term, gradient in zip(terms, gradients, strict=True):
        squared_scale, p = _factor_of(term)
        scale = tf.sqrt(
            tf.cast(
                tf.broadcast_to(squared_scale, tf.shape(gradient)),
                gradient.dtype,
            )
        )
        width = int(np.prod(gradient.shape[1:]))
        segments.append((width, None if p is None else gradient.shape[-1]))
        p = tf.zeros_like(gradient) if p is None else p
        # Where the scale is 0, so is the gradient.
        residual = tf.math.divide_no_nan(gradient, scale)
        for tensors, tensor in zip(
            (residuals, scales, probabilities),
            (residual, scale, p),
            strict=True,
        ):
            tensors.append(tf.reshape(tensor, (-1, width)))
    return GaussNewtonForm(
        tf.concat(residuals, axis=1),
        tf.concat(scales, axis=1),
        tf.concat(probabilities, axis=1),
        tuple(segments),
    )


def _times(weights, tensor):
    """The product, with `weights` the same along further axes."""
    for _ in range(tensor.shape.rank - 2):
        weights = weights[..., tf.newaxis]
    return weights * tensor


def _factor_of(term):
    """`(scale², probabilities or None)` for the outputs of one loss."""
    factor = _FACTORS.get(term.function)
    if factor is None:
        name = getattr(term.function, "__name__", term.loss.name)
        names = ", ".join(sorted(f.__name__ for f in _FACTORS))
        raise ValueError(
            "`loss` must be one with a Gauss-Newton form: "
            f"{names}. Received: {name}. Use one of these, or an "
            "optimizer that needs gradients and Hessians only, such as "
            "NewtonCG or LBFGS."
        )
    return factor(term)


def _mean_weights(term):
    """What each output's own loss counts in a loss that averages them."""
    weights = term.coefficients()
    count = tf.size(term.output) / tf.maximum(tf.size(weights), 1)
    weights /= tf.cast(count, weights.dtype)
    return _like_outputs(weights, term.output)


def _like_outputs(weights, outputs):
    for _ in range(outputs.shape.rank - weights.shape.rank):
        weights = weights[..., tf.newaxis]
    return tf.cast(weights, outputs.dtype)


def _squared_error(term):
    return 2 * _mean_weights(term), None


def _huber(term):
    delta = cast(term.arguments.get("delta", 1.0), term.output.dtype)
    target = tf.reshape(
        tf.cast(term.target, term.output.dtype), tf.shape(term.output)
    )
    error = tf.abs(term.output - target)
    return _mean_weights(term) * delta / tf.maximum(error, delta), None


def _poisson(term):
    rate = term.output + keras.config.epsilon()
    return _mean_weights(term) / rate, None


def _binary(term):
    p = term.output
    _refuse_axis(term)
    if term.from_logits:
        p = tf.sigmoid(p)
        return _mean_weights(term) * _normal(p * (1 - p)), None
    p = _clipped(p)
    return _mean_weights(term) / (p * (1 - p)), None


def _classes(term):
    _refuse_axis(term)
    weights = _like_outputs(term.coefficients(), term.output)
    if term.from_logits:
        p = tf.nn.softmax(term.output)
        return weights * _normal(p), p
    return weights / _clipped(term.output), None


def _sparse(term):
    if term.arguments.get("ignore_class") is not None:
        raise ValueError(
            "`ignore_class` must be None for an optimizer that needs the "
            "Gauss-Newton form of the loss. Received: ignore_class="
            f"{term.arguments['ignore_class']}. Give these samples a "
            "sample_weight of 0."
        )
    return _classes(term)


def _refuse_axis(term):
    axis = term.arguments.get("axis", -1)
    if axis not in (-1, term.output.shape.rank - 1):
        raise ValueError(
            f"`axis` of the loss {term.loss.name} must be the last. Received: "
            f"axis={axis}. Move the classes to the last axis of the outputs."
        )


def _clipped(p):
    """As Keras clips probabilities."""
    epsilon = keras.config.epsilon()
    return tf.clip_by_value(p, epsilon, 1 - epsilon)


def _normal(p):
    """p, at least the smallest normal number: its root divides."""
    return tf.maximum(p, np.finfo(p.dtype.as_numpy_dtype).tiny)


_FACTORS = {
    keras.losses.mean_squared_error: _squared_error,
    keras.losses.huber: _huber,
    keras.losses.poisson: _poisson,
    keras.losses.binary_crossentropy: _binary,
    keras.losses.categorical_crossentropy: _classes,
    keras.losses.sparse_categorical_crossentropy: _sparse,
}
