"""A and G of a batch, by the passes of its Fisher information."""

import tensorflow as tf

from keras_curvature.autodiff.backpropagation import backpropagate
from keras_curvature.operators.kronecker.factors import BatchFactors


class FactorEstimate:
    """Builds the factors of a batch in the graph of its forward pass.

    Args:
        plan: `Plan` of the model, from the outputs of the likelihood.
        variables: List of the variables, in the order of the plan.
        likelihood: `Likelihood` of the batch.
        fisher: `"monte_carlo"`, `"exact"` or `"empirical"`.
        sharing: `"expand"` or `"reduce"`.
        draws: For each term `Draws`, for labels.
        signs: `Draws`, for weights without factors.
    """

    def __init__(
        self, plan, variables, likelihood, fisher, sharing, draws, signs
    ):
        self._plan = plan
        self._likelihood = likelihood
        self._fisher = fisher
        self._draws = draws
        self._signs = signs
        self._coefficients = likelihood.coefficients()
        dtypes = [factor_dtype(variables[b.kernel]) for b in plan.blocks]
        self._factors = BatchFactors(plan, self._coefficients, sharing, dtypes)
        self._without = [b.kernel for b in plan.blocks if not b.has_factors]
        self._handles = [
            plan.forward.handle(variables[index]) for index in self._without
        ]
        self._dtypes = dtypes

    def total_weight(self):
        """Σ c, by which sums over batches are divided."""
        return tf.reduce_sum(self._coefficients)

    def input_factors(self):
        """Σ c·a·aᵀ for each block."""
        return self._factors.input_factors()

    def output_factors(self, bases=None):
        """Lists of G and of squares in bases: see `BatchFactors`."""
        if self._fisher == "monte_carlo":
            return self._of_pass(self._likelihood.sampled(self._draws), bases)
        if self._fisher == "empirical":
            return self._of_pass(self._likelihood.empirical(), bases)
        passes = self._likelihood.exact_passes()

        def add(number, *totals):
            new = self._of_pass(self._likelihood.exact(number), bases)
            pairs = zip(totals, [*new[0], *new[1]], strict=True)
            return number + 1, *[total + added for total, added in pairs]

        zeros = [tf.zeros(*shape) for shape in self.output_shapes(bases)]
        _, *totals = tf.while_loop(
            lambda number, *totals: number < passes, add, [0, *zeros]
        )
        count = len(self._plan.blocks)
        return totals[:count], totals[count:]

    def input_shapes(self):
        """Shapes and dtypes of `input_factors`."""
        return [
            (block.input_shape, dtype)
            for block, dtype in zip(
                self._plan.blocks, self._dtypes, strict=True
            )
        ]

    def output_shapes(self, bases=None):
        """Shapes and dtypes of what `output_factors` returns, as one list."""
        blocks = list(zip(self._plan.blocks, self._dtypes, strict=True))
        squares = [
            ((block.groups, block.inputs, block.outputs), dtype)
            for (block, dtype), basis in zip(
                blocks, bases or [None] * len(blocks), strict=True
            )
            if basis is not None
        ]
        return [
            (block.output_shape, dtype) for block, dtype in blocks
        ] + squares

    def _of_pass(self, cotangents, bases):
        """The same of one pass of cotangents of the outputs."""
        sources = self._factors.signal_sources()
        handles = [handle for handle in self._handles if handle is not None]
        if handles:
            # G does not change with the sign of a sample, and the products of
            # two samples vanish on average.
            cotangents = self._with_random_signs(cotangents)
        found = backpropagate(
            self._likelihood.outputs, cotangents, [*sources, *handles]
        )
        gradients = dict.fromkeys(self._without)
        present = [
            index
            for index, handle in zip(self._without, self._handles, strict=True)
            if handle is not None
        ]
        gradients.update(zip(present, found[len(sources) :], strict=True))
        gradients = {
            index: self._or_zero(index, gradient)
            for index, gradient in gradients.items()
        }
        return self._factors.output_factors(
            found[: len(sources)], gradients, bases
        )

    def _or_zero(self, index, gradient):
        if gradient is not None:
            return gradient
        blocks = {block.kernel: block for block in self._plan.blocks}
        return tf.zeros(blocks[index].layout.shape)

    def _with_random_signs(self, cotangents):
        """Each sample times ±1, the same for all outputs."""
        batch = tf.shape(cotangents[0])[0]
        uniforms = self._signs.restarted()([batch], tf.float32)
        signs = tf.sign(uniforms - 0.5)
        return [
            cotangent
            * tf.reshape(
                tf.cast(signs, cotangent.dtype),
                [batch, *[1] * (cotangent.shape.rank - 1)],
            )
            for cotangent in cotangents
        ]


def factor_dtype(variable):
    """float64 for weights in float64, float32 for all others."""
    dtype = tf.as_dtype(getattr(variable, "dtype", "float32"))
    return tf.float64 if dtype == tf.float64 else tf.float32
