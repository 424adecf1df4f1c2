"""`python -m keras_curvature report`: what it takes, refuses and writes."""

import os
import pathlib
import pickle
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from keras_curvature.__main__ import main
from keras_curvature.report._data_file import in_structure, load_data
from tests.report.helpers import Page

ROOT = pathlib.Path(__file__).parents[2]
X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.arange(12) % 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models and data, good and bad."""
    folder = tmp_path_factory.mktemp("report")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    for name, inner, loss in (
        ("good", layers.Dense(3, "softmax"), "sparse_categorical_crossentropy"),
        ("logits", layers.Dense(3), "sparse_categorical_crossentropy"),
        ("bare", layers.Dense(3), None),
        ("code", layers.Lambda(lambda x: x), "mse"),
        ("mine", type("Mine", (layers.Dense,), {})(3), "mse"),
    ):
        model = keras.Sequential([keras.Input((3,)), inner], name=name)
        if loss:
            model.compile("sgd", loss)
        model.save(folder / f"{name}.keras")
    good = (folder / "good.keras").read_bytes()
    (folder / "cut.keras").write_bytes(good[: len(good) // 2])
    (folder / "text.keras").write_text("no model")
    with zipfile.ZipFile(folder / "zip.keras", "w") as archive:
        archive.writestr("a", "b")
    for name, arrays in ARRAYS.items():
        np.savez(folder / f"{name}.npz", **arrays)
    (folder / "text.npz").write_text("no data")
    (folder / "pickle.npz").write_bytes(pickle.dumps(X))
    np.save(folder / "array.npy", X)
    return folder


ARRAYS = {
    "good": {"x": X, "y": Y},
    "others": {"inputs": X, "y": Y},
    "more": {"x": X, "y": Y, "ids": Y},
    "no y": {"x": X},
    "empty": {"x": X[:0], "y": Y[:0]},
    "columns": {"x": X[:, :2], "y": Y},
    "rows": {"x": X, "y": Y[:5]},
    "weights": {"x": X, "y": Y, "sample_weight": np.ones(3)},
    "scalar": {"x": X, "y": np.array(1)},
    "nan": {"x": np.where(X[2, 1] == X, np.nan, X), "y": Y},
    "objects": {"x": X, "y": np.array([{}] * 12, object)},
    "strings": {"x": X, "y": np.array(["a"] * 12)},
    "labels": {"x": X, "y": Y + 1},
    "negative": {"x": X, "y": Y - 1},
    "halves": {"x": X, "y": Y + 0.5},
    "vectors": {"x": X, "y": X},
    "named": {"x_a": X, "y": Y},
}
REFUSED = {
    "others": "holds inputs, y; its arrays must be x",
    "more": "holds x, y, ids; its arrays must be x",
    "no y": "holds x; it must hold x and y",
    "empty": "holds no samples",
    "columns": "x has shape (12, 2); this model takes (samples, 3)",
    "rows": "differ in samples: x has 12, y has 5",
    "weights": "sample_weight has 3",
    "scalar": "y must have an axis of samples",
    "nan": "1 of its entries are not; the first, nan, is in sample 2",
    "objects": "holds pickled objects, which are not loaded",
    "strings": "y must hold numbers, not <U1",
    "labels": "whole numbers from 0 to 2, as the model has 3 outputs; one of "
    "them is 3",
    "negative": "one of them is -1",
    "halves": "one of them is 0.5",
    "vectors": "the loss does not take y of shape (samples, 3)",
    "named": "for the inputs of this model it must hold x",
    "text": "is no .npz file",
    "pickle": "is no .npz file",
    "missing": "there is no such file",
}


def refusal(capsys, *arguments):
    """The line that a command ends with, after it has refused."""
    try:
        status = main(["report", *map(str, arguments)])
    except SystemExit as end:
        status = end.code
    told = capsys.readouterr()
    assert status == 2 and told.out == ""
    (line,) = told.err.splitlines()
    return line


@pytest.mark.parametrize("name", REFUSED)
def test_bad_data_get_one_line(name, folder, tmp_path, capsys):
    page = tmp_path / "page.html"
    data = folder / f"{name}.npz"
    model = folder / "good.keras"
    line = refusal(capsys, model, data, "--output", page)
    assert line.startswith(f"report: {data}: ")
    assert REFUSED[name] in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name, reason",
    [
        ("missing", "there is no such file"),
        ("text", "is no .keras file"),
        ("cut", "is no .keras file"),
        ("zip", "is no .keras file"),
        ("code", "holds a Lambda layer, which is code and is not run"),
        ("mine", "holds the class Mine, which is not known here"),
        ("bare", "saved without a loss; give one, such as --loss mse"),
    ],
)
def test_bad_models_get_one_line(name, reason, folder, tmp_path, capsys):
    model = folder / f"{name}.keras"
    page = tmp_path / "page.html"
    line = refusal(capsys, model, folder / "good.npz", "--output", page)
    assert line.startswith(f"report: {model}: ") and reason in line


def test_logits_are_told_from_probabilities(folder, tmp_path, capsys):
    page = tmp_path / "page.html"
    files = (folder / "logits.keras", folder / "good.npz", "--output", page)
    line = refusal(capsys, *files)
    assert "the output must be probabilities from 0 to 1" in line
    assert line.endswith("if they are logits, give --loss and --from-logits")


@pytest.mark.parametrize(
    "options, reason",
    [
        (("--samples", "0"), "--samples: must be at least 1, not 0"),
        (("--seed", "-1"), "--seed: invalid"),
        (("--loss", "mystery"), "--loss mystery: is no loss of Keras"),
        (("--from-logits",), "--from-logits needs --loss"),
        (("--loss", "mse", "--from-logits"), "is no loss of Keras with logits"),
        (("--layers", "nothing*"), "fits none of"),
        (("--output", "."), "is a folder"),
        (("--output", "no/page.html"), "there is no folder no"),
        (("--strange",), "unrecognized arguments: --strange"),
    ],
    ids=lambda value: value if isinstance(value, str) else "options",
)
def test_bad_options_get_one_line(
    options, reason, folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    files = (folder / "good.keras", folder / "good.npz")
    assert reason in refusal(capsys, *files, *options)


def test_a_page_that_nobody_named_is_not_replaced(
    folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "good-curvature.html"
    page.write_text("mine")
    line = refusal(capsys, folder / "good.keras", folder / "good.npz")
    assert line.endswith("to replace it give --output good-curvature.html")
    assert page.read_text() == "mine"


def test_several_inputs_go_by_name_or_by_number(tmp_path):
    inputs = [keras.Input((k,), name=name) for k, name in ((2, "b"), (1, "a"))]
    output = keras.layers.Dense(1)(keras.layers.Concatenate()(inputs))
    model = keras.Model(inputs, output)
    b, a = X[:, :2], X[:, 2:]
    data = tmp_path / "data.npz"
    for arrays in ({"x_a": a, "x_b": b}, {"x_0": b, "x_1": a}):
        np.savez(data, y=Y, **arrays)
        found = load_data(data, model)
        np.testing.assert_array_equal(found.x["a"], a)
        np.testing.assert_array_equal(found.x["b"], b)
    few = load_data(data, model, samples=5, seed=1)
    assert (few.samples, few.of, len(few.y)) == (5, 12, 5)
    # The samples stay together.
    rows = [np.flatnonzero((b == row).all(1))[0] for row in few.x["b"]]
    np.testing.assert_array_equal(few.x["a"], a[rows])
    np.testing.assert_array_equal(few.y, Y[rows])
    assert rows == sorted(set(rows))


def test_several_outputs_come_in_the_order_of_the_model(tmp_path):
    entry = keras.Input((3,))
    outputs = [keras.layers.Dense(1, name=name)(entry) for name in "vu"]
    data = tmp_path / "data.npz"
    np.savez(data, x=X, y_u=X[:, 0], y_v=X[:, 1])
    model = keras.Model(entry, outputs)
    v, u = in_structure(model, load_data(data, model))
    np.testing.assert_array_equal(u, X[:, 0])
    np.testing.assert_array_equal(v, X[:, 1])
    model = keras.Model(entry, dict(zip("vu", outputs, strict=True)))
    y = in_structure(model, load_data(data, model))
    np.testing.assert_array_equal(y["u"], X[:, 0])
    np.testing.assert_array_equal(y["v"], X[:, 1])


def test_a_page_is_made_of_a_model_with_two_inputs(tmp_path, capsys):
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((k,), name=name) for k, name in ((2, "b"), (1, "a"))]
    joined = keras.layers.Concatenate()(inputs)
    output = keras.layers.Dense(1)(joined)
    # TensorFlow makes no graphs of models with such names; files may have any.
    saved = tmp_path / "<script>&'.keras"
    keras.Model(inputs, output, name="two").save(saved)
    weight = np.arange(1.0, 13)
    np.savez(
        tmp_path / "two.npz", x_b=X[:, :2], x_a=X[:, 2:], y=X[:, 0],
        sample_weight=weight,
    )  # fmt: skip
    page = tmp_path / "page.html"
    page.write_text("to be replaced")
    status = main(
        [
            *("report", str(saved), str(tmp_path / "two.npz")),
            *("--loss", "mse", "--output", str(page), "--batch-size", "5"),
        ]
    )
    told = capsys.readouterr()
    assert (status, told.out) == (0, f"{page}\n"), told.err
    assert "products of matrices of 4 weights over 12 samples" in told.err
    text = page.read_text("utf-8")
    read = Page(text)
    assert read.faults == [] and read.texts["h1"] == ["Curvature of two"]
    assert not read.of("script") and saved.name in read.texts["dd"]
    # H = 2·XᵀWX / N of the linear model with its bias.
    rows = np.c_[X, np.ones(12)]
    hessian = 2 * rows.T @ (weight[:, None] * rows) / 12
    table = [t for t in read.texts["td"] if "×" not in t]
    for value in np.linalg.eigvalsh(hessian)[::-1]:
        digits = max(0, 4 - int(np.floor(np.log10(value))))
        assert f"{value:.{digits}f}" in table
    assert f"{np.trace(hessian):.2f}" in table
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *(saved.name, "page.html", "two.npz")
    ]


def test_as_a_command_it_says_nothing_but_its_own(folder):
    result = subprocess.run(
        [sys.executable, "-m", "keras_curvature", "report", "a.keras", "b.npz"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2 and result.stdout == ""
    # Not a line of TensorFlow's own log.
    assert result.stderr == "report: a.keras: there is no such file\n"
