"""Operations that `tf.raw_ops` has beside those of public functions."""

import tensorflow as tf

from tests.autodiff.operations.points import NORMAL, POSITIVE, REGULAR

raw = tf.raw_ops


def _complex(w):
    return tf.complex(w, tf.square(w))


def rows():
    positive = {
        "Div": lambda w: raw.Div(x=w, y=tf.square(w) + 1),
        "Inv": lambda w: raw.Inv(x=w),
        "InvGrad": lambda w: raw.InvGrad(y=w, dy=tf.square(w)),
        "ReciprocalGrad": lambda w: raw.ReciprocalGrad(y=w, dy=tf.square(w)),
        "RsqrtGrad": lambda w: raw.RsqrtGrad(y=w, dy=tf.square(w)),
        "SqrtGrad": lambda w: raw.SqrtGrad(y=w, dy=tf.square(w)),
        "TruncateDiv": lambda w: w * raw.TruncateDiv(x=w, y=w[::-1]),
    }
    regular = {
        "BatchMatMul": lambda w: raw.BatchMatMul(x=w, y=tf.square(w)),
        "BatchMatMulV3": lambda w: raw.BatchMatMulV3(
            x=w, y=tf.square(w), Tout=tf.float64
        ),
        "Eig": lambda w: tf.abs(raw.Eig(input=w, Tout=tf.complex128)[0]),
        "MatrixSolveLs": lambda w: raw.MatrixSolveLs(
            matrix=w,
            rhs=tf.square(w),
            l2_regularizer=tf.constant(0.1, tf.float64),
            fast=True,
        ),
    }
    functions = {
        "Add": lambda w: raw.Add(x=w, y=w[0] ** 2),
        "BatchToSpace": lambda w: raw.BatchToSpace(
            input=tf.reshape(w[:2, :2], [4, 1, 1, 1]) ** 2,
            crops=[[0, 0], [0, 0]],
            block_size=2,
        ),
        "BiasAddV1": lambda w: raw.BiasAddV1(value=w, bias=w[0] ** 2),
        "Ceil": lambda w: w * tf.math.ceil(w),
        "CheckNumerics": lambda w: raw.CheckNumerics(tensor=w, message="w"),
        "CheckNumericsV2": lambda w: raw.CheckNumericsV2(tensor=w, message="w"),
        "ClipByValue": lambda w: raw.ClipByValue(
            t=tf.square(w),
            clip_value_min=w[0, 0] - 1,
            clip_value_max=w[0, 0] ** 2 + 1,
        ),
        "Concat": lambda w: raw.Concat(concat_dim=0, values=[w, tf.square(w)]),
        "ConjugateTranspose": lambda w: tf.math.real(
            _complex(w) * tf.linalg.adjoint(_complex(w))
        ),
        "Diag": tf.linalg.tensor_diag,
        "DiagPart": tf.linalg.tensor_diag_part,
        "EnsureShape": lambda w: tf.ensure_shape(w, [3, 3]),
        "Gather": lambda w: raw.Gather(params=tf.square(w), indices=[0, 0, 2]),
        "MatrixDiag": lambda w: raw.MatrixDiag(diagonal=w),
        "MatrixDiagPart": lambda w: raw.MatrixDiagPart(input=w),
        "MatrixDiagPartV2": lambda w: raw.MatrixDiagPartV2(
            input=w, k=1, padding_value=tf.constant(0.0, tf.float64)
        ),
        "MatrixDiagV2": lambda w: raw.MatrixDiagV2(
            diagonal=w,
            k=1,
            num_rows=-1,
            num_cols=-1,
            padding_value=tf.constant(0.0, tf.float64),
        ),
        "MatrixSetDiag": lambda w: raw.MatrixSetDiag(
            input=w, diagonal=w[0] ** 2
        ),
        "MatrixSetDiagV2": lambda w: raw.MatrixSetDiagV2(
            input=w, diagonal=w[0, :2] ** 2, k=1
        ),
        "NthElement": lambda w: raw.NthElement(input=w, n=1),
        "PadV2": lambda w: tf.pad(w, [[1, 1]] * 2, constant_values=1),
        "PlaceholderWithDefault": lambda w: raw.PlaceholderWithDefault(
            input=w, shape=[3, 3]
        ),
        "Reverse": lambda w: raw.Reverse(tensor=w, dims=[True, False]),
        "Rint": lambda w: w * tf.math.rint(w),
        "Round": lambda w: w * tf.round(w),
        "ScatterNdNonAliasingAdd": lambda w: raw.ScatterNdNonAliasingAdd(
            input=w, indices=[[0], [0]], updates=w[1:] ** 2
        ),
        "SigmoidGrad": lambda w: raw.SigmoidGrad(y=w, dy=tf.square(w)),
        "SoftplusGrad": lambda w: raw.SoftplusGrad(
            gradients=tf.square(w), features=w[::-1]
        ),
        "EluGrad": lambda w: raw.EluGrad(
            gradients=tf.square(w), outputs=w[::-1]
        ),
        "SeluGrad": lambda w: raw.SeluGrad(
            gradients=tf.square(w), outputs=w[::-1]
        ),
        "TanhGrad": lambda w: raw.TanhGrad(y=w, dy=tf.square(w)),
        "SpaceToBatch": lambda w: raw.SpaceToBatch(
            input=w[None, :2, :2, None],
            paddings=[[0, 0], [0, 0]],
            block_size=2,
        ),
        "SplitV": lambda w: tf.split(w, [1, 2])[1],
        "TensorStridedSliceUpdate": lambda w: raw.TensorStridedSliceUpdate(
            input=w, begin=[1], end=[2], strides=[1], value=w[:1] ** 2
        ),
        "FFT3D": lambda w: tf.abs(tf.signal.fft3d(_complex(w[None]))) ** 2,
        "IFFT3D": lambda w: tf.abs(tf.signal.ifft3d(_complex(w[None]))) ** 2,
        "Case": lambda w: tf.switch_case(
            tf.cast(w[0, 0] > 9, tf.int32), [lambda: w**3, lambda: w]
        ),
        "IsotonicRegression": lambda w: tf.nn.isotonic_regression(tf.square(w))[
            0
        ],
    }
    return {
        **{f"raw_ops.{n}": (f, POSITIVE) for n, f in positive.items()},
        **{f"raw_ops.{n}": (f, REGULAR) for n, f in regular.items()},
        **{f"raw_ops.{n}": (f, NORMAL) for n, f in functions.items()},
    }
