"""Wheel and source distribution are whole, and work alone."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""


def call(*command, folder):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def built(source, what, target):
    """Path of the distribution that is built in the folder `source`."""
    command = sys.executable, "-c", BUILD, what, str(target)
    name = call(*command, folder=source).splitlines()[-1]
    return target / name


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The names of its files, and the folder with its contents."""
    folder = tmp_path_factory.mktemp("sdist")
    # What is made in the repository, as .venv and plots, stays there.
    made = {"build", "dist", "plots"}

    def ignored(path, names):
        return {
            name
            for name in names
            if name.startswith(".")
            or name.endswith((".egg-info", "__pycache__"))
            or (pathlib.Path(path) == ROOT and name in made)
        }

    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    archive = built(folder / "source", "build_sdist", folder)
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist):
    return built(sdist, "build_wheel", sdist.parent)


@pytest.mark.parametrize("room", ["benchmarks", "docs", "examples", "tests"])
def test_source_distribution_has_all_files_of(room, sdist):
    for path in (ROOT / room).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (sdist / path.relative_to(ROOT)).is_file(), path


def test_wheel_has_the_package_its_type_marker_and_the_examples(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "keras_curvature/py.typed" in names
    assert "keras_curvature/examples/demo.py" in names
    assert "keras_curvature/examples/data/nist_strd/Thurber.dat" in names
    for path in (ROOT / "keras_curvature").rglob("*.py"):
        assert str(path.relative_to(ROOT)) in names
    assert not [name for name in names if name.startswith("tests")]


def test_description_has_no_link_that_only_a_repository_knows(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    assert "# keras_curvature" in metadata
    links = re.findall(r"\]\(([^)]*)\)", metadata)
    assert [link for link in links if not link.startswith("http")] == []


def test_quickstart_runs_where_only_the_wheel_is_installed(wheel, tmp_path):
    """In a new environment that has the requirements of this one."""
    venv.create(tmp_path / "new")
    python = tmp_path / "new" / "bin" / "python"
    site = call(
        python,
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        folder=tmp_path,
    ).strip()
    # A line in a file adds the folder, not what is linked from there: this
    # environment may have the package from the repository.
    requirements = sysconfig.get_path("purelib")
    pathlib.Path(site, "requirements.pth").write_text(requirements)
    pip = sys.executable, "-m", "pip", "--python", python, "install"
    call(*pip, "--no-deps", "--no-index", "-q", wheel, folder=tmp_path)
    readme = (ROOT / "README.md").read_text("utf-8")
    quickstart = re.search(r"```python\n(.*?)```", readme, re.S)[1]
    (tmp_path / "quickstart.py").write_text(
        quickstart
        + "\nimport keras_curvature, keras_curvature._demo"
        + "\nprint(keras_curvature.__file__, keras_curvature._demo.folder())"
    )
    printed = call(python, "quickstart.py", folder=tmp_path)
    package, examples = printed.splitlines()[-1].split()
    assert package.startswith(site) and examples.startswith(site)
    assert re.search(r"accuracy: 0\.9\d+", printed)
