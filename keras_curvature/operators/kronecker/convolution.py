"""Convolutions of all ranks, also strided, dilated, grouped and depthwise."""

import dataclasses
import math

import tensorflow as tf

from keras_curvature.autodiff.tensorflow_private import functions_called_by
from keras_curvature.operators.kronecker.layer_use import LayerUse

_KINDS = ("Conv2D", "Conv3D", "DepthwiseConv2dNative")


class Convolution(LayerUse):
    """z = Σ patches(a)·W: a product at each position of the output.

    References:
        Grosse, Martens, 2016, "A Kronecker-factored approximate Fisher matrix
        for convolution layers", arXiv 1602.01407.
    """

    def __init__(self, layout, output, patches, dilation, kernel):
        super().__init__(layout, output)
        self._patches = patches
        self._dilation = dilation
        self._kernel = kernel

    @classmethod
    def match(cls, use, forward):
        found = _convolution(use)
        if found is None:
            return None
        convolution, output, kernel_shape = found
        channels = convolution.images.shape[-1]
        is_depthwise = convolution.kind == "DepthwiseConv2dNative"
        sizes, (inputs, outputs) = kernel_shape[:-2], kernel_shape[-2:]
        entries = math.prod(sizes)
        if is_depthwise:
            groups = inputs
            layout = use.layout.reshape(entries, groups, outputs)
            layout = layout.transpose(1, 0, 2)
        else:
            groups = channels // inputs
            layout = use.layout.reshape(
                entries * inputs, groups, outputs // groups
            ).transpose(1, 0, 2)
        output, dilation = _undilated(output, forward)
        return cls(
            layout, output, convolution, dilation, (sizes, groups, channels)
        )

    def inputs(self):
        sizes, groups, channels = self._kernel
        patches = self._patches.of_sizes(sizes)
        if self._dilation is not None:
            # The same crops and places as those of the outputs.
            patches = _squeezed_like(patches, self._dilation.inputs[0])
            patches = tf.raw_ops.BatchToSpaceND(
                input=patches,
                block_shape=self._dilation.inputs[1],
                crops=self._dilation.inputs[2],
            )
        entries = math.prod(sizes)
        batch = tf.shape(patches)[0]
        patches = tf.reshape(
            patches, (batch, -1, entries, groups, channels // groups)
        )
        patches = tf.transpose(patches, (0, 1, 3, 2, 4))
        return tf.reshape(
            patches,
            (batch, -1, groups, entries * (channels // groups)),
        )

    def signals(self, cotangent):
        groups, _, outputs = self.layout.viewed_shape
        return tf.reshape(
            cotangent, (tf.shape(cotangent)[0], -1, groups, outputs)
        )


@dataclasses.dataclass(frozen=True)
class _Patches:
    """What a convolution's kernel is multiplied with at each position."""

    kind: str
    images: tf.Tensor
    strides: tuple
    dilations: tuple
    padding: str
    explicit_padding: tuple

    @classmethod
    def of(cls, operation, images):
        if operation.get_attr("data_format") not in (b"NHWC", b"NDHWC"):
            return None
        padding = operation.get_attr("padding").decode()
        explicit = ()
        if padding == "EXPLICIT":
            flat = operation.get_attr("explicit_paddings")
            explicit = tuple(zip(flat[::2], flat[1::2], strict=True))
            padding = "VALID"
        dilations = tuple(operation.get_attr("dilations"))
        if operation.type == "Conv3D" and set(dilations) != {1}:
            return None
        return cls(
            operation.type,
            images,
            tuple(operation.get_attr("strides")),
            dilations,
            padding,
            explicit,
        )

    def of_sizes(self, sizes):
        """The patches, `(batch, *positions, entries·channels)`."""
        images = self.images
        if self.explicit_padding:
            images = tf.pad(images, self.explicit_padding)
        if self.kind == "Conv3D":
            return tf.raw_ops.ExtractVolumePatches(
                input=images,
                ksizes=[1, *sizes, 1],
                strides=self.strides,
                padding=self.padding,
            )
        return tf.image.extract_patches(
            images,
            sizes=[1, *sizes, 1],
            strides=self.strides,
            rates=self.dilations,
            padding=self.padding,
        )


def _convolution(use):
    """The patches, the output and the kernel's shape of a convolution."""
    operation = use.operation
    if operation.type in _KINDS:
        if use.position != 1:
            return None
        patches = _Patches.of(operation, operation.inputs[0])
        shape = use.layout.viewed_shape
        return patches and (patches, operation.outputs[0], shape)
    if not operation.type.endswith("PartitionedCall"):
        return None
    # Keras calls a function for grouped convolutions.
    for graph in functions_called_by([operation]):
        inner = [o for o in graph.get_operations() if o.type in _KINDS]
        if len(inner) == 1 and len(operation.outputs) == 1:
            return _called(operation, graph, inner[0])
    return None


def _called(operation, graph, convolution):
    """The same of a function that convolves one of its arguments."""
    images = convolution.inputs[0]
    expanded = images.op.type == "ExpandDims"
    argument = images.op.inputs[0] if expanded else images
    places = [t is argument for t in graph.inputs]
    if True not in places:
        return None
    outer = operation.inputs[places.index(True)]
    if expanded:
        axis = tf.get_static_value(images.op.inputs[1])
        if axis is None:
            return None
        outer = tf.expand_dims(outer, int(axis))
    patches = _Patches.of(convolution, outer)
    shape = tuple(convolution.inputs[1].shape)
    return patches and (patches, operation.outputs[0], shape)


def _undilated(output, forward):
    """Where a dilated convolution ends, and the operation that ends it."""
    tensor = output
    while True:
        consumer = forward.only_consumer(tensor)
        if consumer is None or consumer.type not in (
            "Squeeze",
            "BatchToSpaceND",
        ):
            return output, None
        tensor = consumer.outputs[0]
        if consumer.type == "BatchToSpaceND":
            return tensor, consumer


def _squeezed_like(patches, tensor):
    """Patches without the axes that the tensor no longer has."""
    surplus = patches.shape.rank - tensor.shape.rank
    return tf.squeeze(patches, list(range(1, 1 + surplus)))
