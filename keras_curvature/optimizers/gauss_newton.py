"""The Gauss-Newton method, without matrices, as a Keras optimizer."""

import keras
import tensorflow as tf

from keras_curvature.autodiff.jacobian import Linearization
from keras_curvature.linalg import conjugate_gradient
from keras_curvature.optimizers import _stopping
from keras_curvature.optimizers._checks import checked_integer, checked_number
from keras_curvature.optimizers._damping import updated_damping
from keras_curvature.optimizers._least_squares import LeastSquaresOptimizer
from keras_curvature.optimizers._line_search import backtrack
from keras_curvature.optimizers._objective import flatten, unflatten


@keras.saving.register_keras_serializable(package="keras_curvature")
class GaussNewton(LeastSquaresOptimizer):
    """Damped Gauss–Newton steps by conjugate gradients.

        d ≈ −(JᵀH_L J + λI)⁻¹ ∇L

    J is the Jacobian of the outputs by the weights and H_L the Hessian of the
    loss by the outputs (see `LevenbergMarquardt` for the losses). Only
    products with the matrix are taken, each at about the price of two
    gradients, so that models too large for `LevenbergMarquardt` can be
    trained, and the batch is differentiated as a whole.

    Conjugate gradients stop at ‖residual‖ ≤ min(½, ‖∇L‖/‖∇L₀‖)^½·‖∇L‖ (a
    forcing sequence, for superlinear convergence), or after
    `max_cg_iterations`. A step that lowers the loss by less than a fraction
    of what its slope promises is halved up to `max_halvings` times; where
    none is accepted the weights stay exactly as they were. The damping λ
    follows the gain ratio of the full step.

    Args:
        damping: Float > 0, the first λ, in units of loss / weights².
            Defaults to `1e-3`.
        max_cg_iterations: Int ≥ 1, products with the matrix for one step.
            Defaults to `50`.
        max_halvings: Int ≥ 0. Defaults to `10`.
        gradient_tolerance: Float ≥ 0. `fit` ends when
            ‖∇L‖ ≤ gradient_tolerance·√(2L). Defaults to `0.0`.
        step_tolerance: Float ≥ 0. `fit` ends after a step of
            ‖d‖ ≤ step_tolerance·‖w‖. Defaults to `0.0`.
        loss_tolerance: Float ≥ 0. `fit` ends after a step whose predicted and
            actual relative reductions of the loss are within this. Defaults
            to `0.0`.
        name: String. Defaults to the snake-case class name.

    Raises:
        ValueError: if an argument breaks its rule; at the first step as for
            `LevenbergMarquardt`, except that samples may be mixed.
        RuntimeError: at the first step of a plain Keras model.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_curvature

    x = np.linspace(-1, 1, 200).reshape(-1, 1)
    model = keras_curvature.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(100, activation="tanh"),
            keras.layers.Dense(100, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras_curvature.optimizers.GaussNewton(), "mse")
    model.fit(x, np.sin(4 * x), batch_size=200, epochs=20, verbose=0)
    ```

    References:
        Martens, 2010, "Deep learning via Hessian-free optimization".
        Nocedal, Wright, 2006, "Numerical optimization", algorithms 3.1, 7.1.
        Nielsen, 1999, "Damping parameter in Marquardt's method".
    """

    mixes_samples = True

    def __init__(
        self,
        damping=1e-3,
        max_cg_iterations=50,
        max_halvings=10,
        gradient_tolerance=0.0,
        step_tolerance=0.0,
        loss_tolerance=0.0,
        name=None,
        **kwargs,
    ):
        super().__init__(
            gradient_tolerance, step_tolerance, loss_tolerance, name, **kwargs
        )
        self.damping = checked_positive("damping", damping)
        self.max_cg_iterations = checked_integer(
            "max_cg_iterations", max_cg_iterations, minimum=1
        )
        self.max_halvings = checked_integer(
            "max_halvings", max_halvings, minimum=0
        )

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._damping = self._scalar("damping", initial=self.damping)
        self._growth = self._scalar("damping_growth", initial=2.0)
        self._first_gradient_norm = self._scalar("first_gradient_norm")
