"""Gradient descent on a loss and on the norm of its gradient."""

import keras
import tensorflow as tf

from keras_curvature._checks import (
    checked_flag,
    checked_integer,
    checked_number,
)
from keras_curvature.autodiff.curvature_of import curvature_of, not_recorded
from keras_curvature.optimizers._common.amortize import amortize
from keras_curvature.optimizers._common.arguments import gradients_and_variables
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
class SecondOrderGradient(SkipsNonFiniteSteps, OptimizerWrapper):
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

    A step whose direction is not finite is skipped: weights, inner state and
    iteration count stay as they were, `skipped_steps` counts it and `fit`
    warns at its end.

    With `gradient_weight=0` the method solves ∇L = 0 and is drawn to saddle
    points and maxima as well, because ‖∇L‖ vanishes there.

    Args:
        optimizer: The inner optimizer: name, config or instance of a
            `keras.optimizers.Optimizer`. Defaults to `"sgd"`.
        gradient_weight: Float ≥ 0, dimensionless. Defaults to `1.0`.
        curvature_weight: Float ≥ 0, in units of weights² / loss (of weights
            with `normalize`). With 0 the training is that of the inner
            optimizer to the last bit. Defaults to `0.1`.
        normalize: Whether H·g is divided by the norm of the gradient over all
            variables. Defaults to `False`.
        update_period: Int ≥ 1. H·g is computed on every `update_period`-th
            step and held in between. Defaults to `1`.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if an argument breaks its rule, or the inner optimizer
            accumulates gradients.
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
        equations 3 to 5, for the normalised form.
    """

    def __init__(
        self,
        optimizer="sgd",
        gradient_weight=1.0,
        curvature_weight=0.1,
        normalize=False,
        update_period=1,
        name=None,
    ):
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
    def uses_curvature(self):
        """Whether `keras_curvature.Model` must record its training step."""
        return self.curvature_weight != 0

    def build(self, variables):
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

    def apply(self, grads, trainable_variables=None):
        grads, variables, places = gradients_and_variables(
            self, grads, trainable_variables
        )
        plain = self.curvature_weight == 0 and self.gradient_weight == 1
        if plain or not places:
            self.inner_optimizer.apply(grads, variables)
            return
        curvature = None
        if self.curvature_weight:
            curvature = curvature_of(
                [grads[i] for i in places], [variables[i] for i in places]
            )
        with not_recorded():
            gradients = self._global_gradients([grads[i] for i in places])
            products = self._products(curvature, gradients)
            directions = self._directions(gradients, products)
            clipped = self._clipped(directions)
            for i, direction in zip(places, clipped, strict=True):
                grads[i] = self._share(direction)
            held = self._held(curvature)

            def step(grads, products):
                for variable, product in zip(held, products, strict=True):
                    variable.assign(product)
                self.inner_optimizer.apply(grads, variables)

            self._step_if(
                all_finite(directions), step, (grads, products if held else [])
            )

    @property
    def _scale(self):
        return self.inner_optimizer.loss_scale_factor or 1.0

    def _global_gradients(self, gradients):
        """Dense gradients of the global batch's unscaled loss."""
        return sum_over_replicas(
            [
                _times(tf.convert_to_tensor(g), 1 / self._scale)
                for g in gradients
            ]
        )

    def _share(self, direction):
        """One replica's part, in the units the inner optimizer expects."""
        return _times(direction, self._scale / replica_count())

    def _clipped(self, directions):
        """Clipped as a whole, where each replica would clip its own part."""
        if replica_count() == 1:
            return directions
        return self.inner_optimizer._clip_gradients(directions)

    def _directions(self, gradients, products):
        directions = [_times(g, self.gradient_weight) for g in gradients]
        if not products:
            return directions
        weight = self._weight_of_products(gradients)
        return [
            direction + tf.cast(weight, direction.dtype) * product
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
        return tf.math.divide_no_nan(
            tf.constant(self.curvature_weight, dtype), norm
        )

    def _products(self, curvature, gradients):
        """H·g of the global batch, fresh or held."""
        if curvature is None:
            return []

        def compute():
            # The recorded gradients are those of the scaled loss.
            return curvature.hessian_vector_product(
                [_times(g, 1 / self._scale) for g in gradients]
            )

        if self.update_period == 1:
            return sum_over_replicas(compute())
        share = 1 / replica_count()
        return sum_over_replicas(
            amortize(
                tf.convert_to_tensor(self.iterations % self.update_period == 0),
                compute,
                [_times(h.value, share) for h in self._held(curvature)],
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

    def finalize_variable_values(self, var_list):
        super().finalize_variable_values(var_list)
        self._warn_of_skipped_steps(
            "g or H·g",
            "Lower the learning rate or `curvature_weight`, or, in float16, "
            "the loss scale.",
        )

    def get_config(self):
        return {
            **super().get_config(),
            "gradient_weight": self.gradient_weight,
            "curvature_weight": self.curvature_weight,
            "normalize": self.normalize,
            "update_period": self.update_period,
        }


def _times(tensor, factor):
    """The product; the tensor itself where the factor is 1."""
    return tensor if factor == 1 else tensor * tf.cast(factor, tensor.dtype)
