"""Estimates of the Gauss-Newton diagonal from sampled labels."""

import tensorflow as tf

from keras_curvature._random import Draws
from keras_curvature.autodiff.curvature_tape import CurvatureTape
from keras_curvature.autodiff.variables import (
    as_dense,
    as_tf_variable,
    variable_name,
)
from keras_curvature.losses.sampled_scores import sampled_score
from keras_curvature.optimizers._common.replicas import first_row


class GaussNewtonBartlett:
    """Squared gradients with labels drawn from the model's own outputs.

    For a loss Σ c_b · ℓ_b of negative log-likelihoods ℓ_b with coefficients
    c_b, and labels ŷ_b drawn from the likelihood that the outputs f_b
    describe, Bartlett's second identity gives

        diag Σ c_b JᵀHJ = E[v ∘ v],  v = Σ √c_b ∇ℓ(f_b, ŷ_b)

    With c_b = 1/B this is the paper's B · ĝ∘ĝ; sample weights, masks and
    other reductions enter through c_b. The labels are a function of `seed`,
    step and place in the global batch. Regularizers are no part of it.

    References:
        Liu et al., 2023, arXiv 2305.14342, algorithm 2.
    """

    def __init__(self, seed):
        self.seed = seed

    def record(self, gradients, variables, place):
        """A function that computes this replica's parts of the estimate.

        Args:
            gradients: Not used: the labels of the batch are not.
            variables: List of the variables.
            place: The `Place` of this batch in the training.
        """
        tape = CurvatureTape.current()
        if tape is None or tape.training_step is None:
            raise RuntimeError(
                '`estimator="gauss_newton_bartlett"` needs the outputs of the '
                "model, which keras_curvature.Model, Sequential and "
                "Functional give to their optimizer. Received: a step of "
                "another model or loop. Build the model with keras_curvature."
                'Model(inputs, outputs), or use estimator="hutchinson".'
            )
        with tape.stop_recording():
            terms = tape.training_step.loss_terms()
            scores = [sampled_score(term) for term in terms]
            start = first_row(terms[0].output)

        def compute():
            # Not the step: each micro-batch has labels of its own.
            draws = [
                Draws((self.seed, index), place.batch, start)
                for index in range(len(terms))
            ]
            products = tape.differentiate(
                [term.output for term in terms],
                list(map(_cotangent, terms, scores, draws)),
                [as_tf_variable(variable) for variable in variables],
            )
            return _dense(products, variables)

        return compute

    def combine(self, parts):
        """The estimate from the sums of the parts over the replicas."""
        return [tf.square(part) for part in parts]


def _cotangent(term, score, draws):
    """√c · ∂ℓ/∂f for labels drawn from the outputs f of one term."""
    output = tf.cast(term.output, term.loss.dtype)
    coefficients = term.coefficients()
    if not output.shape[:-1].is_compatible_with(coefficients.shape):
        raise ValueError(
            f"The loss {term.loss.name!r} must give one value for each row of "
            "its output. Received: an output of shape "
            f"{tuple(output.shape)} and losses of shape "
            f"{tuple(coefficients.shape)}. Bring the targets into the shape "
            "of the outputs."
        )
    score = tf.sqrt(coefficients)[..., None] * score(output, draws)
    return tf.cast(score, term.output.dtype)


def _dense(products, variables):
    """Dense tensors; zeros where no output depends on the variable."""
    if all(product is None for product in products):
        names = ", ".join(variable_name(v) for v in variables)
        raise ValueError(
            "The outputs of the model must depend on its variables. Received: "
            f"outputs that depend on none of {names}."
        )
    return [
        as_dense(product, variable)
        for product, variable in zip(products, variables, strict=True)
    ]
