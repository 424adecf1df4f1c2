"""Curvature by nested tapes: the outer tape around a training step."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from keras_curvature._typing import Structure, Variables
from keras_curvature.autodiff._float16 import scale_for_float16, times
from keras_curvature.autodiff.curvature import Curvature
from keras_curvature.autodiff.repairs.context import differentiated_twice
from keras_curvature.autodiff.variables import as_tf_variable


class CurvatureTape:
    """Records a whole training step, so that its gradients can be
    differentiated again.

    The step's own `tf.GradientTape` is the inner tape and this one the outer:

        H·v = ∂(gᵀv)/∂w,  g = ∂L/∂w

    Optimizers of this package that are applied inside the `with` block find
    the tape and take their Hessian products from it. It serves eager loops,
    where the gradients have no graph, and methods that need the outputs of
    the model. `keras_curvature.Model` and `Sequential` open it by themselves.

    Example:

    ```python
    import keras
    import tensorflow as tf
    from keras_curvature.autodiff import CurvatureTape
    from keras_curvature.optimizers import SecondOrderGradient

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    optimizer = SecondOrderGradient("sgd")
    x, y = tf.ones((8, 3)), tf.zeros((8, 1))
    with CurvatureTape():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - y) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
    ```
    """

    _active = threading.local()

    def __init__(self) -> None:
        self._tape = tf.GradientTape(persistent=True)
        self._recording = False
        self._repairs = contextlib.ExitStack()
        # What keras_curvature.Model tells of its step: a
        # keras_curvature.training.TrainingStep, None in a loop of one's own.
        self.training_step: Any = None
        # And a callable that returns the loss scale, where float16 needs one.
        self.loss_scale: Callable[[], tf.Tensor] | None = None

    def __enter__(self) -> CurvatureTape:
        self._repairs.enter_context(differentiated_twice())
        self._tape.__enter__()
        self._recording = True
        self._stack().append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack().remove(self)
        self._recording = False
        self._tape.__exit__(*exception)
        self._repairs.close()

    @classmethod
    def _stack(cls):
        if not hasattr(cls._active, "stack"):
            cls._active.stack = []
        return cls._active.stack

    @classmethod
    def current(cls) -> CurvatureTape | None:
        """The innermost tape open in this thread, or None."""
        stack = cls._stack()
        return stack[-1] if stack else None

    @property
    def is_recording(self) -> bool:
        """Whether operations are being recorded."""
        return self._recording

    def watch(self, variables: Variables) -> None:
        """Records these variables even where they are not trainable."""
        self._tape.watch([as_tf_variable(v) for v in variables])

    @contextlib.contextmanager
    def stop_recording(self) -> Iterator[None]:
        """A context in which operations are not recorded."""
        if not self._recording:
            yield
            return
        self._recording = False
        try:
            with self._tape.stop_recording():
                yield
        finally:
            self._recording = True

    def curvature(
        self,
        gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
        variables: Variables,
    ) -> Curvature:
        """The `Curvature` of a loss whose gradients were taken under the tape.

        Args:
            gradients: List of tensors or `tf.IndexedSlices`.
            variables: List of `keras.Variable`s or `tf.Variable`s.
        """
        return _RecordedCurvature(self, gradients, variables)

    def differentiate(
        self, outputs: Structure, cotangents: Structure, sources: Structure
    ) -> Structure:
        """∂ Σ outputs·cotangents / ∂ sources; None where unconnected."""
        # A persistent tape that still records would also record this.
        with self.stop_recording(), differentiated_twice():
            if self.loss_scale is None:
                return self._tape.gradient(
                    outputs, sources, output_gradients=cotangents
                )
            scale = scale_for_float16(cotangents, self.loss_scale())
            derivatives = self._tape.gradient(
                outputs, sources, output_gradients=times(cotangents, scale)
            )
            return times(derivatives, 1 / scale)


class _RecordedCurvature(Curvature):
    """Hessian products from a `CurvatureTape`."""

    def __init__(self, tape, gradients, variables):
        super().__init__(gradients, variables)
        self._tape = tape

    def _differentiate(self, outputs, cotangents):
        sources = [as_tf_variable(v) for v in self.variables]
        return self._tape.differentiate(outputs, cotangents, sources)
