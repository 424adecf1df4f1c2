"""Keras masks of tensors that stand in for others."""

import functools

import tensorflow as tf


def keep_masks(sources, tensor):
    """Gives `tensor` the Keras masks of all sources."""
    masks = [getattr(source, "_keras_mask", None) for source in sources]
    masks = [mask for mask in masks if mask is not None]
    if masks:
        tensor._keras_mask = functools.reduce(tf.logical_and, masks)
