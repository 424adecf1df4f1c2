"""What curvature and activations say of a model."""

from keras_curvature.diagnostics.activation_report import (
    ActivationReport,
    activation_report,
)
from keras_curvature.diagnostics.activation_statistics import (
    ActivationStatistics,
)
from keras_curvature.diagnostics.curvature_parts import (
    CurvatureParts,
    curvature_parts,
)
from keras_curvature.diagnostics.curvature_split import (
    CurvatureSplit,
    LayerSplit,
    curvature_split,
)
from keras_curvature.diagnostics.filter_normalization import (
    filter_normalized_directions,
)
from keras_curvature.diagnostics.loss_landscape import (
    LossLandscape,
    loss_landscape,
)

__all__ = [
    "ActivationReport",
    "ActivationStatistics",
    "CurvatureParts",
    "CurvatureSplit",
    "LayerSplit",
    "LossLandscape",
    "activation_report",
    "curvature_parts",
    "curvature_split",
    "filter_normalized_directions",
    "loss_landscape",
]
