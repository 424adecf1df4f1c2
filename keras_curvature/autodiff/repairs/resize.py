"""Resizing is linear in the image, so its gradient is linear too.

The transpose of the transpose is resizing itself, in the same geometry.
"""

import tensorflow as tf

from keras_curvature.autodiff.repairs.operations import text_attribute
from keras_curvature.autodiff.tensorflow_private import (
    is_recorded,
    with_tape_gradient,
)


def resize_bilinear_grad(operation, cotangent):
    """Of ResizeBilinearGrad(gradient, image), which needs only the shape."""
    return _resized(tf.raw_ops.ResizeBilinear, operation, cotangent), None


def resize_bilinear(operation, gradient, registered):
    """Of ResizeBilinear(image, size), so that a tape can differentiate it.

    A tape keeps nothing of a ResizeBilinearGrad, which TensorFlow registers
    as not differentiable; so its derivative is recorded along with it.
    """
    if isinstance(operation, tf.Operation) or not is_recorded():
        return registered(operation, gradient)

    def derivative(cotangent):
        return [
            tf.raw_ops.ResizeBilinear(
                images=cotangent,
                size=tf.shape(gradient)[1:3],
                **_geometry(operation),
            )
        ]

    by_image = with_tape_gradient(
        lambda gradient: registered(operation, gradient)[0],
        [gradient],
        derivative,
    )
    return by_image, None


def resize_bicubic_grad(operation, cotangent):
    """Of ResizeBicubicGrad(gradient, image)."""
    return _resized(tf.raw_ops.ResizeBicubic, operation, cotangent), None


def resize_nearest_neighbor_grad(operation, cotangent):
    """Of ResizeNearestNeighborGrad(gradient, size)."""
    resize = tf.raw_ops.ResizeNearestNeighbor
    return _resized(resize, operation, cotangent), None


def _resized(resize, operation, cotangent):
    gradient = operation.inputs[0]
    return resize(
        images=cotangent,
        size=tf.shape(gradient)[1:3],
        **_geometry(operation),
    )


def _geometry(operation):
    return {
        name: operation.get_attr(name)
        for name in ("align_corners", "half_pixel_centers")
    }


def scale_and_translate_grad(operation, cotangent):
    """Of ScaleAndTranslateGrad(gradient, image, scale, translation)."""
    gradient, _, scale, translation = operation.inputs
    resized = tf.raw_ops.ScaleAndTranslate(
        images=cotangent,
        size=tf.shape(gradient)[1:3],
        scale=scale,
        translation=translation,
        kernel_type=text_attribute(operation, "kernel_type"),
        antialias=operation.get_attr("antialias"),
    )
    return resized, None, None, None


def crop_and_resize_grad_image(operation, cotangent):
    """Of CropAndResizeGradImage(gradient, boxes, box_ind, image_size).

    ⟨c, Pᵀ(boxes)·g⟩ = ⟨P(boxes)·c, g⟩ with P the cropping, so c takes the
    place of the image in the derivatives by g and by the boxes.
    """
    gradient, boxes, box_ind, _ = operation.inputs
    method = text_attribute(operation, "method")
    cropped = tf.raw_ops.CropAndResize(
        image=cotangent,
        boxes=boxes,
        box_ind=box_ind,
        crop_size=tf.shape(gradient)[1:3],
        method=method,
    )
    by_boxes = tf.raw_ops.CropAndResizeGradBoxes(
        grads=gradient, image=cotangent, boxes=boxes, box_ind=box_ind
    )
    return cropped, by_boxes, None, None
