"""Exported models live on where keras_curvature is not installed."""

import pathlib
import subprocess
import sys

import numpy as np

COMPATIBILITY = (
    pathlib.Path(__file__).parents[1] / "saved_models" / "compatibility"
)

# A finder that refuses the package stands for a machine without it.
LOAD_AND_PREDICT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "keras_curvature":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
np.save(sys.argv[3], model.serve(np.load(sys.argv[2])))
"""


def test_committed_export_predicts_without_keras_curvature(tmp_path):
    expected = np.load(COMPATIBILITY / "expected.npz")
    np.save(tmp_path / "inputs.npy", expected["inputs"])
    subprocess.run(
        [
            sys.executable,
            "-c",
            LOAD_AND_PREDICT,
            COMPATIBILITY / "model",
            tmp_path / "inputs.npy",
            tmp_path / "outputs.npy",
        ],
        check=True,
    )
    outputs = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(outputs, expected["outputs"], rtol=0, atol=1e-6)
