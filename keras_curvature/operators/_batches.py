"""A data set as batches that can be gone through again and again."""

import keras
import numpy as np
import tensorflow as tf

from keras_curvature._checks import checked_integer


class Batches:
    """Batches `(x, y, sample_weight)` of tensors, of arrays or a data set.

    Args:
        x: Array, structure of arrays, `tf.data.Dataset` of batches or
            `keras.utils.PyDataset`.
        y: Targets, for arrays only.
        sample_weight: Weights, for arrays only.
        batch_size: Int, samples of a batch, for arrays only.

    Attributes:
        count: Number of batches, None where a data set does not know it.
    """

    def __init__(self, x, y, sample_weight, batch_size):
        is_data_set = isinstance(x, (tf.data.Dataset, keras.utils.PyDataset))
        if is_data_set and not (y is None and sample_weight is None):
            raise ValueError(
                "`y` and `sample_weight` must be None where `x` is a data set, "
                f"which yields them. Received: x={x!r} and others."
            )
        if isinstance(x, tf.data.Dataset):
            self.count, self._batches = _of_dataset(x)
        elif isinstance(x, keras.utils.PyDataset):
            self.count, self._batches = _of_py_dataset(x)
        else:
            self.count, self._batches = _of_arrays(
                (x, y, sample_weight), batch_size
            )

    def __iter__(self):
        for batch in self._batches():
            batch = keras.utils.unpack_x_y_sample_weight(batch)
            yield tf.nest.map_structure(_as_tensor, batch)


def _of_dataset(dataset):
    count = int(dataset.cardinality())
    if count == tf.data.INFINITE_CARDINALITY:
        raise ValueError(_INFINITE.format(data=dataset, way=".take(n)"))
    return (count if count >= 0 else None), lambda: dataset


def _of_py_dataset(dataset):
    count = dataset.num_batches
    if count is None:
        raise ValueError(_INFINITE.format(data=dataset, way="a num_batches"))

    def batches():
        for index in range(count):
            yield dataset[index]
        dataset.on_epoch_end()

    return count, batches


_INFINITE = (
    "A data set must have an end, since a product needs all of it. Received: "
    "{data!r}, which has none. Give it {way}."
)


def _of_arrays(data, batch_size):
    batch_size = checked_integer("batch_size", batch_size, 1)
    data = tf.nest.map_structure(_as_array, _without_lists(data))
    arrays = [a for a in tf.nest.flatten(data) if a is not None]
    lengths = sorted({len(a) for a in arrays})
    if len(lengths) != 1 or not lengths[0]:
        raise ValueError(
            "`x`, `y` and `sample_weight` must hold the same number of "
            f"samples, at least one. Received: arrays of {lengths} samples. "
            "A list of lists is several arrays: make one of it."
        )
    size = lengths[0]

    def batches():
        if size <= batch_size:
            # A slice of a whole tensor takes longer than all else here.
            yield data
            return
        for start in range(0, size, batch_size):
            rows = slice(start, start + batch_size)
            yield tf.nest.map_structure(
                lambda a, rows=rows: None if a is None else a[rows], data
            )

    return -(-size // batch_size), batches


def _without_lists(data):
    """Lists of numbers are arrays; lists of arrays are several inputs."""
    if isinstance(data, dict):
        return {key: _without_lists(value) for key, value in data.items()}
    if isinstance(data, tuple):
        return tuple(_without_lists(value) for value in data)
    if isinstance(data, list):
        if data and all(map(_is_number, data)):
            return np.asarray(data)
        return [_without_lists(value) for value in data]
    return data


def _is_number(value):
    # np.ndim makes an array of whatever it is given.
    is_nested = isinstance(value, (dict, list, tuple))
    return not is_nested and np.ndim(value) == 0


def _as_array(value):
    if isinstance(value, (tf.RaggedTensor, tf.SparseTensor)):
        raise ValueError(
            "`x`, `y` and `sample_weight` must be dense. Received: a "
            f"{type(value).__name__}. Make it dense, for example by "
            "to_tensor() with padding that a layer masks."
        )
    if value is None or isinstance(value, (np.ndarray, tf.Tensor)):
        return _with_rows(value)
    if hasattr(value, "shape"):
        return _with_rows(np.asarray(value))
    raise ValueError(
        "`x` must be an array, a structure of arrays, a tf.data.Dataset of "
        "batches or a keras.utils.PyDataset, which can be gone through more "
        f"than once. Received: {type(value).__name__}."
    )


def _with_rows(array):
    if array is not None and len(array.shape) == 0:
        raise ValueError(
            "`x`, `y` and `sample_weight` must have an axis of samples. "
            f"Received: a scalar, {array!r}."
        )
    return array


def _as_tensor(value):
    if value is None:
        return value
    if isinstance(value, np.ndarray):
        # Sooner than what asks for tensors and converts anything.
        return tf.constant(value)
    return value if tf.is_tensor(value) else tf.convert_to_tensor(value)
