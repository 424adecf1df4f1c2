"""All data of a training as one batch of tensors."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature.training._lost_digits import warn_of_lost_digits


def whole_batch(x, y=None, sample_weight=None):
    """The data as one batch `(x, y, sample_weight)` of tensors.

    Args:
        x: Array or nested structure of arrays; or a `tf.data.Dataset` or
            `keras.utils.PyDataset`, whose elements are put one behind the
            other.
        y: The same, or None.
        sample_weight: The same, or None.
    """
    if isinstance(x, (tf.data.Dataset, keras.utils.PyDataset)):
        if y is not None or sample_weight is not None:
            raise ValueError(
                "`y` and `sample_weight` must be None where `x` is a dataset, "
                "whose elements hold them: (x, y) or (x, y, sample_weight). "
                f"Received: x={type(x).__name__} and one of them besides."
            )
        data = _joined(_elements(x))
    else:
        _refuse_kind(x)
        data = (x, y, sample_weight)
    data = keras.tree.map_structure(_tensor, data)
    _check_lengths(*data)
    x, y, _ = data
    warn_of_lost_digits(x, y)
    return keras.tree.map_structure(_as_float, data)


def _elements(dataset):
    """All elements of a dataset, as `(x, y, sample_weight)`."""
    if isinstance(dataset, tf.data.Dataset):
        is_endless = dataset.cardinality() == tf.data.INFINITE_CARDINALITY
        elements = dataset
    else:
        is_endless = dataset.num_batches is None
        elements = (dataset[i] for i in range(dataset.num_batches or 0))
    if is_endless:
        raise ValueError(
            "`x` must come to an end: solve() takes all its elements as one "
            "batch. Received: a dataset of infinite length. Leave out "
            "repeat()."
        )
    unpack = keras.utils.unpack_x_y_sample_weight
    return [unpack(element) for element in elements]


def _joined(elements):
    if not elements:
        raise ValueError(
            "`x` must hold data. Received: a dataset without elements."
        )
    if len(elements) == 1:
        return elements[0]
    return keras.tree.map_structure(
        lambda *parts: None if parts[0] is None else tf.concat(parts, axis=0),
        *elements,
    )


def _refuse_kind(x):
    is_loader = type(x).__name__ == "DataLoader"
    if x is None or is_loader or callable(x) or hasattr(x, "__next__"):
        raise TypeError(
            "`x` must be an array, a nested structure of arrays, a "
            "tf.data.Dataset or a keras.utils.PyDataset. Received: "
            f"{type(x).__name__}. Put its batches together with "
            "np.concatenate()."
        )


def _tensor(value):
    """A leaf as a tensor."""
    if value is None or isinstance(value, (tf.RaggedTensor, tf.SparseTensor)):
        return value
    if hasattr(value, "iloc"):
        # As Keras takes what comes from pandas.
        value = value.to_numpy()
        value = value[:, np.newaxis] if value.ndim == 1 else value
    if not tf.is_tensor(value):
        # Not directly: TensorFlow would make numbers of Python single.
        value = np.asarray(value)
        if value.dtype == object:
            raise ValueError(
                "`x`, `y` and `sample_weight` must hold arrays of one shape "
                "for all samples. Received: an array of objects. Pad the "
                "samples to one length, or make tf.ragged.constant(...) of "
                "them."
            )
    value = tf.convert_to_tensor(value)
    if value.shape.rank == 0:
        raise ValueError(
            "`x`, `y` and `sample_weight` must be arrays with a first axis of "
            "samples. Received: a number, as where data are a list of "
            "numbers. Use np.array(...)."
        )
    return value


def _as_float(value):
    """A leaf in the float type of Keras, if it is of dense floats."""
    if not tf.is_tensor(value) or not value.dtype.is_floating:
        return value
    return tf.cast(value, keras.config.floatx())


def length(leaf):
    """The number of samples of a leaf, or None."""
    return None if leaf is None else leaf.shape[0]


def _check_lengths(x, y, sample_weight):
    leaves = keras.tree.flatten((x, y, sample_weight))
    if 0 in [length(leaf) for leaf in leaves]:
        raise ValueError(
            "`x`, `y` and `sample_weight` must hold samples. Received: an "
            "array of length 0."
        )
    for name, given in (("y", y), ("sample_weight", sample_weight)):
        for key, own, of_x in _pairs(given, x):
            if own != of_x:
                raise ValueError(
                    f"`{name}` must have an entry for each sample of `x`. "
                    f"Received: {name}{key} of length {own} and x{key} of "
                    f"length {of_x}."
                )


def _pairs(given, x):
    """Lengths that must be the same: (key, of `given`, of `x`)."""
    if isinstance(given, dict) and isinstance(x, dict):
        # Point sets: each has the targets of its own name. A condition on
        # all points together, an integral say, has a name that is none.
        shared = [key for key in given if key in x]
        for key in shared:
            for _, own, of_x in _pairs(given[key], x[key]):
                yield f"[{key!r}]", own, of_x
        return
    lengths = {length(leaf) for leaf in keras.tree.flatten(x)}
    if len(lengths) == 1:
        for leaf in keras.tree.flatten(given):
            if leaf is not None:
                yield "", length(leaf), *lengths
