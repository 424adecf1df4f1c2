"""The rooms of the package import each other one way only."""

import ast
import pathlib

import pytest

import keras_curvature

ROOT = pathlib.Path(keras_curvature.__file__).parent
# What stands beside the rooms, for all of them.
EVERYWHERE = {
    "_casting",
    "_checks",
    "_control_flow",
    "_derivatives",
    "_random",
    "_typing",
    "_version",
}
ALLOWED = {
    "constraints": set(),
    "layers": set(),
    "losses": set(),
    "linalg": set(),
    "autodiff": set(),
    "operators": {"autodiff", "linalg", "losses"},
    "uncertainty": {
        "autodiff",
        "constraints",
        "linalg",
        "losses",
        "operators",
    },
    "diagnostics": {"autodiff", "layers", "linalg", "losses", "operators"},
    "optimizers": {
        "autodiff",
        "constraints",
        "linalg",
        "losses",
        "operators",
    },
    "training": {
        "autodiff",
        "constraints",
        "linalg",
        "losses",
        "operators",
        "optimizers",
        "uncertainty",
    },
    "plots": {"diagnostics", "layers", "linalg", "operators", "uncertainty"},
    "callbacks": {
        "autodiff",
        "diagnostics",
        "linalg",
        "losses",
        "operators",
        "optimizers",
        "plots",
        "training",
    },
    "report": {
        "autodiff",
        "diagnostics",
        "linalg",
        "losses",
        "operators",
        "optimizers",
        "plots",
        "uncertainty",
    },
}


def modules_imported_by(path):
    """Dotted names within the package, also of imports in functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        for module in modules:
            package, _, rest = module.partition(".")
            if package == "keras_curvature" and rest:
                yield rest


def test_every_room_has_its_place_in_the_order():
    rooms = {p.parent.name for p in ROOT.glob("*/__init__.py")}
    assert rooms == set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_go_one_way(room):
    for path in (ROOT / room).rglob("*.py"):
        found = {name.split(".")[0] for name in modules_imported_by(path)}
        found -= {room} | EVERYWHERE
        assert found <= ALLOWED[room], f"{path.relative_to(ROOT)}: {found}"


def test_what_begins_with_an_underscore_is_for_its_own_folder_only():
    for path in ROOT.rglob("*.py"):
        here = path.relative_to(ROOT).parts[:-1]
        for name in modules_imported_by(path):
            parts = name.split(".")
            for depth, part in enumerate(parts):
                if part.startswith("_") and not part.startswith("__"):
                    assert tuple(parts[:depth]) == here[:depth], (
                        f"{path.relative_to(ROOT)} imports {name}"
                    )
