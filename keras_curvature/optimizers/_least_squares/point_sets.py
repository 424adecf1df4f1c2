"""Outputs with numbers of samples of their own, as conditions have them.

A physics-informed model takes the points of its conditions by name and returns
the residuals of each. Inputs and outputs of the same length belong together:
the Jacobian of a sample is that of its own condition, with the points of all
others held as they are. An output whose length no input has, an integral over
points say, is a condition on all points together: one sample, whose input is
everything.
"""

import typing

import keras
import tensorflow as tf

from keras_curvature.losses.gauss_newton_form import (
    gauss_newton_form,
    with_outputs_of_all,
)


class Part(typing.NamedTuple):
    """The samples of one condition.

    Attributes:
        inputs: What `Objective.outputs_of` takes for them.
        outputs: Tensor of shape `(samples, m)`.
        form: `GaussNewtonForm` of the condition's losses.
    """

    inputs: typing.Any
    outputs: tf.Tensor
    form: typing.Any


class PointSets:
    """Which inputs and which outputs belong together.

    Args:
        inputs: The inputs of the batch, a structure of tensors.
        outputs: List of the outputs that have a loss.
    """

    def __init__(self, inputs, outputs):
        self._structure = inputs
        self._leaves = keras.tree.flatten(inputs)
        lengths = [length_of(leaf) for leaf in self._leaves]
        own = [length_of(output) for output in outputs]
        # Of each set: the places of its inputs and of its outputs.
        self._sets = [
            (_places(lengths, n), _places(own, n))
            for n in dict.fromkeys(own)
            if n in lengths
        ]
        rest = [i for i, n in enumerate(own) if n not in lengths]
        if rest:
            self._sets.append((None, rest))

    def inputs(self):
        """The inputs of each set, as `pack` takes them."""
        return [
            {
                index: [t[tf.newaxis] for t in self._leaves]
                if places is None
                else [self._leaves[i] for i in places]
            }
            for index, (places, _) in enumerate(self._sets)
        ]

    def pack(self, points):
        """All inputs, with these samples of one set in their places.

        Returns:
            Tuple of the inputs and the index of the set.
        """
        ((index, given),) = points.items()
        places, _ = self._sets[index]
        if places is None:
            leaves = [t[0] for t in given]
        else:
            leaves = list(self._leaves)
            for place, leaf in zip(places, given, strict=True):
                leaves[place] = leaf
        return keras.tree.pack_sequence_as(self._structure, leaves), index

    def rows(self, index, tensors):
        """Tensors of the outputs of a set, as one of shape `(samples, m)`."""
        places, own = self._sets[index]
        samples = 1 if places is None else -1
        return tf.concat([_as_rows(tensors[i], samples) for i in own], axis=1)

    def column(self, tensors):
        """Tensors of all outputs as one of shape `(rows, 1)`."""
        return column_of(
            [self.rows(i, tensors) for i in range(len(self._sets))]
        )

    def forms(self, terms, gradients):
        """The `GaussNewtonForm` of each set."""
        forms = []
        for places, own in self._sets:
            of_set = [terms[i] for i in own], [gradients[i] for i in own]
            build = with_outputs_of_all if places is None else gauss_newton_form
            forms.append(build(*of_set))
        return forms


class JointForm:
    """The forms of several sets as one, whose vectors are one column.

    See `GaussNewtonForm`; its tensors have the shape `(rows, 1)`.

    Args:
        forms: List of `GaussNewtonForm`s.
    """

    def __init__(self, forms):
        self._forms = forms
        self.residuals = column_of([form.residuals for form in forms])
        self.is_indefinite = tf.reduce_any([f.is_indefinite for f in forms])

    def push(self, vector):
        """Sᵀ·vector."""
        return self._each("push", vector)

    def pull(self, vector):
        """S·vector."""
        return self._each("pull", vector)

    @property
    def gradient(self):
        """∂L/∂outputs."""
        return column_of([form.gradient for form in self._forms])

    def hessian_product(self, vector):
        """H_L·vector."""
        return self._each("hessian_product", vector)

    def _each(self, method, vector):
        shapes = [form.residuals.shape for form in self._forms]
        parts = tf.split(vector, [s.num_elements() for s in shapes])
        return column_of(
            [
                getattr(form, method)(tf.reshape(part, shape))
                for form, part, shape in zip(
                    self._forms, parts, shapes, strict=True
                )
            ]
        )


def are_several(inputs, outputs):
    """Whether inputs or outputs have several lengths.

    Raises:
        ValueError: if they have, and that of an output is unknown.
    """
    own = {length_of(output) for output in outputs}
    known = own - {None}
    if len(known) > 1 and None in own:
        raise ValueError(
            "The outputs must have known lengths where these differ. Received: "
            f"outputs for {', '.join(map(str, sorted(known)))} samples and "
            "one of unknown length. Train with keras_curvature.solve(), or "
            "with tf.data.Dataset.from_tensors((x, y)).repeat(), which keep "
            "the lengths."
        )
    others = {length_of(leaf) for leaf in keras.tree.flatten(inputs)}
    return len(known) > 1 or (None not in own and bool(others - own - {None}))


def length_of(tensor):
    """The number of samples, None where it is unknown."""
    return tensor.shape[0] if tensor.shape.rank else None


def column_of(tensors):
    """All entries, row after row, as a tensor of shape `(rows, 1)`."""
    return tf.concat([tf.reshape(t, (-1, 1)) for t in tensors], axis=0)


def _places(lengths, length):
    return [i for i, n in enumerate(lengths) if n == length]


def _as_rows(tensor, samples):
    if samples == 1:
        return tf.reshape(tensor, (1, -1))
    return tf.reshape(tensor, (-1, tensor.shape[1:].num_elements()))
