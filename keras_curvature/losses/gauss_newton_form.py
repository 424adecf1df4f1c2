"""Losses as sums of squares, to second order in the outputs of a model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import tensorflow as tf

from keras_curvature.losses.known_loss import known_loss, known_names
from keras_curvature.losses.term import LossTerm


@dataclasses.dataclass(frozen=True)
class GaussNewtonForm:
    """The residuals r and the factor S of a batch's loss at its outputs.

        ∂L/∂outputs = S·r,  H_L = S·Sᵀ

    so that with A = Sᵀ·∂outputs/∂w the gradient is Aᵀr and the Gauss–Newton
    matrix AᵀA. H_L is the Hessian of the loss by the outputs, except for
      - probabilities and Poisson rates: the Fisher information, with which
        AᵀA is the Gauss–Newton matrix of their logits and logarithms;
      - Huber and `RobustLoss`: the curvature of the quadratic that touches it
        from above, because a matrix without the outliers could not see their
        gradient.
      - losses that others register: see their `KnownLoss`.
    S is diag(scale), for logits of several classes diag(scale) − p·scaleᵀ.

    Args:
        residuals: r, tensor of shape `(batch, m)` with the m outputs of each
            sample.
        scale: Tensor of shape `(batch, m)`.
        probabilities: p, tensor of shape `(batch, m)`, 0 where S is diagonal.
        segments: Tuple of `(outputs, classes)` for each output tensor of the
            model; classes is None where S is diagonal.
        is_indefinite: Scalar bool tensor, whether the loss is no sum of
            squares anywhere in the batch: scale² is negative, as under a
            negative weight, or 0 where the gradient is not. `scale` and
            `residuals` are NaN there.

    Example:

    ```python
    import keras
    import tensorflow as tf
    from keras_curvature.losses import LossTerm, gauss_newton_form

    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    target, logits = tf.eye(3), tf.zeros((3, 3))
    term = LossTerm(loss, target, logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = term.value()
    gradient = tape.gradient(value, logits)
    form = gauss_newton_form([term], [gradient])
    print(form.pull(form.residuals) - gradient)  # 0
    print(form.pull(form.push(tf.ones((3, 3)))))  # H_L·1 = 0
    ```
    """

    residuals: tf.Tensor
    scale: tf.Tensor
    probabilities: tf.Tensor
    segments: tuple
    is_indefinite: tf.Tensor

    def gather(self, indices: tf.Tensor, weights: tf.Tensor) -> GaussNewtonForm:
        """The form of the samples at `indices`, times 0 or 1 each."""
        weights = weights[:, tf.newaxis]
        residuals, scale, probabilities = (
            tf.gather(tensor, indices) for tensor in self.rows
        )
        return self.with_rows(
            residuals * weights, scale * weights, probabilities
        )

    @property
    def rows(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The tensors of shape `(batch, m)`: r, the scale and p."""
        return self.residuals, self.scale, self.probabilities

    def with_rows(
        self, residuals: tf.Tensor, scale: tf.Tensor, probabilities: tf.Tensor
    ) -> GaussNewtonForm:
        """The form of other samples, by its `rows`."""
        return dataclasses.replace(
            self,
            residuals=residuals,
            scale=scale,
            probabilities=probabilities,
        )

    def push(self, jacobian: tf.Tensor) -> tf.Tensor:
        """Sᵀ·jacobian, for shapes `(batch, m)` and `(batch, m, n)`."""
        if self._has_classes:
            mean = self._sum_over_classes(self.probabilities, jacobian)
            jacobian = jacobian - mean
        return _times(self.scale, jacobian)

    def pull(self, vector: tf.Tensor) -> tf.Tensor:
        """S·vector, shape `(batch, m)`."""
        if not self._has_classes:
            return self.scale * vector
        total = self._sum_over_classes(self.scale, vector)
        return self.scale * vector - self.probabilities * total

    @property
    def gradient(self) -> tf.Tensor:
        """∂L/∂outputs = S·r, shape `(batch, m)`."""
        return self.pull(self.residuals)

    def hessian_product(self, vector: tf.Tensor) -> tf.Tensor:
        """H_L·vector = S·Sᵀ·vector, shape `(batch, m)`."""
        return self.pull(self.push(vector))

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


def gauss_newton_form(
    terms: Sequence[LossTerm], gradients: Sequence[tf.Tensor | None]
) -> GaussNewtonForm:
    """The form of a loss.

    Args:
        terms: List of `LossTerm`s, one for each output.
        gradients: ∂L/∂output for each of them, None for 0.

    Returns:
        A `GaussNewtonForm`.

    Raises:
        ValueError: if a loss has no Gauss–Newton form here, naming it.

    Example:

    ```python
    import keras
    import tensorflow as tf
    from keras_curvature.losses import LossTerm, gauss_newton_form

    target, output = tf.zeros((4, 2)), tf.ones((4, 2))
    term = LossTerm(keras.losses.MeanSquaredError(), target, output)
    with tf.GradientTape() as tape:
        tape.watch(output)
        loss = term.value()
    form = gauss_newton_form([term], [tape.gradient(loss, output)])
    print(form.residuals)  # their sum of squares is 2·loss
    ```
    """
    forms = [
        _form_of_output(term, gradient)
        for term, gradient in zip(terms, gradients, strict=True)
    ]
    return _joined(forms)


def with_outputs_of_all(terms, gradients):
    """The form of losses as one sample, which has all of their outputs."""
    forms = []
    for term, gradient in zip(terms, gradients, strict=True):
        form = _form_of_output(term, gradient)
        ((_, classes),) = form.segments
        fields = ("residuals", "scale", "probabilities")
        rows = {n: tf.reshape(getattr(form, n), (1, -1)) for n in fields}
        width = rows["residuals"].shape[1]
        forms.append(
            dataclasses.replace(form, segments=((width, classes),), **rows)
        )
    return _joined(forms)


def _joined(forms):
    """The form of the outputs of all of them, for the same samples."""
    if len(forms) == 1:
        return forms[0]
    return GaussNewtonForm(
        tf.concat([form.residuals for form in forms], axis=1),
        tf.concat([form.scale for form in forms], axis=1),
        tf.concat([form.probabilities for form in forms], axis=1),
        tuple(segment for form in forms for segment in form.segments),
        tf.reduce_any([form.is_indefinite for form in forms]),
    )


def _form_of_output(term, gradient):
    """The form of the loss of one output."""
    known = _known(term)
    width = _width(term)
    if gradient is None:
        gradient = tf.zeros_like(term.output)
    shape, dtype = tf.shape(gradient), gradient.dtype
    squared = tf.cast(known.squared_scale(term), dtype)
    squared = tf.broadcast_to(squared, shape)
    p = known.probabilities(term)
    is_bad = squared < 0
    if p is None:
        # A gradient that S cannot reach would be lost.
        is_bad |= (squared == 0) & (gradient != 0)
    # NaN where it is bad.
    scale = tf.sqrt(tf.where(is_bad, -tf.ones_like(squared), squared))
    # Where the scale is 0, so is the gradient.
    residuals = tf.math.divide_no_nan(gradient, scale)

    def as_rows(tensor):
        return (
            tensor
            if tensor.shape.rank == 2
            else tf.reshape(tensor, (-1, width))
        )

    return GaussNewtonForm(
        as_rows(residuals),
        as_rows(scale),
        as_rows(tf.zeros_like(gradient) if p is None else p),
        ((width, None if p is None else gradient.shape[-1]),),
        tf.reduce_any(is_bad),
    )


def _known(term):
    known = known_loss(term)
    if known is None:
        names = ", ".join(known_names("squared_scale"))
        raise ValueError(
            f"`loss` must be one with a Gauss-Newton form: {names}. Received: "
            f"{term.name}. Use one of these, describe the loss with "
            "keras_curvature.losses.register_loss, or take an optimizer that "
            "needs gradients and Hessians only, such as NewtonCG or LBFGS."
        )
    return known


def _width(term):
    """How many outputs each sample has."""
    shape = term.output.shape
    sizes = [None] if shape.rank is None else list(shape[1:])
    if None in sizes or 0 in sizes:
        raise ValueError(
            "The outputs of a model with a Gauss-Newton form of its loss must "
            "have axes of known size > 0, the batch excepted. Received: an "
            f"output of shape {shape} with the loss {term.name}. Give the "
            "model inputs of known shape, for example padded to one length."
        )
    return math.prod(sizes)


def _times(weights, tensor):
    """The product, with `weights` the same along further axes."""
    for _ in range(tensor.shape.rank - 2):
        weights = tf.expand_dims(weights, -1)
    return weights * tensor
