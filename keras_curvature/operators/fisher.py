"""The Fisher information matrix."""

from typing import Any, Literal

import keras
import tensorflow as tf

from keras_curvature._checks import checked_choice, checked_integer
from keras_curvature._typing import Array, Data
from keras_curvature.operators._output_curvature import (
    BlockCurvature,
    ScoreCurvature,
)
from keras_curvature.operators._output_operator import OutputOperator
from keras_curvature.operators._scores import (
    drawn_scores,
    observed_scores,
    refuse_without_likelihood,
)
from keras_curvature.operators.gauss_newton import information


class Fisher(OutputOperator):
    """The Fisher information of a model over a data set.

    The loss of each sample is taken for −log p(y | x) up to a constant, and

        F = Σₙ cₙ·E[∇ℓₙ·∇ℓₙᵀ]

    with the coefficients cₙ that the samples have in the loss: 1 / N for a
    mean, the sample weights included. The expectation is

    - `kind="exact"`: over all y that the model expects, in closed form. For
      the squared error and for cross-entropies of logits it equals
      `GaussNewton`;
    - `kind="monte_carlo"`: over y drawn from the model, an unbiased estimate
      of rank N·`mc_samples` at most. A sample keeps its draws from product to
      product, in batches of any size;
    - `kind="empirical"`: over the one y in the data. Its diagonal, the mean of
      squared gradients of single samples, is what elastic weight consolidation
      takes. Not an estimate of the others unless the model fits the data.

    Regularizers and losses of `add_loss` are no part of it.

    Args:
        model, x, y, sample_weight: as for `Hessian`. No negative weights
            unless `kind` is `"exact"`.
        kind: `"exact"`, `"monte_carlo"` or `"empirical"`. Defaults to
            `"exact"`.
        mc_samples: Int, draws for each sample. Defaults to 1.
        seed: Int, of the draws. Defaults to 0.
        **options: as for `Hessian`.

    Raises:
        ValueError: if `kind` is another string, or at the first product if
            the loss describes no likelihood that is known here.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.operators import Fisher

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    x = np.random.default_rng(0).normal(size=(20, 3))
    y = np.arange(20) % 4
    Fisher(model, x, y).diagonal()
    Fisher(model, x, y, kind="monte_carlo", mc_samples=100).diagonal()
    Fisher(model, x, y, kind="empirical").diagonal()
    ```

    References:
        Martens, 2020, "New insights and perspectives on the natural gradient
        method", sections 5, 8 and 11.
        Kunstner, Balles, Hennig, 2019, "Limitations of the empirical Fisher
        approximation for natural gradient descent".
    """

    def __init__(
        self,
        model: keras.Model,
        x: Data,
        y: Data | None = None,
        sample_weight: Array | None = None,
        *,
        kind: Literal["exact", "monte_carlo", "empirical"] = "exact",
        mc_samples: int = 1,
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.kind = checked_choice(
            "kind", kind, ("exact", "monte_carlo", "empirical")
        )
        self.mc_samples = checked_integer("mc_samples", mc_samples, 1)
        self.seed = checked_integer("seed", seed, 0)
        super().__init__(model, x, y, sample_weight, **options)

    def _is_ordered(self):
        return self.kind == "monte_carlo"

    def _output_curvature(self, terms, share):
        if self.kind == "exact":
            for term in terms:
                refuse_without_likelihood(term)
            return BlockCurvature(
                [information(term) for term in terms],
                [term.output for term in terms],
            )
        if self.kind == "monte_carlo":
            scores = drawn_scores(
                terms, self.mc_samples, self.seed, share.before
            )
        else:
            scores = [s[:, tf.newaxis] for s in observed_scores(terms)]
        return ScoreCurvature(scores)
