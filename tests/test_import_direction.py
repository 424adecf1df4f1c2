"""The rooms of the package import each other one way only."""

import ast
import pathlib

import pytest

import keras_curvature

ROOT = pathlib.Path(keras_curvature.__file__).parent
ALLOWED = {
    "layers": set(),
    "linalg": set(),
    "autodiff": set(),
    "operators": {"autodiff", "linalg"},
    "optimizers": {"autodiff", "linalg", "operators"},
    "training": {"autodiff", "linalg", "operators", "optimizers"},
    "callbacks": {
        "autodiff",
        "linalg",
        "operators",
        "optimizers",
        "training",
    },
    "plots": {
        "autodiff",
        "linalg",
        "operators",
        "optimizers",
        "training",
        "callbacks",
    },
}


def rooms_imported_by(path):
    """Names of the rooms that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            modules = [node.module]
            if node.module == "keras_curvature":
                modules = [f"keras_curvature.{a.name}" for a in node.names]
        for module in modules:
            package, _, rest = module.partition(".")
            if package == "keras_curvature" and rest:
                yield rest.split(".")[0]


def test_every_room_has_its_place_in_the_order():
    rooms = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert rooms <= set(ALLOWED)
    assert {"layers", "autodiff", "optimizers", "training"} <= rooms


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_go_one_way(room):
    for path in (ROOT / room).rglob("*.py"):
        found = set(rooms_imported_by(path)) - {room}
        assert found <= ALLOWED[room], f"{path.relative_to(ROOT)}: {found}"
