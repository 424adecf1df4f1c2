"""Which gradient function each type of operation has while repairs hold."""

import functools

import tensorflow as tf

from keras_curvature.autodiff.repairs.cross_entropy import (
    first_softmax_cross_entropy,
    softmax_cross_entropy,
)
from keras_curvature.autodiff.repairs.dilation import (
    dilation_filter_grad,
    dilation_input_grad,
)
from keras_curvature.autodiff.repairs.empty_rows import fill_empty_rows_grad
from keras_curvature.autodiff.repairs.isotonic import (
    isotonic_regression,
    refuse_single_sequence,
)
from keras_curvature.autodiff.repairs.local_response_normalization import (
    local_response_normalization_grad,
)
from keras_curvature.autodiff.repairs.logarithm import log, multiply
from keras_curvature.autodiff.repairs.logarithm_products import (
    logarithm_product,
)
from keras_curvature.autodiff.repairs.max_pooling import max_pool_grad
from keras_curvature.autodiff.repairs.moments import (
    stopped_mean,
    stops_mean_of_moments,
)
from keras_curvature.autodiff.repairs.powers import power
from keras_curvature.autodiff.repairs.products import (
    cumulative_product,
    divide_no_nan,
    refuse_segment_product,
    segment_product,
)
from keras_curvature.autodiff.repairs.pseudo_inverse import singular_values
from keras_curvature.autodiff.repairs.ragged import (
    ragged_tensor_to_variant_gradient,
)
from keras_curvature.autodiff.repairs.refusals import (
    REFUSED,
    REFUSED_TWICE,
    differentiated_once,
    only_by_last,
    refuse,
    refuse_loop_of_ctc,
    refuse_stop_of_renorm,
)
from keras_curvature.autodiff.repairs.removable import REMOVABLE, removable
from keras_curvature.autodiff.repairs.resize import (
    crop_and_resize_grad_image,
    resize_bicubic_grad,
    resize_bilinear,
    resize_bilinear_grad,
    resize_nearest_neighbor_grad,
    scale_and_translate_grad,
)
from keras_curvature.autodiff.repairs.softsign import softsign_grad
from keras_curvature.autodiff.repairs.sparse_segments import (
    sparse_segment_grad,
)
from keras_curvature.autodiff.repairs.stitch import (
    dynamic_stitch,
    refuse_overwritten,
)
from keras_curvature.autodiff.repairs.two_pieces import select

# Added to TensorFlow's registry where it has no entry.
MISSING = {
    "Dilation2DBackpropFilter": dilation_filter_grad,
    "Dilation2DBackpropInput": dilation_input_grad,
    "LRNGrad": local_response_normalization_grad,
    "CropAndResizeGradImage": crop_and_resize_grad_image,
    "ResizeBicubicGrad": resize_bicubic_grad,
    "ResizeNearestNeighborGrad": resize_nearest_neighbor_grad,
    "ScaleAndTranslateGrad": scale_and_translate_grad,
    "RaggedFillEmptyRowsGrad": fill_empty_rows_grad,
    "RaggedTensorToVariantGradient": ragged_tensor_to_variant_gradient,
    "SoftsignGrad": softsign_grad,
    "SparseFillEmptyRowsGrad": fill_empty_rows_grad,
    **{
        f"SparseSegment{name}Grad": sparse_segment_grad(
            f"SparseSegment{name}WithNumSegments"
        )
        for name in ("Mean", "SqrtN", "Sum")
    },
}
# In the place of what TensorFlow registers.
REPLACED = {"ResizeBilinearGrad": resize_bilinear_grad}
# What TensorFlow takes for a constant where it differentiates it.
SILENTLY_WRONG = {*REPLACED, *REFUSED}
# Given what TensorFlow registers as `registered`.
EXTENDED = {
    **dict.fromkeys(REMOVABLE, removable),
    **dict.fromkeys(("Betainc", "Polygamma", "Zeta"), only_by_last),
    "Cumprod": cumulative_product,
    "DivNoNan": divide_no_nan,
    "DynamicStitch": dynamic_stitch,
    "IsotonicRegression": isotonic_regression,
    "Log": log,
    "MaxPool3DGrad": max_pool_grad,
    "MaxPoolGrad": max_pool_grad,
    "Mul": multiply,
    "ResizeBilinear": resize_bilinear,
    "ParallelDynamicStitch": dynamic_stitch,
    "Pow": power,
    "SegmentProd": segment_product,
    "SelectV2": select,
    "SoftmaxCrossEntropyWithLogits": softmax_cross_entropy,
    "StatelessWhile": refuse_loop_of_ctc,
    "Svd": singular_values,
    "UnsortedSegmentProd": segment_product,
    "While": refuse_loop_of_ctc,
    "Xdivy": logarithm_product,
    "Xlog1py": logarithm_product,
    "Xlogy": logarithm_product,
}
# In their place where nothing is known to be differentiated twice.
EXTENDED_ONCE = {
    **EXTENDED,
    "SoftmaxCrossEntropyWithLogits": first_softmax_cross_entropy,
}


# Called with an operation of a graph that is differentiated twice: there the
# first gradient is TensorFlow's. Each raises where nothing right is made of it.
REFUSED_IN_GRAPHS = {
    "DynamicStitch": refuse_overwritten,
    "IsotonicRegression": refuse_single_sequence,
    "ParallelDynamicStitch": refuse_overwritten,
    "SegmentProd": refuse_segment_product,
    "UnsortedSegmentProd": refuse_segment_product,
}


def register_missing_gradients(lookup):
    """Adds what TensorFlow lacks, by `tf.RegisterGradient`."""
    for operation_type, gradient in MISSING.items():
        try:
            lookup(operation_type)
        except LookupError:
            tf.RegisterGradient(operation_type)(gradient)


def gradient_function(operation_type, lookup, is_differentiated_twice):
    """The gradient function for a type of operation, None for zero.

    Args:
        operation_type: String, as TensorFlow looks it up.
        lookup: Callable that maps such a string to what is registered.
        is_differentiated_twice: Bool, whether this gradient is known to be
            part of a second derivative; else it may be the first of a
            training that has no other.
    """
    if operation_type in REPLACED:
        return REPLACED[operation_type]
    if operation_type == "StopGradient":
        return _refusing_renorm if is_differentiated_twice else _stop_gradient
    if operation_type in REFUSED:
        return refuse
    if is_differentiated_twice and operation_type in REFUSED_TWICE:
        return refuse
    try:
        registered = lookup(operation_type)
    except LookupError:
        # TensorFlow tries other ways for a function that it is given.
        is_gradient = "Grad" in operation_type or "Backprop" in operation_type
        if hasattr(tf.raw_ops, operation_type) and (
            is_gradient or is_differentiated_twice
        ):
            return refuse
        raise
    if registered is not None and operation_type in REFUSED_TWICE:
        return functools.partial(differentiated_once, registered=registered)
    if operation_type in EXTENDED:
        own = EXTENDED if is_differentiated_twice else EXTENDED_ONCE
        extended = functools.partial(own[operation_type], registered=registered)
        if is_differentiated_twice and operation_type in REFUSED_IN_GRAPHS:
            return functools.partial(_unless_refused, extended=extended)
        return extended
    return registered


def _unless_refused(operation, *cotangents, extended):
    if isinstance(operation, tf.Operation):
        REFUSED_IN_GRAPHS[operation.type](operation)
    return extended(operation, *cotangents)


def _stop_gradient(operation, cotangent):
    if stops_mean_of_moments(operation):
        return stopped_mean(cotangent)
    return None


def _refusing_renorm(operation, cotangent):
    refuse_stop_of_renorm(operation)
    return _stop_gradient(operation, cotangent)
