"""Products with the generalized Gauss-Newton matrix."""

from collections.abc import Callable

import tensorflow as tf

from keras_curvature._typing import Structure, Variables, Vectors
from keras_curvature.autodiff.hessian import refuse_unless_scalar
from keras_curvature.autodiff.jacobian import Linearization
from keras_curvature.autodiff.repairs.context import differentiated_twice


def gauss_newton_vector_product(
    outputs_fn: Callable[[], Structure],
    loss_fn: Callable[[Structure], tf.Tensor],
    variables: Variables,
    vectors: Vectors,
) -> list[tf.Tensor]:
    """G·v with the generalized Gauss–Newton matrix G = Jᵀ·H_L·J.

    J is the Jacobian of the outputs by the variables and H_L the Hessian of
    the loss by the outputs. G is positive semi-definite where the loss is
    convex in the outputs, and equals the Hessian where the outputs are linear
    in the variables.

    Args:
        outputs_fn: Callable without arguments that returns the outputs, a
            tensor or a nested structure of tensors.
        loss_fn: Callable that maps such outputs to a scalar tensor.
        variables: List of `keras.Variable`s or `tf.Variable`s.
        vectors: v, a list of tensors with the shapes of the variables, None
            for zero.

    Returns:
        List of tensors with the shapes of the variables.

    Raises:
        ValueError: if the outputs do not depend on one of the variables, the
            loss is not a scalar, or it is linear in the outputs, so that its
            Gauss–Newton matrix is zero.

    Example:

    ```python
    import tensorflow as tf
    from keras_curvature.autodiff import gauss_newton_vector_product

    w = tf.Variable([1.0, 2.0])
    gauss_newton_vector_product(
        lambda: w**2,
        lambda outputs: tf.reduce_sum(outputs**2) / 2,
        [w],
        [[1.0, 1.0]],
    )  # [[4, 16]]: J = diag(2 w), H_L = I
    ```

    References:
        Schraudolph, 2002, "Fast curvature matrix-vector products for
        second-order gradient descent", Neural Computation 14(7).
    """
    linearization = Linearization(outputs_fn, variables)
    pushed = linearization.jacobian_vector_product(vectors)
    curved = output_hessian_vector_product(
        loss_fn, linearization.outputs, pushed
    )
    return linearization.vector_jacobian_product(curved)


def output_hessian_vector_product(loss_fn, outputs, vectors):
    """H_L·u, the Hessian of a loss by the outputs of a model.

    Args:
        loss_fn: Callable that maps outputs to a scalar tensor.
        outputs: Tensor or nested structure of tensors.
        vectors: u, tensors in the structure of the outputs.

    Returns:
        Tensors in the structure of the outputs.
    """
    return OutputHessian(loss_fn, outputs).product(vectors)


class OutputHessian:
    """H_L, the Hessian of a loss by the outputs of a model.

    One evaluation of the loss serves any number of products.

    Args:
        loss_fn: Callable that maps outputs to a scalar tensor.
        outputs: Tensor or nested structure of tensors.

    Attributes:
        gradients: ∂L/∂outputs, a list of tensors, None where unconnected.
    """

    def __init__(self, loss_fn, outputs):
        self._structure = outputs
        self._flat = [tf.stop_gradient(o) for o in tf.nest.flatten(outputs)]
        self._tape = tf.GradientTape(persistent=True)
        with differentiated_twice(), self._tape:
            self._tape.watch(self._flat)
            with tf.GradientTape() as inner:
                inner.watch(self._flat)
                loss = tf.convert_to_tensor(
                    loss_fn(tf.nest.pack_sequence_as(outputs, self._flat))
                )
            refuse_unless_scalar(loss)
            self.gradients = inner.gradient(loss, self._flat)

    def product(self, vectors):
        """H_L·u.

        Args:
            vectors: u, tensors in the structure of the outputs.

        Returns:
            Tensors in the structure of the outputs.
        """
        connected = [
            (gradient, vector)
            for gradient, vector in zip(
                self.gradients, tf.nest.flatten(vectors), strict=True
            )
            if gradient is not None
        ]
        products = [None] * len(self._flat)
        if connected:
            gradients, cotangents = map(list, zip(*connected, strict=True))
            with differentiated_twice():
                products = self._tape.gradient(
                    gradients, self._flat, output_gradients=cotangents
                )
        if all(product is None for product in products):
            raise ValueError(
                "`loss_fn` must have a second derivative by the outputs. "
                "Received: a loss that is linear in them or does not depend "
                "on them; its Gauss–Newton matrix is zero."
            )
        return tf.nest.pack_sequence_as(
            self._structure,
            [
                tf.zeros_like(output) if product is None else product
                for product, output in zip(products, self._flat, strict=True)
            ],
        )
