"""Arrays from a file, arranged as a model takes them."""

import pathlib
import re
import zipfile
from typing import NamedTuple

import keras
import numpy as np

from keras_curvature.report._input import InputError, one_line


class Data(NamedTuple):
    """What a file holds, as `operators.Hessian` takes it.

    Attributes:
        x: Array, or list or dict of arrays.
        y: The same, or None.
        sample_weight: Array or None.
        samples: Int, samples of these.
        of: Int, samples in the file.
    """

    x: object
    y: object
    sample_weight: np.ndarray | None
    samples: int
    of: int


def load_data(path, model, samples=None, seed=0):
    """The arrays `x`, `y` and `sample_weight` of a `.npz` file.

    Several inputs are `x_NAME`, with the names of the inputs of the model, or
    `x_0`, `x_1`, ... in their order; several outputs alike.

    Args:
        path: Path of the file.
        model: `keras.Model`.
        samples: Int, the most samples; others are left out at random. Defaults
            to all.
        seed: Int, for these.

    Raises:
        InputError: if the file or its arrays do not fit.
    """
    path = pathlib.Path(path)
    arrays = _arrays(path)
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        found = ", ".join(f"{n} has {size}" for n, size in lengths.items())
        raise InputError(f"{path}: arrays differ in samples: {found}")
    (total,) = set(lengths.values())
    if not total:
        raise InputError(f"{path}: holds no samples")
    if samples is not None and samples < total:
        rows = np.random.default_rng(seed).permutation(total)[:samples]
        rows.sort()
        arrays = {name: array[rows] for name, array in arrays.items()}
    inputs = _nodes(model, "inputs", "input")
    x = _arranged(path, "x", arrays, inputs)
    y = _arranged(path, "y", arrays, _nodes(model, "outputs", "output"))
    if x is None or y is None:
        raise InputError(
            f"{path}: holds {', '.join(arrays)}; it must hold x and y"
        )
    _refuse_other_shapes(path, x, inputs)
    size = total if samples is None else min(samples, total)
    return Data(x, y, arrays.get("sample_weight"), size, total)


def _arrays(path):
    """Dict of the arrays of a file, all of them finite numbers."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: is no .npz file, as numpy.savez writes it")
    try:
        # Pickled objects are code, which this refuses to run.
        with np.load(path, allow_pickle=False) as archive:
            _refuse_other_names(path, archive.files)
            arrays = {name: archive[name] for name in archive.files}
    except InputError:
        raise
    except Exception as error:
        reason = (
            "holds pickled objects, which are not loaded"
            if "allow_pickle" in str(error)
            else f"cannot be read ({one_line(error)})"
        )
        raise InputError(f"{path}: {reason}") from error
    for name, array in arrays.items():
        _refuse_other_values(path, name, array)
    return arrays


def _refuse_other_names(path, names):
    """Raises for names that mean nothing here, before any array is read."""
    known = re.compile(r"[xy](_.+)?|sample_weight")
    others = [name for name in names if not known.fullmatch(name)]
    if others or not names:
        raise InputError(
            f"{path}: holds {', '.join(names) or 'nothing'}; its arrays must "
            "be x (or x_NAME for each of several inputs), y (or y_NAME) and, "
            "if wanted, sample_weight"
        )


def _refuse_other_values(path, name, array):
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        kind = getattr(array, "dtype", "bytes")
        raise InputError(f"{path}: {name} must hold numbers, not {kind}")
    if array.ndim == 0:
        raise InputError(f"{path}: {name} must have an axis of samples")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        first = np.argwhere(~np.isfinite(array))[0]
        count = int((~np.isfinite(array)).sum())
        value = array[tuple(first)]
        raise InputError(
            f"{path}: {name} must be finite, and {count:,} of its entries are "
            f"not; the first, {value}, is in sample {first[0]}"
        )


def _nodes(model, several, structure):
    """Dict of the inputs or outputs of a model by name, None if unknown."""
    nodes = getattr(model, several, None)
    if not nodes:
        # A subclass of keras.Model may take anything.
        return None
    if isinstance(model, keras.Sequential):
        return {node.name: node for node in nodes}
    structure = getattr(model, structure)
    if isinstance(structure, dict):
        return structure
    if several == "outputs":
        return dict(zip(model.output_names, nodes, strict=True))
    return {node.name: node for node in nodes}


def _arranged(path, letter, arrays, nodes):
    """The arrays whose names begin with a letter, in a model's structure."""
    found = {
        name[2:]: array
        for name, array in arrays.items()
        if name.startswith(f"{letter}_")
    }
    if letter in arrays:
        if found or (nodes is not None and len(nodes) > 1):
            raise InputError(_names_wanted(path, letter, arrays, nodes))
        return arrays[letter]
    if not found:
        return None
    numbers = [str(k) for k in range(len(found))]
    if nodes is None:
        is_list = sorted(found) == sorted(numbers)
        return [found[k] for k in numbers] if is_list else found
    if sorted(found) == sorted(nodes):
        ordered = {name: found[name] for name in nodes}
    elif sorted(found) == sorted(numbers) and len(found) == len(nodes):
        ordered = dict(zip(nodes, (found[k] for k in numbers), strict=True))
    else:
        raise InputError(_names_wanted(path, letter, arrays, nodes))
    return ordered if len(ordered) > 1 else next(iter(ordered.values()))


def _names_wanted(path, letter, arrays, nodes):
    what = {"x": "inputs", "y": "outputs"}[letter]
    wanted = ", ".join(f"{letter}_{name}" for name in nodes or ("NAME",))
    if nodes is not None and len(nodes) == 1:
        wanted = letter
    return (
        f"{path}: holds {', '.join(arrays)}; for the {what} of this model it "
        f"must hold {wanted}"
    )


def _refuse_other_shapes(path, x, inputs):
    if inputs is None:
        return
    given = x if isinstance(x, dict) else dict.fromkeys(inputs, x)
    for name, node in inputs.items():
        shape, wanted = given[name].shape, tuple(node.shape)
        fits = len(shape) == len(wanted) and all(
            b is None or a == b for a, b in zip(shape, wanted, strict=True)
        )
        # Keras adds the last axis of one where it is missing.
        fits |= (*shape, 1)[1:] == wanted[1:]
        if not fits:
            label = "x" if len(inputs) == 1 else f"x_{name}"
            size = ("samples", *wanted[1:])
            raise InputError(
                f"{path}: {label} has shape {shape}; this model takes "
                f"({', '.join(map(str, size))})"
            )


def in_structure(model, data):
    """y as the model returns its outputs: dicts stay dicts, others lists."""
    y = data.y
    is_functional = bool(getattr(model, "output_names", None))
    is_dict = is_functional and isinstance(model.output, dict)
    return list(y.values()) if isinstance(y, dict) and not is_dict else y
