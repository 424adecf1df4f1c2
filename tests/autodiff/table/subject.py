"""The function whose derivatives a row measures."""

import keras
import numpy as np
import tensorflow as tf

BATCH = 3


class Subject(keras.Model):
    """What a row describes, behind trained inputs and a bounded output."""

    def __init__(self, case):
        super().__init__(dtype=case.dtype)
        self.case = case
        self.training = case.training
        self.inner = case.make()
        self.size = case.size or max(2.0, case.range[1])
        self.scales = [self._weight(shape, 0.7) for shape in case.shapes]
        self.shifts = [self._weight(shape, 0.1) for shape in case.shapes]
        rng = np.random.default_rng(5)
        self.samples = [
            rng.normal(size=(BATCH, *shape)).astype(case.dtype)
            for shape in case.shapes
        ]
        # Else Keras would build the inner layer in a scratch graph.
        self.built = True

    def _weight(self, shape, mean):
        return self.add_weight(
            shape=shape,
            initializer=keras.initializers.RandomNormal(mean, 0.2),
        )

    def call(self, samples):
        low, high = self.case.range
        tensors = [
            low + (high - low) * (tf.tanh(a.value * x + b.value) + 1) / 2
            for a, x, b in zip(self.scales, samples, self.shifts, strict=True)
        ]
        if self.case.call is not None:
            return self.case.call(self.inner, tensors, self.training)
        if self.inner._call_has_training_arg:
            return self.inner(tensors[0], training=self.training)
        return self.inner(tensors[0])

    def bounded(self, samples=None):
        """All floating-point outputs of each sample, between -1 and 1."""
        outputs = self(self.samples if samples is None else samples)
        outputs = [
            tf.tanh(float64(output) / self.size)
            for output in tf.nest.flatten(outputs)
            if output.dtype.is_floating
        ]
        if outputs[0].shape.rank == 0:
            return outputs[0]
        return tf.concat(
            [tf.reshape(o, [tf.shape(o)[0], -1]) for o in outputs], 1
        )

    def objective(self):
        """A scalar with a dense second derivative."""
        value = curved(self.bounded())
        return value + sum(float64(loss) for loss in self.losses)


def float64(x):
    return tf.cast(x, tf.float64)


def weights_of(y):
    """Fixed coefficients in the shape of an output."""
    places = tf.range(1, tf.size(y) + 1)
    return tf.reshape(tf.cos(float64(places)), tf.shape(y))


def curved(y):
    """P² + P with P = Σ c·y, whose Hessian is 2·c·cᵀ."""
    projection = tf.reduce_sum(weights_of(y) * y)
    return projection**2 + projection


def flat(tensors):
    """One vector of all entries, as NumPy."""
    return np.concatenate(
        [np.ravel(tf.convert_to_tensor(t)).astype("float64") for t in tensors]
    )
