"""What happens at `import keras_curvature`."""

import importlib
import os
import pathlib
import subprocess
import sys

import keras
import pytest

import keras_curvature

ROOT = pathlib.Path(__file__).parents[1]


def test_another_keras_backend_is_refused_with_what_to_set(monkeypatch):
    # Keras's own backends other than TensorFlow need JAX or PyTorch installed,
    # so its answer to the question is replaced instead.
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    monkeypatch.delitem(sys.modules, "keras_curvature")
    with pytest.raises(ImportError) as refusal:
        importlib.import_module("keras_curvature")
    error = str(refusal.value)
    assert error.startswith("keras_curvature needs the TensorFlow")
    assert "Received: keras.config.backend() == 'jax'" in error
    assert 'KERAS_BACKEND to "tensorflow"' in error


def test_importing_computes_nothing():
    # A program must still be able to configure its devices afterwards.
    code = (
        "import keras_curvature, tensorflow as tf; "
        "tf.config.set_logical_device_configuration("
        "tf.config.list_physical_devices('CPU')[0], "
        "[tf.config.LogicalDeviceConfiguration()] * 2); "
        "print(len(tf.config.list_logical_devices('CPU')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "2", result.stderr


def test_public_names_exist():
    modules = [keras_curvature]
    for module in modules:
        for name in getattr(module, "__all__", []):
            value = getattr(module, name)
            if type(value).__name__ == "module":
                modules.append(value)
    assert len(modules) > 3


def test_the_demo_is_found_and_says_what_it_takes(capsys):
    from keras_curvature.__main__ import main

    before = sys.argv, list(sys.path)
    with pytest.raises(SystemExit) as end:
        main(["demo", "--help"])
    assert end.value.code == 0
    assert "--export" in capsys.readouterr().out
    assert before == (sys.argv, sys.path)
