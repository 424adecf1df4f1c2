"""The second derivative of a model's outputs along a step of its weights."""

import tensorflow as tf

from keras_curvature.autodiff.repairs.context import differentiated_twice
from keras_curvature.autodiff.variables import as_tf_variable


class SecondDirectionalDerivative:
    """∂²y(w + t·v)/∂t² at t = 0, and products with the Jacobian there.

    Outputs that do not depend on the variables, or depend linearly on them,
    have second derivatives of 0.

    Args:
        outputs_fn: Callable without arguments that returns a tensor y.
        variables: w, list of `keras.Variable`s or `tf.Variable`s.
        vectors: v, list of tensors with the shapes of the variables.

    Attributes:
        value: Tensor in the shape of y.
    """

    def __init__(self, outputs_fn, variables, vectors):
        self._sources = [as_tf_variable(v) for v in variables]
        self._tape = tf.GradientTape(persistent=True)
        # uᵀy is linear in u, and so is its second derivative along v, uᵀy″:
        # the gradient by u is y″. Three reverse passes, each exact, for any
        # model; forward accumulation is not (see jacobian.py).
        with differentiated_twice(), tf.GradientTape() as outer:
            with tf.GradientTape() as middle:
                middle.watch(self._sources)
                with self._tape:
                    self._tape.watch(self._sources)
                    self._outputs = outputs_fn()
                cotangents = tf.zeros_like(self._outputs)
                outer.watch(cotangents)
                first = _along(
                    vectors, self.vector_jacobian_product(cotangents)
                )
            second = middle.gradient(
                first, self._sources, unconnected_gradients="zero"
            )
            second = _along(vectors, second)
        self.value = outer.gradient(
            second, cotangents, unconnected_gradients="zero"
        )

    def vector_jacobian_product(self, cotangents):
        """Jᵀ·u, a list of tensors shaped as the variables."""
        return self._tape.gradient(
            self._outputs,
            self._sources,
            output_gradients=cotangents,
            unconnected_gradients="zero",
        )


def _along(vectors, gradients):
    """The inner product of two lists of tensors."""
    return tf.add_n(
        [
            tf.reduce_sum(tf.cast(v, g.dtype) * g)
            for v, g in zip(
                vectors, map(tf.convert_to_tensor, gradients), strict=True
            )
        ]
    )
