"""Functions of a batch that are traced once, whatever its size."""

import functools

import tensorflow as tf


class CompiledFunction:
    """A `tf.function` of a batch and of further tensors.

    Batches have any number of rows and matrices any number of columns. Traced
    again only where another axis turns out to vary, as in sequences of several
    lengths.

    Args:
        function: Callable `function(batch, *tensors)`.
        jit_compile: Bool.
    """

    def __init__(self, function, jit_compile):
        self._function = function
        self._jit_compile = jit_compile
        self._signature = None
        self._compiled = None

    def __call__(self, *arguments):
        flat = tf.nest.flatten(arguments)
        given = [_spec(a) for a in flat]
        if self._signature is None:
            batch, *others = arguments
            rows = [_any_size(_spec(t), 0) for t in tf.nest.flatten(batch)]
            columns = [_any_size(_spec(t), 1) for t in tf.nest.flatten(others)]
            self._trace(arguments, rows + columns)
        elif not all(map(_fits, given, self._signature)):
            self._trace(arguments, list(map(_common, given, self._signature)))
        return self._compiled([a for a in flat if a is not None])

    def _trace(self, arguments, signature):
        # tf.function has no signature for None, so it is given what is there.
        present = [spec is not None for spec in signature]
        traced = tf.function(
            # TensorFlow counts the traces of all functions with the same code
            # and would warn of the fifth operator; a partial has none.
            functools.partial(self._call, arguments, present),
            input_signature=[[s for s in signature if s is not None]],
            jit_compile=self._jit_compile,
            autograph=False,
        )
        # A tf.function looks for the trace in each call, which takes as long
        # as all else of that call.
        self._compiled = traced.get_concrete_function()
        # Last, so that a function which raised is traced again.
        self._signature = signature

    def _call(self, structure, present, flat):
        flat = iter(flat)
        flat = [next(flat) if p else None for p in present]
        return self._function(*tf.nest.pack_sequence_as(structure, flat))


def _spec(tensor):
    return None if tensor is None else tf.type_spec_from_value(tensor)


def _any_size(spec, axis):
    """The same for any length of one axis."""
    if not isinstance(spec, tf.TensorSpec) or spec.shape.rank <= axis:
        return spec
    shape = spec.shape.as_list()
    shape[axis] = None
    return tf.TensorSpec(shape, spec.dtype)


def _fits(spec, signature):
    if spec is None or signature is None:
        return spec is signature
    return signature.is_compatible_with(spec)


def _common(spec, signature):
    """What fits both."""
    if spec is None or signature is None:
        return spec
    both = signature.most_specific_common_supertype([spec])
    return spec if both is None else both
