"""A page that shows the curvature of a model."""

from keras_curvature.report.curvature_report import (
    CurvatureReport,
    curvature_report,
)

__all__ = ["CurvatureReport", "curvature_report"]
