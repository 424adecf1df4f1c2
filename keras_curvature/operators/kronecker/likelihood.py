"""Cotangents of a model's outputs whose outer products make its Fisher."""

import tensorflow as tf

from keras_curvature.losses.gauss_newton_form import gauss_newton_form
from keras_curvature.losses.sampled_scores import sampled_score

FISHERS = ("monte_carlo", "exact", "empirical")


class Likelihood:
    """What a loss L = Σ c·ℓ says of the outputs f it is computed from.

    Gives passes of cotangents v of the outputs, such that over all passes

        Σ (Jᵀv)(Jᵀv)ᵀ ≈ Σ c·Jᵀ·H·J,  J = ∂f/∂w

    with H the Hessian of ℓ by f, sample by sample.

    Args:
        terms: List of `LossTerm`s.
    """

    def __init__(self, terms):
        self.terms = list(terms)

    @property
    def outputs(self):
        """The outputs, one for each term."""
        return [term.output for term in self.terms]

    def coefficients(self):
        """c of each row of outputs, those of all terms added."""
        coefficients = [term.coefficients() for term in self.terms]
        if len(coefficients) == 1:
            return coefficients[0]
        batch = tf.shape(coefficients[0])[0]
        return tf.add_n(
            [
                tf.reduce_sum(tf.reshape(c, (batch, -1)), axis=1)
                for c in coefficients
            ]
        )

    def sampled(self, draws):
        """One pass, from labels drawn from the outputs: √c·∂ℓ/∂f.

        Args:
            draws: For each term `Draws`, whose numbers are the same in
                each pass.
        """
        return [
            _scaled(term, tf.sqrt, sampled_score(term)(f, draw.restarted()))
            for term, draw in zip(self.terms, draws, strict=True)
            for f in [tf.cast(term.output, term.loss.dtype)]
        ]

    def empirical(self):
        """One pass, from the labels of the batch: √c·∂ℓ/∂f."""
        # c·∂ℓ/∂f is given.
        return [
            _scaled(
                term,
                lambda c: tf.math.divide_no_nan(tf.ones_like(c), tf.sqrt(c)),
                term.gradient(),
            )
            for term in self.terms
        ]

    def exact_passes(self):
        """How many passes `exact` has: outputs of a sample, all terms."""
        self._form = gauss_newton_form(self.terms, [None] * len(self.terms))
        return sum(width for width, _ in self._form.segments)

    def exact(self, number):
        """The pass of one column of S, where H = S·Sᵀ and c is in it."""
        form = self._form
        width = form.scale.shape[1]
        column = tf.one_hot(number, width, dtype=form.scale.dtype)
        pulled = form.pull(tf.broadcast_to(column, tf.shape(form.scale)))
        widths = [width for width, _ in form.segments]
        return [
            tf.reshape(tf.cast(part, term.output.dtype), tf.shape(term.output))
            for part, term in zip(
                tf.split(pulled, widths, axis=1), self.terms, strict=True
            )
        ]

    def change(self, moved):
        """∂L/∂f·u + ½ Σ c·uᵀ·H·u: L's change when f moves by u, modeled.

        Args:
            moved: u, tensors in the shapes of the outputs.
        """
        gradients = [term.gradient() for term in self.terms]
        form = gauss_newton_form(self.terms, gradients)
        dtype = form.scale.dtype
        moved = [tf.cast(u, dtype) for u in moved]
        slope = tf.add_n(
            [
                tf.reduce_sum(tf.cast(g, dtype) * u)
                for g, u in zip(gradients, moved, strict=True)
            ]
        )
        rows = [
            tf.reshape(u, (-1, width))
            for u, (width, _) in zip(moved, form.segments, strict=True)
        ]
        curved = tf.square(form.push(tf.concat(rows, axis=1)))
        return slope + tf.reduce_sum(curved) / 2

    def value(self):
        """L, without what the terms leave out, such as regularizers."""
        return tf.add_n([term.value() for term in self.terms])


def _scaled(term, factor, rows):
    """Rows times a function of their coefficients."""
    coefficients = term.coefficients()
    if not rows.shape[:-1].is_compatible_with(coefficients.shape):
        raise term.error_of_rows(rows, coefficients)
    wide = tf.cast(rows, coefficients.dtype)
    scaled = factor(coefficients)[..., tf.newaxis] * wide
    return tf.cast(scaled, term.output.dtype)
