"""A model from a file, of which nothing is run."""

import pathlib
import re
import zipfile

import keras

from keras_curvature.report._input import InputError, one_line


def load_model(path):
    """The model of a `.keras` file.

    Args:
        path: Path of the file.

    Raises:
        InputError: if there is no such file, it is none of Keras's, or it
            holds code or classes that are not known here.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    if path.suffix != ".keras" or "config.json" not in _members(path):
        raise InputError(
            f"{path}: is no .keras file, as model.save('NAME.keras') writes it"
        )
    try:
        # Lambda layers and the like hold code, which this refuses to run.
        model = keras.saving.load_model(path, safe_mode=True)
    except Exception as error:
        raise InputError(f"{path}: {_reason(error)}") from error
    if not model.built:
        raise InputError(f"{path}: its model has no weights yet; call it once")
    return model


def _members(path):
    """The names of the files in an archive, none if it is no archive."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def _reason(error):
    texts = []
    # Keras wraps what it finds out in another error.
    while error is not None:
        texts.append(one_line(error, 2000))
        error = error.__cause__ or error.__context__
    text = " ".join(texts)
    if re.search(r"lambda", text, re.I):
        return (
            "holds a Lambda layer, which is code and is not run; load it in "
            "Python and use keras_curvature.report.curvature_report"
        )
    unknown = re.search(r"Could not locate (?:class|function) '([^']*)'", text)
    if unknown:
        return (
            f"holds the class {unknown[1]}, which is not known here; load it "
            "in Python and use keras_curvature.report.curvature_report"
        )
    return f"cannot be loaded ({one_line(texts[0])})"
