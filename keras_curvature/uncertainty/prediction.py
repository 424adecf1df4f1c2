"""Predictions with what is not known about them."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a model predicts, and how far the weights leave it open.

    Attributes:
        mean: Array of shape `(batch, outputs)`: the outputs of the model; for
            classes, its logits.
        covariance: Array of shape `(batch, outputs, outputs)`, how much of
            that the weights leave open (epistemic): J·P⁻¹·Jᵀ.
        noise_variance: Float, the variance of the targets' own errors
            (aleatoric); None for classes, whose probabilities say it.
        probabilities: Array of shape `(batch, outputs)` for classes, else
            None.

    Example:

    ```python
    import numpy as np
    from keras_curvature.uncertainty import Prediction

    prediction = Prediction(np.zeros((1, 1)), np.ones((1, 1, 1)), 3.0, None)
    prediction.epistemic_variance, prediction.variance  # [[1.]], [[4.]]
    ```
    """

    mean: np.ndarray
    covariance: np.ndarray
    noise_variance: float | None
    probabilities: np.ndarray | None

    @property
    def epistemic_variance(self) -> np.ndarray:
        """The variance of each output, of shape `(batch, outputs)`."""
        return np.diagonal(self.covariance, axis1=1, axis2=2)

    @property
    def variance(self) -> np.ndarray:
        """The variance of a new target: epistemic plus aleatoric.

        Raises:
            ValueError: for classes.
        """
        if self.noise_variance is None:
            raise ValueError(
                "Targets that are classes have probabilities and no "
                "variance. Received: a prediction of a classifier. Use "
                "`probabilities`, or `epistemic_variance` of the logits."
            )
        return self.epistemic_variance + self.noise_variance
