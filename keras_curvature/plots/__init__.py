"""Pictures of curvature, with matplotlib."""

from keras_curvature.plots.activation import plot_activation
from keras_curvature.plots.activation_report import plot_activation_report
from keras_curvature.plots.curvature_split import plot_curvature_split
from keras_curvature.plots.eigenvalues import plot_eigenvalues
from keras_curvature.plots.loss_landscape import plot_loss_landscape
from keras_curvature.plots.reliability import plot_reliability
from keras_curvature.plots.spectral_density import plot_spectral_density

__all__ = [
    "plot_activation",
    "plot_activation_report",
    "plot_curvature_split",
    "plot_eigenvalues",
    "plot_loss_landscape",
    "plot_reliability",
    "plot_spectral_density",
]
