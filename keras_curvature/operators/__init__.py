"""Curvature matrices of a model over a data set, as linear operators."""
