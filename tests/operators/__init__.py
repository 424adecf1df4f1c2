"""Tests of keras_curvature.operators."""
