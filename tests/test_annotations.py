"""The public API says the types of all that it takes and returns.

Mypy checks that they are true (`make lint`), and here only that none is missing
and that each names something that exists.
"""

import inspect
import pathlib
import typing

import pytest
from matplotlib.axes import Axes
from scipy.sparse.linalg import LinearOperator

import keras_curvature
from keras_curvature.losses import LossTerm

ROOT = pathlib.Path(keras_curvature.__file__).parent
# What is imported for type checkers alone: it is slow, or in a circle.
FOR_CHECKERS = {
    "Axes": Axes,
    "LinearOperator": LinearOperator,
    "LossTerm": LossTerm,
}


def public_objects():
    """Each public class and function of each room, by its dotted name."""
    for room in (keras_curvature, *vars(keras_curvature).values()):
        for name in getattr(room, "__all__", []):
            value = getattr(room, name)
            if callable(value):
                yield f"{room.__name__}.{name}", value


def functions_of(thing):
    """What a class defines, bases of this package included; or the function."""
    if not inspect.isclass(thing):
        return [thing]
    members = [
        member
        for base in thing.__mro__
        if base.__module__.partition(".")[0] == "keras_curvature"
        for name, member in vars(base).items()
        if not name.startswith("_") or name.endswith("__")
    ]
    found = []
    for member in members:
        if isinstance(member, (classmethod, staticmethod)):
            found.append(member.__func__)
        elif isinstance(member, property):
            found += filter(None, (member.fget, member.fset))
        elif inspect.isfunction(member):
            found.append(member)
    return found


def is_written_here(function):
    """Not made by `dataclass` or `NamedTuple`, nor taken from elsewhere."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and ROOT in pathlib.Path(code.co_filename).parents


PUBLIC = dict(public_objects())


def test_the_public_objects_are_found():
    names = {name.rpartition(".")[2] for name in PUBLIC}
    assert {"solve", "trace", "LBFGS", "Model", "Hessian"} <= names


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_and_result_has_a_type(name):
    for function in filter(is_written_here, functions_of(PUBLIC[name])):
        hints = typing.get_type_hints(
            inspect.unwrap(function), localns=FOR_CHECKERS
        )
        parameters = list(inspect.signature(function).parameters)
        untyped = set(parameters) - set(hints) - {"self", "cls"}
        assert not untyped, f"{function.__qualname__}: {untyped}"
        assert "return" in hints, function.__qualname__


@pytest.mark.parametrize(
    "name", [name for name in PUBLIC if inspect.isclass(PUBLIC[name])]
)
def test_types_of_attributes_exist(name):
    typing.get_type_hints(PUBLIC[name], localns=FOR_CHECKERS)
