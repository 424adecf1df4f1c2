"""What an optimizer sees of curvature, whichever way it was recorded."""

from collections.abc import Sequence

import tensorflow as tf

from keras_curvature._typing import Variables, Vectors
from keras_curvature.autodiff.variables import (
    as_dense,
    checked_vectors,
    variable_name,
)


class Curvature:
    """Products with the Hessian of the loss whose gradients are given.

    A subclass implements `_differentiate(outputs, cotangents)`, the
    derivatives of `sum(outputs * cotangents)` by `self.variables`.

    Args:
        gradients: List of tensors or `tf.IndexedSlices`, the gradients of one
            scalar loss. Entries are None for variables that the loss does not
            depend on.
        variables: List of the variables, in the order of `gradients`.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.autodiff import Curvature, curvature_of

    w = tf.Variable([1.0, 2.0])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(w**3)
        curvature = curvature_of([tape.gradient(loss, w)], [w])
        assert isinstance(curvature, Curvature)
        return curvature.hessian_vector_product([tf.constant([1.0, 1.0])])

    step()  # [[6, 12]], the Hessian is diag(6 w)
    ```
    """

    def __init__(
        self,
        gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
        variables: Variables,
    ) -> None:
        self.gradients = list(gradients)
        self.variables = list(variables)
        if len(self.gradients) != len(self.variables):
            raise ValueError(
                "`gradients` and `variables` must have the same length. "
                f"Received: {len(self.gradients)} gradients and "
                f"{len(self.variables)} variables."
            )

    def hessian_vector_product(
        self, vectors: Vectors
    ) -> list[tf.Tensor | None]:
        """H·v of the recorded loss.

        Args:
            vectors: List of tensors with the shapes of the variables, None
                for zero.

        Returns:
            List of dense tensors with the shapes and dtypes of the variables.
            An entry is None where the loss does not depend on the variable,
            as its gradient is.

        Raises:
            ValueError: if no gradient depends on any variable.
        """
        outputs, cotangents = self._pair(vectors)
        products = self._differentiate(outputs, cotangents)
        if all(product is None for product in products):
            raise ValueError(_UNCONNECTED.format(names=self._names()))
        return [
            None if gradient is None else as_dense(product, variable)
            for gradient, product, variable in zip(
                self.gradients, products, self.variables, strict=True
            )
        ]

    def _pair(self, vectors):
        """Gradients to differentiate, each with the cotangent it receives."""
        vectors = checked_vectors(vectors, self.variables)
        outputs, cotangents = [], []
        for gradient, vector in zip(self.gradients, vectors, strict=True):
            if gradient is None or vector is None:
                continue
            if isinstance(gradient, tf.IndexedSlices):
                # g = Σₖ values[k] placed at row indices[k], duplicates added:
                # the cotangent of values[k] is row indices[k] of the vector.
                vector = tf.gather(vector, gradient.indices)
                gradient = gradient.values
            outputs.append(gradient)
            cotangents.append(tf.cast(vector, gradient.dtype))
        if not outputs:
            raise ValueError(
                "`vectors` must hold a tensor for at least one variable that "
                "the loss depends on. Received: None for each of "
                f"{self._names()}."
            )
        return outputs, cotangents

    def _names(self):
        return ", ".join(variable_name(v) for v in self.variables)

    def _differentiate(self, outputs, cotangents):
        raise NotImplementedError


_UNCONNECTED = (
    "The gradients do not depend on any of the variables {names}, so there is "
    "no Hessian to multiply with. Either the loss is linear in all of them "
    "(its Hessian is zero: use a first-order optimizer), or an operation "
    "without a derivative (`tf.numpy_function`, an integer cast, "
    "`tf.stop_gradient`) lies between the variables and their gradients, or "
    "the gradients were computed in another function than this one."
)
