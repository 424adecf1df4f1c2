"""Tensor arrays, ragged tensors and compressed sparse matrices."""

import tensorflow as tf

from tests.autodiff.operations.points import NORMAL

raw = tf.raw_ops
_PLACES = [[0, 0], [0, 2], [1, 1], [2, 0]]


def _array(w, **kwargs):
    return tf.TensorArray("float64", 3, **kwargs).unstack(tf.square(w))


def _ragged(w):
    return tf.RaggedTensor.from_row_lengths(tf.reshape(w, [-1]), [2, 0, 7])


def _csr(w):
    return raw.DenseToCSRSparseMatrix(dense_input=w, indices=_PLACES)


def _dense(matrix):
    return raw.CSRSparseMatrixToDense(sparse_input=matrix, type=tf.float64)


def _list(w):
    return raw.TensorListFromTensor(tensor=tf.square(w), element_shape=[3])


def _stack(handle):
    return raw.TensorListStack(
        input_handle=handle, element_shape=[3], element_dtype=tf.float64
    )


def rows():
    functions = {
        "TensorArray.concat": lambda w: _array(w).concat(),
        "TensorArray.gather": lambda w: _array(w).gather([2, 0]),
        "TensorArray.scatter": lambda w: (
            tf.TensorArray("float64", 3)
            .scatter([2, 0, 1], tf.square(w))
            .stack()
        ),
        "TensorArray.split": lambda w: (
            tf.TensorArray("float64", 2, infer_shape=False)
            .split(tf.square(w), [1, 2])
            .read(1)
        ),
        "raw_ops.TensorListResize": lambda w: _stack(
            raw.TensorListResize(input_handle=_list(w), size=2)
        ),
        "raw_ops.TensorListScatter": lambda w: _stack(
            raw.TensorListScatter(
                tensor=tf.square(w), indices=[2, 0, 1], element_shape=[3]
            )
        ),
        "raw_ops.TensorListScatterV2": lambda w: _stack(
            raw.TensorListScatterV2(
                tensor=tf.square(w),
                indices=[2, 0, 1],
                element_shape=[3],
                num_elements=3,
            )
        ),
        "raw_ops.TensorListScatterIntoExistingList": lambda w: _stack(
            raw.TensorListScatterIntoExistingList(
                input_handle=_list(w), tensor=w[:1] ** 3, indices=[1]
            )
        ),
        "gather, ragged": lambda w: tf.gather(_ragged(w), [2, 0, 2]).values,
        "RaggedTensor.to_sparse": lambda w: _ragged(w).to_sparse().values,
        "map_fn, ragged": lambda w: tf.map_fn(
            lambda x: x**3,
            _ragged(w),
            fn_output_signature=tf.RaggedTensorSpec([None], tf.float64, 0),
        ).to_tensor(),
        "raw_ops.RaggedFillEmptyRows": lambda w: raw.RaggedFillEmptyRows(
            value_rowids=tf.constant([0, 0, 2], tf.int64),
            values=w[0] ** 2,
            nrows=tf.constant(4, tf.int64),
            default_value=w[1, 0],
        )[1],
        "raw_ops.DenseToCSRSparseMatrix": lambda w: _dense(_csr(w)),
        "raw_ops.SparseMatrixTranspose": lambda w: _dense(
            raw.SparseMatrixTranspose(input=_csr(w), type=tf.float64)
        ),
        "raw_ops.SparseTensorToCSRSparseMatrix": lambda w: (
            raw.CSRSparseMatrixToSparseTensor(
                sparse_matrix=raw.SparseTensorToCSRSparseMatrix(
                    indices=tf.constant(_PLACES, tf.int64),
                    values=tf.reshape(w, [-1])[:4] ** 2,
                    dense_shape=tf.constant([3, 3], tf.int64),
                ),
                type=tf.float64,
            )[1]
        ),
    }
    return {name: (f, NORMAL) for name, f in functions.items()}
