"""Gauss-Newton and Fisher matrices with a Kronecker product for each layer."""

from typing import Any, Literal

import keras
import tensorflow as tf

from keras_curvature._checks import (
    checked_choice,
    checked_integer,
    checked_number,
)
from keras_curvature._random import Draws
from keras_curvature._typing import Array, Data
from keras_curvature.autodiff.variables import checksum, variable_name
from keras_curvature.operators._model_operator import ModelOperator
from keras_curvature.operators.curvature_operator import CurvatureOperator
from keras_curvature.operators.kronecker.damping import multiply
from keras_curvature.operators.kronecker.estimate import FactorEstimate
from keras_curvature.operators.kronecker.factors import (
    SHARINGS,
    Factors,
    refuse_not_finite,
)
from keras_curvature.operators.kronecker.inverse import KroneckerInverse
from keras_curvature.operators.kronecker.likelihood import FISHERS, Likelihood
from keras_curvature.operators.kronecker.plan import kronecker_plan
from keras_curvature.operators.kronecker.spectrum import spectrum_of


class KroneckerFactored(ModelOperator):
    """K-FAC: A ⊗ G for each layer in place of its Gauss–Newton block.

    For a layer with the inputs a, with 1 for its bias, and the signals g that
    come back to its outputs,

        A = E[a aᵀ],  G = Σ E[g gᵀ]

    over the data, scaled as the loss. Blocks between layers are 0. Exact for
    linear layers whose a and g are independent, such as a single layer with
    one input or under the mean squared error.

    Layers with factors: Dense, EinsumDense, convolutions of all ranks,
    Embedding, the scales and offsets of normalizations, and tables that are
    added to or multiplied with each position. The rows of a table, along its
    last axis, share one G. Of weights that are used otherwise, named in
    `without_factors`, the diagonal is kept, as an estimate with random signs
    of the samples.

    Args:
        model: A `keras.Model`.
        x: Array, structure of arrays, `tf.data.Dataset` of batches or
            `keras.utils.PyDataset`.
        y: Targets, for arrays only. Defaults to `None`.
        sample_weight: Weights, for arrays only. Defaults to `None`.
        fisher: `"exact"` takes the expectation over the labels, which makes A
            ⊗ G factors of the Gauss–Newton matrix, by a backward pass for
            each output of a sample; `"monte_carlo"` draws labels from the
            outputs, `"empirical"` takes those of the data. Defaults to
            `"exact"`.
        sharing: `"expand"` or `"reduce"`, how weights that are shared over
            positions are taken: positions as samples, or their mean. Defaults
            to `"expand"`.
        max_factor_size: Int ≥ 1. Of factors with more rows the diagonal is
            kept. Defaults to `2048`.
        seed: Int ≥ 0, for labels and signs. Defaults to `0`.
        **options: `loss`, `loss_weights`, `layers`, `training`, `batch_size`,
            `jit_compile` and `verbose`, as in `GaussNewton`.

    Raises:
        ValueError: if an argument breaks its rule, or a loss is not known.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.operators import KroneckerFactored

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    operator = KroneckerFactored(model, x, x[:, :1])
    step = operator.inverse(damping=0.1) @ np.ones(3, "float32")
    operator.log_determinant(damping=0.1)
    ```

    References:
        Martens, Grosse, 2015, "Optimizing neural networks with
        Kronecker-factored approximate curvature", arXiv 1503.05671.
        Eschenhagen et al., 2023, "Kronecker-factored approximate curvature
        for modern neural network architectures", arXiv 2311.00636.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Data,
        y: Data | None = None,
        sample_weight: Array | None = None,
        *,
        fisher: Literal["exact", "monte_carlo", "empirical"] = "exact",
        sharing: Literal["expand", "reduce"] = "expand",
        max_factor_size: int = 2048,
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.fisher = checked_choice("fisher", fisher, FISHERS)
        self.sharing = checked_choice("sharing", sharing, SHARINGS)
        self.max_factor_size = checked_integer(
            "max_factor_size", max_factor_size, 1
        )
        self.seed = checked_integer("seed", seed, 0)
        self._known: tuple[Any, list[Factors]] | None = None
        super().__init__(model, x, y, sample_weight, **options)

    def _is_ordered(self):
        # Each sample has draws of its own.
        return self.fisher == "monte_carlo"

    @property
    def factors(self) -> list[Factors]:
        """List of `Factors`, at the weights the model has now."""
        now = checksum(self.model)
        if self._known is None or self._known[0] != now:
            self._known = now, self._compute()
        return self._known[1]

    @property
    def without_factors(self) -> list[str]:
        """Paths of the weights of which only a diagonal is known."""
        return [
            variable_name(self.variables[f.block.kernel])
            for f in self.factors
            if not f.block.has_factors
        ]

    def eigenvalues(self) -> tf.Tensor:
        """All n eigenvalues in ascending order, a tensor of shape `(n,)`."""
        return tf.sort(
            tf.concat(
                [tf.reshape(s.eigenvalues, [-1]) for s in self._spectra()], 0
            )
        )

    def log_determinant(self, damping: float = 0.0) -> tf.Tensor:
        """log det(self + damping·I), a scalar tensor; −∞ where singular."""
        damping = checked_number("damping", damping, minimum=0)
        return tf.reduce_sum(tf.math.log(self.eigenvalues() + damping))

    # A closed form: no tolerance and no iterations.
    def inverse(  # type: ignore[override]
        self, damping: float = 0.0
    ) -> CurvatureOperator:
        """(self + damping·I)⁻¹, a `CurvatureOperator`.

        Args:
            damping: Float ≥ 0. Defaults to 0.

        Raises:
            ValueError: if the sum is singular, or so nearly that an eigenvalue
                of a block is rounding error beside its largest.
        """
        damping = checked_number("damping", damping, minimum=0)
        spectra = self._spectra()
        for spectrum in spectra:
            smallest = float(tf.reduce_min(spectrum.eigenvalues)) + damping
            if not smallest > spectrum.rounding:
                raise ValueError(
                    "`damping` must be large enough for an inverse. Received: "
                    f"damping={damping}, a smallest eigenvalue of {smallest} "
                    "with it, and a rounding error of "
                    f"{spectrum.rounding:.1e}."
                )
        return KroneckerInverse(self.variables, spectra, damping)

    def diagonal(self, block_size: int = 64) -> tf.Tensor:
        """The diagonal, of shape `(n,)`; no products are needed for it."""
        return self._flat(lambda f: f.diagonal())

    def _flat(self, matrix_of):
        """A vector from the matrix of each block."""
        tensors = [None] * len(self.variables)
        for factors in self.factors:
            block = factors.block
            parts = block.split(
                matrix_of(factors), self.variables[block.indices[-1]].shape
            )
            for index, part in zip(block.indices, parts, strict=True):
                tensors[index] = part
        return self.flatten(tensors)

    def _matvec(self, vector):
        tensors = self.unflatten(vector)
        return self._flat(
            lambda f: multiply(
                f.block.join([tensors[i] for i in f.block.indices]),
                f.inputs,
                f.outputs,
            )
        )

    def _matmat(self, matrix):
        columns = [self._matvec(v) for v in tf.unstack(matrix, axis=1)]
        return tf.stack(columns, axis=1) if columns else matrix

    def _spectra(self):
        return [spectrum_of(f.block, f.inputs, f.outputs) for f in self.factors]

    def _restricted(self, indices):
        other = super()._restricted(indices)
        other._known = None
        return other

    def _compute(self):
        sums = self._sum(self._batch_factors)
        count = len(self._blocks)
        weight = sums[-1]
        factors = [
            Factors(
                block, tf.math.divide_no_nan(a, tf.cast(weight, a.dtype)), g
            )
            for block, a, g in zip(
                self._blocks, sums[:count], sums[count:-1], strict=True
            )
        ]
        refuse_not_finite(factors, self.variables)
        return factors

    def _batch_factors(self, batch, share):
        """The loss of a batch, and its sums for A, G and the weight."""
        predicted = self._model_loss.outputs(batch[0])
        terms = self._model_loss.parts(batch, predicted, share)
        loss = self._model_loss.value(terms)
        loss += self._model_loss.additional(batch, share)
        likelihood = Likelihood(terms)
        plan = kronecker_plan(
            likelihood.outputs, self.variables, self.max_factor_size
        )
        self._blocks = plan.blocks
        draws = [
            Draws((self.seed, index), 0, share.before)
            for index in range(len(terms) + 1)
        ]
        estimate = FactorEstimate(
            plan,
            self.variables,
            likelihood,
            self.fisher,
            self.sharing,
            draws[:-1],
            draws[-1],
        )
        outputs, _ = estimate.output_factors()
        return loss, [
            *estimate.input_factors(),
            *outputs,
            tf.cast(estimate.total_weight(), tf.float64),
        ]
