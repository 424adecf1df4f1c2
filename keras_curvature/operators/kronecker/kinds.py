"""Which kind of layer uses a weight."""

from keras_curvature.operators.kronecker.convolution import Convolution
from keras_curvature.operators.kronecker.dense import MatrixProduct
from keras_curvature.operators.kronecker.einsum import EinsteinSum
from keras_curvature.operators.kronecker.elementwise import Offset, Scale
from keras_curvature.operators.kronecker.embedding import Lookup
from keras_curvature.operators.kronecker.normalization import (
    BatchNormalizationScale,
)
from keras_curvature.operators.kronecker.shared_rows import SharedRows

# A new kind of layer is a class in a file of its own, and its name here.
KINDS = (
    MatrixProduct,
    EinsteinSum,
    Convolution,
    SharedRows,
    Lookup,
    Scale,
    Offset,
    BatchNormalizationScale,
)


def layer_use(use, forward):
    """The `LayerUse` of a `WeightUse`, or None where its kind is unknown."""
    for kind in KINDS:
        found = kind.match(use, forward)
        # Else its first axis would be taken for that of the samples.
        if found is not None and found.has_samples():
            return found
    return None
