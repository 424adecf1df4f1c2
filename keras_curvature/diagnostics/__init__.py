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

__all__ = [
    "ActivationReport",
    "ActivationStatistics",
    "CurvatureParts",
    "CurvatureSplit",
    "LayerSplit",
    "activation_report",
    "curvature_parts",
    "curvature_split",
]
