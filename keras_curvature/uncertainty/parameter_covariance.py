"""Covariance of the weights of a least-squares fit."""

import math
import warnings

import keras
import numpy as np

from keras_curvature._checks import checked_flag
from keras_curvature._typing import Array, Data, Layers
from keras_curvature.autodiff.variables import checksum
from keras_curvature.operators.gauss_newton import GaussNewton
from keras_curvature.operators.triangular_factor import triangular_factor
from keras_curvature.uncertainty._arguments import refuse_other_targets
from keras_curvature.uncertainty._bounds import at_bounds
from keras_curvature.uncertainty._pseudo_inverse import (
    in_words,
    inverse_square_root,
)
from keras_curvature.uncertainty.parameter_errors import ParameterErrors

# Of Bates and Watts, who take a fit for converged below it.
_RELATIVE_OFFSET = 1e-3
# The most directions that a warning names.
_MOST_NAMED = 3


def parameter_covariance(
    model: keras.Model,
    x: Data,
    y: Data | None = None,
    sample_weight: Array | None = None,
    *,
    absolute_errors: bool = False,
    layers: Layers | None = None,
    batch_size: int = 256,
    verbose: int = 0,
) -> ParameterErrors:
    """The errors of the weights of a model that was fitted by least squares.

        covariance = s²·(JᵀWJ)⁻¹,  s² = Σ wᵢ·rᵢ² / (N − p)

    with the residuals rᵢ of N outputs, their weights wᵢ, the Jacobian J of
    the outputs by the p weights of the model. It is what linear regression
    gives exactly, and a nonlinear fit to first order: where the model bends
    little within the errors. From a QR factorization of J, batch after batch.
    Weights at a bound of `keras_curvature.constraints.Box` count as known.

    Args:
        model: `keras.Model` at the minimum of its mean squared error.
        x: Inputs: array, list or dict of arrays, `tf.data.Dataset` of batches,
            or `keras.utils.PyDataset`.
        y: Targets; None for data sets, which yield them. Defaults to `None`.
        sample_weight: wᵢ, or None for data sets and for equal weights.
            Samples of weight 0 do not count. Defaults to `None`.
        absolute_errors: Bool. `True` where the weights are 1/σ² of known
            standard deviations σ of the targets: then s² is 1, as with
            `absolute_sigma` of `scipy.optimize.curve_fit`. With `False` only
            their ratios count. Defaults to `False`.
        layers: Names of layers, paths of weights or patterns whose weights
            were fitted; the others count as known. Defaults to all.
        batch_size: Int, samples of a batch of arrays. Defaults to 256.
        verbose: 0, or 1 for a bar of progress. Defaults to 0.

    Returns:
        `ParameterErrors`, which prints as a table.

    Raises:
        ValueError: if the model is compiled with another loss than the mean
            squared error, or has regularizers; if there are not more outputs
            than weights; if `absolute_errors` comes with several losses; or
            for models and data that `GaussNewton` refuses.

    Warns:
        UserWarning: if the model is not at a minimum; if the data do not
            determine some direction of the weights, which is named. The
            covariance is then that of the others (a pseudo-inverse), and the
            standard error of a weight that it moves is infinite.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_curvature
    from keras_curvature.uncertainty import parameter_covariance

    model = keras_curvature.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, name="line")]
    )
    model.compile(keras_curvature.optimizers.LevenbergMarquardt(), "mse")
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 50)[:, None]
    y = 2 * x + 1 + 0.1 * rng.normal(size=x.shape)
    keras_curvature.solve(model, x, y, verbose=0)
    errors = parameter_covariance(model, x, y)
    print(errors)
    errors.standard_errors  # 0.048 and 0.028
    ```

    References:
        Bates, Watts, 1988, "Nonlinear Regression Analysis and Its
        Applications", chapters 1 and 2.
    """
    checked_flag("absolute_errors", absolute_errors)
    refuse_other_losses(model)
    data = (x, y, sample_weight)
    fit = _Fit(model, data, layers, batch_size=batch_size, verbose=verbose)
    if absolute_errors and fit.noise_unit is None:
        raise ValueError(
            "`absolute_errors` needs a model with one loss: `loss_weights` "
            "and the sizes of several outputs change what 1/σ² counts. "
            f"Received: {fit.losses} losses."
        )
    names = _names(model, fit.variables)
    root, unseen, is_unseen, basis = fit.square_root()
    freedom = fit.factor.rows - root.shape[1]
    if freedom < 1 and not absolute_errors:
        raise _error_of_few_targets(fit.factor.rows, root.shape[1])
    _warn_off_minimum(fit, basis, freedom)
    undetermined = tuple(in_words(direction, names) for direction in unseen)
    _warn_undetermined(undetermined)
    # s of the sum of squares that the triangular factor is of.
    s = math.sqrt(fit.sum_of_squares / max(freedom, 1))
    unit = fit.noise_unit
    return ParameterErrors(
        names=names,
        estimates=fit.estimates,
        root=root * (unit if absolute_errors else s),
        degrees_of_freedom=freedom,
        residual_standard_error=None if unit is None else s / unit,
        absolute_errors=absolute_errors,
        undetermined=undetermined,
        is_undetermined=is_unseen,
        at_bound=fit.held,
        model=model,
        layers=layers,
        checksum=checksum(model),
    )


def _error_of_few_targets(targets, weights):
    return ValueError(
        "There must be more targets than fitted weights, or nothing is left "
        f"to estimate their errors from. Received: {targets} targets with a "
        f"weight, and {weights} weights. Give more data or freeze weights; "
        "with known errors of the targets, pass sample_weight=1/σ² and "
        "absolute_errors=True."
    )


class _Fit:
    """What a covariance is made of.

    Attributes:
        factor: `TriangularFactor` of the sum of squares.
        losses: Int, how many losses there are.
        noise_unit: Float, the length of the residual of 1 of a target with
            the weight 1 in the units of the factor; None for several losses.
        variables: List of the fitted weights.
        estimates: Array of shape `(n,)`, their values.
        held: Array of bools, which of them lie at a bound.
        precision: Float, the rounding of their dtype.
    """

    def __init__(self, model, data, layers, **options):
        # Of several losses compile() says what each of them counts.
        loss = keras.losses.MeanSquaredError(reduction="sum")
        if keras.tree.is_nested(getattr(model, "loss", None)):
            loss = None
        options["layers"] = layers
        operator = GaussNewton(model, *data, loss=loss, **options)
        if loss is not None and len(operator.output_shapes) > 1:
            loss, operator = None, GaussNewton(model, *data, **options)
        if loss is not None and all(operator.output_shapes[0]):
            refuse_other_targets(data[1], operator)
        self.losses = len(operator.output_shapes)
        self.noise_unit = None
        if loss is not None:
            # Keras averages the squares over the last axis.
            entries = [1, *operator.output_shapes[0]][-1]
            self.noise_unit = math.sqrt(2 / entries)
        self.factor = triangular_factor(operator)
        self.variables = operator.variables
        self.held = at_bounds(operator.variables)
        self.precision = np.finfo(operator.dtype.as_numpy_dtype).eps
        weights = operator.flatten([v.value for v in self.variables])
        self.estimates = weights.numpy().astype(float)

    def square_root(self):
        """As `inverse_square_root`; a weight at a bound does not vary."""
        free = ~self.held
        root, unseen, is_unseen, basis = inverse_square_root(
            self.factor.factor[:, free], self.precision
        )
        whole = np.zeros((len(free), root.shape[1]))
        whole[free] = root
        directions = np.zeros((len(unseen), len(free)))
        directions[:, free] = unseen
        moves = np.zeros(len(free), bool)
        moves[free] = is_unseen
        return whole, directions, moves, basis

    @property
    def sum_of_squares(self):
        rotated = np.sum(self.factor.rotated_residuals**2)
        return rotated + self.factor.residual_norm**2


def _names(model, variables):
    """A name for each entry of the weights: "dense/kernel[0,1]"."""
    names = []
    for variable in variables:
        path = variable.path.removeprefix(f"{model.name}/")
        for index in np.ndindex(*variable.shape):
            place = f"[{','.join(map(str, index))}]" if index else ""
            names.append(path + place)
    return names


def refuse_other_losses(model):
    """Raises for a model that is not trained by its mean squared error."""
    for loss in keras.tree.flatten(getattr(model, "loss", None)):
        found = getattr(keras.losses.get(loss), "fn", keras.losses.get(loss))
        if loss is not None and found is not keras.losses.mean_squared_error:
            raise ValueError(
                "A covariance of least squares needs the mean squared error "
                f"as the loss of the model. Received: {loss!r}. Fit with "
                "loss='mse', with sample weights where errors differ."
            )
    if model.losses:
        raise ValueError(
            "A covariance of least squares needs a fit without regularizers "
            "and add_loss(), which pull the weights away from the data. "
            f"Received: {len(model.losses)} such losses."
        )


def _warn_off_minimum(fit, basis, freedom):
    """Warns where the weights could still lower the loss visibly."""
    squares = np.sum((basis.T @ fit.factor.rotated_residuals) ** 2)
    offset = math.sqrt(squares / max(1, basis.shape[1]))
    noise = math.sqrt(max(fit.sum_of_squares - squares, 0) / max(freedom, 1))
    # What rounding of the weights alone changes in the residuals.
    rounding = fit.precision * np.linalg.norm(
        np.abs(fit.factor.factor) @ np.abs(fit.estimates)
    )
    if offset > _RELATIVE_OFFSET * noise and offset > 10 * rounding:
        warnings.warn(
            "The model is not at a minimum of its mean squared error: the "
            f"part of the residuals that the weights can change is "
            f"{offset:.1e}, their noise {noise:.1e} for each degree of "
            "freedom. Train on, with keras_curvature.solve, or the errors "
            "mean little.",
            stacklevel=3,
        )


def _warn_undetermined(directions):
    if not directions:
        return
    shown = "; ".join(directions[:_MOST_NAMED])
    more = len(directions) - _MOST_NAMED
    rest = f" and {more} more directions, see `undetermined`" * (more > 0)
    warnings.warn(
        f"The data do not determine the weights along {shown}{rest}. Their "
        "standard errors are infinite, and the covariance is that of the "
        "other directions. Fix one of these weights, or give data that tell "
        "them apart.",
        stacklevel=3,
    )
