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
        usual_size: Callable that returns the number of rows for which a trace
            of its own is worth its time, or None. Where sizes are known,
            TensorFlow leaves out what only finds them: up to a fifth of a
            Gauss-Newton product. Defaults to none.
    """

    def __init__(self, function, jit_compile, usual_size=lambda: None):
        self._function = function
        self._jit_compile = jit_compile
        self._usual_size = usual_size
        self._usual = self._any = None

    def __call__(self, *arguments):
        flat = tf.nest.flatten(arguments)
        for trace in (self._usual, self._any):
            if trace is not None and trace.takes(flat):
                return trace(flat)
        batch, *others = arguments
        rows = [_spec(t) for t in tf.nest.flatten(batch)]
        columns = [_any_size(_spec(t), 1) for t in tf.nest.flatten(others)]
        if self._usual is None and rows[0].shape[0] == self._usual_size():
            self._usual = self._traced(arguments, rows + columns)
            return self._usual(flat)
        signature = [_any_size(spec, 0) for spec in rows] + columns
        if self._any is not None:
            signature = list(map(_common, signature, self._any.signature))
        self._any = self._traced(arguments, signature)
        return self._any(flat)

    def _traced(self, structure, signature):
        return _Trace(self._function, self._jit_compile, structure, signature)


class _Trace:
    """A function for tensors of one signature, None where there is none."""

    def __init__(self, function, jit_compile, structure, signature):
        # tf.function has no signature for None, so it is given what is there.
        present = [spec is not None for spec in signature]
        traced = tf.function(
            # TensorFlow counts the traces of all functions with the same code
            # and would warn of the fifth operator; a partial has none.
            functools.partial(_call, function, structure, present),
            input_signature=[[s for s in signature if s is not None]],
            jit_compile=jit_compile,
            autograph=False,
        )
        # A tf.function looks for the trace in each call, which takes as long
        # as all else of that call.
        self._compiled = traced.get_concrete_function()
        self.signature = signature

    def takes(self, flat):
        return all(map(_fits, flat, self.signature))

    def __call__(self, flat):
        return self._compiled([a for a in flat if a is not None])


def _call(function, structure, present, flat):
    flat = iter(flat)
    flat = [next(flat) if p else None for p in present]
    return function(*tf.nest.pack_sequence_as(structure, flat))


def _spec(tensor):
    return None if tensor is None else tf.type_spec_from_value(tensor)


def _any_size(spec, axis):
    """The same for any length of one axis."""
    if not isinstance(spec, tf.TensorSpec) or spec.shape.rank <= axis:
        return spec
    shape = spec.shape.as_list()
    shape[axis] = None
    return tf.TensorSpec(shape, spec.dtype)


def _fits(tensor, spec):
    if tensor is None or spec is None:
        return tensor is spec
    return spec.is_compatible_with(tensor)


def _common(spec, other):
    """What fits both."""
    if spec is None or other is None:
        return spec
    both = other.most_specific_common_supertype([spec])
    return spec if both is None else both
