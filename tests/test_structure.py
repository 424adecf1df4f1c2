"""The tests stand as the package does, and lean on helpers alone."""

import ast
import pathlib

import pytest

import keras_curvature
from tests.conftest import SLOW

TESTS = pathlib.Path(__file__).parent
PACKAGE = pathlib.Path(keras_curvature.__file__).parent
MODULES = sorted(
    str(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py")
)


@pytest.mark.parametrize(
    "room", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
)
def test_every_room_of_the_package_has_tests(room):
    assert list((TESTS / room).rglob("test_*.py"))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_a_test_module_says_what_it_is_about_and_imports_no_other(module):
    tree = ast.parse((TESTS / module).read_text("utf-8"))
    assert ast.get_docstring(tree)
    parts = [part for name in imported(tree) for part in name.split(".")]
    assert not [part for part in parts if part.startswith("test_")]


def test_what_is_called_slow_exists():
    for name in SLOW:
        path, _, test = name.partition("::")
        file = TESTS.parent / path
        assert file.exists(), name
        if test:
            assert f"def {test.split('[')[0]}" in file.read_text("utf-8"), name
