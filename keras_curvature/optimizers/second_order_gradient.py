"""Gradient descent on a loss and on the norm of its gradient."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_curvature._casting import cast, times
from keras_curvature._checks import (
    checked_flag,
    checked_integer,
    checked_number,
)
from keras_curvature._typing import Variables
from keras_curvature.autodiff.curvature_of import curvature_of, not_recorded
from keras_curvature.autodiff.variables import created_outside_of_traces
from keras_curvature.optimizers._common.amortize import amortize
from keras_curvature.optimizers._common.arguments import gradients_and_variables
from keras_curvature.optimizers._common.known_variables import (
    SavesVariableNames,
)
from keras_curvature.optimizers._common.replicas import (
    replica_count,
    sum_over_replicas,
)
from keras_curvature.optimizers._common.skipping import (
    SkipsNonFiniteSteps,
    all_finite,
)
from keras_curvature.optimizers._common.wrapper import OptimizerWrapper


@keras.saving.register_keras_serializable(package="keras_curvature")
class SecondOrderGradient(
    SkipsNonFiniteSteps, SavesVariableNames, OptimizerWrapper
):
    """Adds the exact second derivative of the loss to any Keras optimizer.

    With g = ∇L and H = ∇²L of the step's loss, the inner optimizer is given
    the direction

        d = gradient_weight · g + curvature_weight · H·g

    in place of the gradient. Because H·g is the gradient of ½‖∇L‖², this
    descends L + (c/2)‖∇L‖² for gradient_weight 1 and curvature_weight c.
    With `normalize=True`

        d = gradient_weight · g + curvature_weight · H·g / ‖g‖

    which descends L + c‖∇L‖, the gradient-norm penalty for flat minima.

    Learning rate, schedule, weight decay, clipping and moving averages are
    those of the inner optimizer, which sees d as its gradient. On several
    replicas g and H are those of the global batch.

    A step whose direction, new weights or new inner state are not finite is
    skipped: weights, inner state and iteration count stay as they were,
    `skipped_steps` counts it and `fit` warns at its end.

    With `gradient_weight=0` the method solves ∇L = 0 and is drawn to saddle
    points and maxima as well, because ‖∇L‖ vanishes there.

    Args:
        optimizer: The inner optimizer: name, config or instance of a
            `keras.optimizers.Optimizer` that neither uses curvature itself
            nor accumulates gradients. Defaults to `"sgd"`.
        gradient_weight: Float ≥ 0, dimensionless. Defaults to `1.0`.
        curvature_weight: Float ≥ 0, in units of weights² / loss (of weights
            with `normalize`). With 0 the training is that of the inner
            optimizer to the last bit. Defaults to `0.1`.
        normalize: Bool, whether H·g is divided by the norm of the gradient
            over all variables. Defaults to `False`.
        update_period: Int ≥ 1. H·g is computed on every `update_period`-th
            step and held in between. Defaults to `1`.
        name: String. Defaults to `"second_order_gradient"`, numbered by Keras.

    Raises:
        ValueError: if an argument breaks its rule, or, at a step, if a
            variable is not one of those that the optimizer was built with.
        RuntimeError: at the first step of a plain Keras model compiled with
            `run_eagerly=True`, which has no graph to differentiate.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_curvature.optimizers import SecondOrderGradient

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(SecondOrderGradient("adam", curvature_weight=0.1), "mse")
    model.fit(np.ones((8, 2)), np.zeros((8, 1)), verbose=0)
    ```

    References:
        Zhao, Zhang, Hu, 2022, "Penalizing gradient norm for efficiently
        improving generalization in deep learning", arXiv 2202.03599,
        equations 3 to 5, for the normalized form.
    """

    def __init__(
        self,
        optimizer: str | dict[str, Any] | keras.optimizers.Optimizer = "sgd",
        *,
        gradient_weight: float = 1.0,
        curvature_weight: float = 0.1,
        normalize: bool = False,
        update_period: int = 1,
        name: str | None = None,
    ) -> None:
        super().__init__(optimizer, name=name)
        self.gradient_weight = checked_number(
            "gradient_weight", gradient_weight, minimum=0
        )
        self.curvature_weight = checked_number(
            "curvature_weight", curvature_weight, minimum=0
        )
        if self.gradient_weight == self.curvature_weight == 0:
            raise ValueError(
                "`gradient_weight` and `curvature_weight` must not both be 0, "
                "because nothing would be trained. Received: "
                f"gradient_weight={gradient_weight}, "
                f"curvature_weight={curvature_weight}."
            )
        self.normalize = checked_flag("normalize", normalize)
        self.update_period = checked_integer(
            "update_period", update_period, minimum=1
        )

    @property
    def uses_curvature(self) -> bool:
        """Bool, whether `keras_curvature.Model` must record its training step.

        `apply` can then ask for curvature under `run_eagerly=True` too.
        """
        return self.curvature_weight != 0

    @created_outside_of_traces()
    def build(self, variables: Variables) -> None:
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        self._build_skipping()
        self._held_products = []
        if self.curvature_weight and self.update_period > 1:
            self._held_products = [
                self.add_variable(
                    shape=variable.shape,
                    dtype=variable.dtype,
                    aggregation="only_first_replica",
                    name=f"curvature_product_{index}",
                )
                for index, variable in enumerate(variables)
            ]

    def apply(
        self, grads: Sequence[Any], trainable_variables: Variables | None = None
    ) -> None:
        grads, variables, indices = gradients_and_variables(
            self, grads, trainable_variables
        )
        is_plain = self.curvature_weight == 0 and self.gradient_weight == 1
        if is_plain or not indices:
            self.inner_optimizer.apply(grads, variables)
            return
        # Units: `grads` and `local_gradients` are one replica's part, times
        # the loss scale, as is what the inner optimizer is given. Everything
        # between is of the global batch and of the loss itself.
        local_gradients = [grads[i] for i in indices]
        curvature = None
        if self.curvature_weight:
            curvature = curvature_of(
                local_gradients, [variables[i] for i in indices]
            )
        with not_recorded():
            gradients = self._global_gradients(local_gradients)
            products = self._products(curvature, gradients)
            directions = self._directions(gradients, products)
            shares = dict(zip(indices, self._shares(directions), strict=True))
            inner_grads = [shares.get(i, g) for i, g in enumerate(grads)]

            def step():
                self._hold(curvature, products)
                self.inner_optimizer.apply(inner_grads, variables)

            self._take_step(step, all_finite(directions))

    @property
    def _scale(self):
        return self.inner_optimizer.loss_scale_factor or 1.0

    def _global_gradients(self, local_gradients):
        """Dense gradients of the global batch's unscaled loss."""
        return sum_over_replicas(
            [
                times(tf.convert_to_tensor(g), 1 / self._scale)
                for g in local_gradients
            ]
        )

    def _shares(self, directions):
        """One replica's parts, in the units the inner optimizer expects."""
        if replica_count() > 1:
            # Clipped as a whole, where each replica would clip its own part.
            directions = self.inner_optimizer._clip_gradients(directions)
        return [times(d, self._scale / replica_count()) for d in directions]

    def _directions(self, gradients, products):
        directions = [times(g, self.gradient_weight) for g in gradients]
        if not products:
            return directions
        weight = self._weight_of_products(gradients)
        return [
            direction + times(product, weight)
            for direction, product in zip(directions, products, strict=True)
        ]

    def _weight_of_products(self, gradients):
        if not self.normalize:
            return self.curvature_weight
        # Squares of half-precision gradients overflow or vanish.
        dtype = keras.backend.result_type(
            "float32", *[g.dtype.name for g in gradients]
        )
        norm = tf.linalg.global_norm([tf.cast(g, dtype) for g in gradients])
        return tf.math.divide_no_nan(cast(self.curvature_weight, dtype), norm)

    def _products(self, curvature, gradients):
        """H·g of the global batch, fresh or held."""
        if curvature is None:
            return []

        def compute():
            # The recorded gradients are those of the scaled loss.
            return curvature.hessian_vector_product(
                [times(g, 1 / self._scale) for g in gradients]
            )

        if self.update_period == 1:
            return sum_over_replicas(compute())
        share = 1 / replica_count()
        return sum_over_replicas(
            amortize(
                tf.convert_to_tensor(self.iterations % self.update_period == 0),
                compute,
                [times(h.value, share) for h in self._held(curvature)],
            )
        )

    def _held(self, curvature):
        """The variables that hold the products between two updates."""
        if not self._held_products:
            return []
        return [
            self._held_products[self._get_variable_index(v)]
            for v in curvature.variables
        ]

    def _hold(self, curvature, products):
        if self._held_products:
            held = self._held(curvature)
            for variable, product in zip(held, products, strict=True):
                variable.assign(product)

    def __repr__(self) -> str:
        inner = type(self.inner_optimizer).__name__
        return (
            f"SecondOrderGradient({inner}, "
            f"gradient_weight={self.gradient_weight}, "
            f"curvature_weight={self.curvature_weight}, "
            f"normalize={self.normalize}, update_period={self.update_period})"
        )

    def finalize_variable_values(self, var_list: Variables) -> None:
        super().finalize_variable_values(var_list)
        self._warn_of_skipped_steps(
            "g, H·g or what the inner optimizer made of them",
            "Lower the learning rate or `curvature_weight`, or, in float16, "
            "the loss scale.",
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "gradient_weight": self.gradient_weight,
            "curvature_weight": self.curvature_weight,
            "normalize": self.normalize,
            "update_period": self.update_period,
        }
