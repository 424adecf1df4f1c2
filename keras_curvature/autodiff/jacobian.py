"""Products with the Jacobian of a model's outputs."""

from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from keras_curvature._checks import checked_choice
from keras_curvature._typing import Structure, Variables, Vectors
from keras_curvature.autodiff.hessian import refuse_unconnected
from keras_curvature.autodiff.repairs.context import differentiated_twice
from keras_curvature.autodiff.variables import (
    as_tf_variable,
    checked_vectors,
    refuse_complex,
)


class Linearization:
    """The outputs of a function of variables, and products with its Jacobian.

    One forward pass serves any number of products.

    Args:
        outputs_fn: Callable without arguments that returns a tensor or a
            nested structure of tensors.
        variables: List of `keras.Variable`s or `tf.Variable`s.
        unconnected_gradients: `"error"`, or `"zero"` where the outputs may be
            independent of a variable, whose products are then zero. Defaults
            to `"error"`.

    Attributes:
        outputs: What `outputs_fn` returned.

    Raises:
        ValueError: if `unconnected_gradients` is another string.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.autodiff import Linearization

    w = tf.Variable([1.0, 2.0])
    linearization = Linearization(lambda: w**2, [w])
    linearization.outputs  # [1, 4]
    linearization.jacobian_vector_product([[1.0, 1.0]])  # [2, 4]
    linearization.vector_jacobian_product(tf.constant([1.0, 0.0]))  # [[2, 0]]
    ```
    """

    def __init__(
        self,
        outputs_fn: Callable[[], Structure],
        variables: Variables,
        unconnected_gradients: Literal["error", "zero"] = "error",
    ) -> None:
        self._unconnected = checked_choice(
            "unconnected_gradients", unconnected_gradients, ("error", "zero")
        )
        self.variables = list(variables)
        self._sources = [as_tf_variable(v) for v in self.variables]
        self._tape = tf.GradientTape(persistent=True)
        with differentiated_twice(), self._tape:
            self._tape.watch(self._sources)
            self.outputs = outputs_fn()
        self._flat = tf.nest.flatten(self.outputs)
        refuse_complex(
            [t for t in self._flat if tf.is_tensor(t)], "The outputs"
        )

    def vector_jacobian_product(self, cotangents: Structure) -> list[tf.Tensor]:
        """Jᵀ·u, a list of tensors shaped as the variables.

        Args:
            cotangents: u, tensors in the structure of the outputs.
        """
        return self._pull_back(_checked_cotangents(cotangents, self.outputs))

    def jacobian_vector_product(self, vectors: Vectors) -> Structure:
        """J·v, tensors in the structure of the outputs.

        Args:
            vectors: List of tensors with the shapes of the variables, None
                for zero.
        """
        return self.pushforward()(vectors)

    def pushforward(self) -> Callable[[Vectors], Structure]:
        """A callable v → J·v; its calls share a pass that is the same for all.

        Args and Returns of the callable: see `jacobian_vector_product`.
        """
        # Jᵀu is linear in u, so its derivative by u, applied to v, is J·v:
        # two reverse passes, each exact. Forward accumulation is silently
        # zero for variables read inside an inner tf.function.
        cotangents = [tf.zeros_like(output) for output in self._flat]
        tape = tf.GradientTape(persistent=True)
        with differentiated_twice(), tape:
            tape.watch(cotangents)
            pulled = self._pull_back(cotangents)

        def push(vectors):
            vectors = [
                tf.zeros_like(p) if vector is None else tf.cast(vector, p.dtype)
                for vector, p in zip(
                    checked_vectors(vectors, self.variables),
                    pulled,
                    strict=True,
                )
            ]
            with differentiated_twice():
                pushed = tape.gradient(
                    pulled,
                    cotangents,
                    output_gradients=vectors,
                    unconnected_gradients="zero",
                )
            return tf.nest.pack_sequence_as(self.outputs, pushed)

        return push

    def _pull_back(self, cotangents):
        pulled = self._tape.gradient(
            self._flat,
            self._sources,
            output_gradients=cotangents,
            unconnected_gradients=(
                "none" if self._unconnected == "error" else "zero"
            ),
        )
        refuse_unconnected(pulled, self.variables, "The outputs")
        return [tf.convert_to_tensor(p) for p in pulled]


def jacobian_vector_product(
    outputs_fn: Callable[[], Structure],
    variables: Variables,
    vectors: Vectors,
    unconnected_gradients: Literal["error", "zero"] = "error",
) -> Structure:
    """J·v of the outputs of a function of variables, J = ∂outputs/∂variables.

    Args:
        outputs_fn: Callable without arguments that returns a tensor or a
            nested structure of tensors.
        variables: List of `keras.Variable`s or `tf.Variable`s.
        vectors: v, a list of tensors with the shapes of the variables, None
            for zero.
        unconnected_gradients: `"error"`, or `"zero"` where the outputs may be
            independent of a variable. Defaults to `"error"`.

    Returns:
        Tensors in the structure and shapes of the outputs.

    Raises:
        ValueError: if the outputs do not depend on one of the variables, or
            the vectors do not have the shapes of the variables.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.autodiff import jacobian_vector_product

    w = tf.Variable([1.0, 2.0])
    jacobian_vector_product(lambda: w**2, [w], [[1.0, 1.0]])  # [2, 4]
    ```
    """
    linearization = Linearization(outputs_fn, variables, unconnected_gradients)
    return linearization.jacobian_vector_product(vectors)


def vector_jacobian_product(
    outputs_fn: Callable[[], Structure],
    variables: Variables,
    cotangents: Structure,
    unconnected_gradients: Literal["error", "zero"] = "error",
) -> list[tf.Tensor]:
    """Jᵀ·u of the outputs of a function of variables.

    Args:
        outputs_fn: Callable without arguments that returns a tensor or a
            nested structure of tensors.
        variables: List of `keras.Variable`s or `tf.Variable`s.
        cotangents: u, tensors in the structure and shapes of the outputs.
        unconnected_gradients: `"error"`, or `"zero"` where the outputs may be
            independent of a variable. Defaults to `"error"`.

    Returns:
        List of tensors with the shapes of the variables.

    Raises:
        ValueError: if the outputs do not depend on one of the variables, or
            the cotangents do not have the shapes of the outputs.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.autodiff import vector_jacobian_product

    w = tf.Variable([1.0, 2.0])
    vector_jacobian_product(lambda: w**2, [w], tf.constant([1.0, 1.0]))
    # [[2, 4]]
    ```
    """
    linearization = Linearization(outputs_fn, variables, unconnected_gradients)
    return linearization.vector_jacobian_product(cotangents)


def _checked_cotangents(cotangents, outputs):
    """The cotangents as tensors with the shapes and dtypes of the outputs."""
    if tf.nest.is_nested(outputs):
        tf.nest.assert_same_structure(outputs, cotangents)
        cotangents = tf.nest.flatten(cotangents)
    else:
        cotangents = [cotangents]
    checked = []
    for cotangent, output in zip(
        cotangents, tf.nest.flatten(outputs), strict=True
    ):
        cotangent = tf.convert_to_tensor(cotangent, dtype_hint=output.dtype)
        if not cotangent.shape.is_compatible_with(output.shape):
            raise ValueError(
                "`cotangents` must have the shapes of the outputs. Received: "
                f"a cotangent of shape {tuple(cotangent.shape)} for an output "
                f"of shape {tuple(output.shape)}."
            )
        checked.append(tf.cast(cotangent, output.dtype))
    return checked
