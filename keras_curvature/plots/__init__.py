"""Pictures of curvature, with matplotlib."""

from keras_curvature.plots.activation import plot_activation
from keras_curvature.plots.eigenvalues import plot_eigenvalues
from keras_curvature.plots.spectral_density import plot_spectral_density

__all__ = ["plot_activation", "plot_eigenvalues", "plot_spectral_density"]
