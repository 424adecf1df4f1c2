"""Data that are drawn anew while a solver runs."""

import keras

from keras_curvature._checks import checked_integer
from keras_curvature.training._whole_batch import whole_batch


class Resampling:
    """Says when new data are due, and draws them.

    Args:
        resample: Callable that maps the model to `x`, `(x, y)` or `(x, y,
            sample_weight)`, or None.
        period: Int ≥ 1, steps between two draws.
    """

    def __init__(self, resample, period):
        if resample is not None and not callable(resample):
            raise TypeError(
                "`resample` must be a callable that maps the model to new "
                f"data, or None. Received: {type(resample).__name__}."
            )
        self._resample = resample
        self._period = checked_integer("resample_period", period, minimum=1)
        # Where the last data were drawn, and whether because of an end.
        self._step, self._is_after_end = 0, False

    def steps_left(self, step):
        """How many steps the data are still good for; None for ever."""
        if self._resample is None:
            return None
        return self._step + self._period - step

    def follows_end(self, solver):
        """Whether a run that has ended goes on with new data.

        Not if it ended on the data before as well.
        """
        return (
            self._resample is not None
            and solver.converged
            and not self._is_after_end
        )

    def draw(self, model, data, step):
        """New data, announced to the solver; the model has the accepted point.

        Args:
            model: The model.
            data: `(x, y, sample_weight)` so far.
            step: Int, the steps made so far.
        """
        solver = model.optimizer
        solver.restore_accepted_point()
        self._is_after_end = solver.converged
        drawn = self._resample(model)
        parts = drawn if isinstance(drawn, tuple) else (drawn,)
        new = whole_batch(*parts, *data[len(parts) :])
        _check_shapes(new, data)
        solver.announce_new_data()
        self._step = step
        return new


def _check_shapes(new, data):
    specs = [keras.tree.map_structure(_spec, part) for part in (new, data)]
    if specs[0] != specs[1]:
        raise ValueError(
            "`resample` must return data of the shapes and dtypes that the "
            f"first data have. Received: {specs[0]} after {specs[1]}."
        )


def _spec(leaf):
    return None if leaf is None else (leaf.dtype.name, *leaf.shape)
