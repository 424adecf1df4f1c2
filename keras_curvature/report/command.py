"""The command `python -m keras_curvature report`."""

import argparse
import importlib.util
import os
import pathlib
import re
import sys
import warnings

import keras
import tensorflow as tf

from keras_curvature.report._data_file import in_structure, load_data
from keras_curvature.report._input import InputError, one_line
from keras_curvature.report._model_file import load_model
from keras_curvature.report._numbers import count
from keras_curvature.report._targets import refuse_other_targets
from keras_curvature.report.curvature_report import curvature_report

_DESCRIPTION = """\
Measures the curvature of a saved model and writes one page of HTML.

The page needs no network and no script: sharpness, eigenvalues, trace and
spectral density of the Hessian, what the activations have in it and what they
do to the gradient, and the loss along the steepest direction.
"""
_DATA = """\
DATA holds arrays, as numpy.savez("DATA.npz", x=..., y=...) writes them:
  x, y             inputs and targets, a sample in each row
  x_NAME, y_NAME   one for each of several inputs or outputs, by their names,
                   or x_0, x_1, ... in their order
  sample_weight    a weight for each sample, if wanted

Nothing of either file is executed. Exit status: 0, or 2 for files and options
that cannot be taken, with one line on the standard error.
"""


def add_report_command(commands):
    """Adds the command to those of a parser.

    Args:
        commands: What `argparse.ArgumentParser.add_subparsers` returns.
    """
    parser = commands.add_parser(
        "report",
        help="a page on the curvature of a saved model",
        description=_DESCRIPTION,
        epilog=_DATA,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL.keras", help="saved model")
    add("data", metavar="DATA.npz", help="arrays x and y, see below")
    add("--output", metavar="PAGE.html", help=(
        "replaced if it exists (default: MODEL-curvature.html in this folder, "
        "which must not exist)"
    ))  # fmt: skip
    add("--loss", metavar="NAME", help=(
        "name of a Keras loss, such as mse (default: the one it is compiled "
        "with)"
    ))  # fmt: skip
    add("--from-logits", action="store_true", help=(
        "the outputs are logits, for a cross-entropy given by --loss"
    ))  # fmt: skip
    add("--samples", metavar="N", type=_above_zero, help=(
        "at most so many samples, drawn at random (default: all)"
    ))  # fmt: skip
    add("--layers", metavar="PATTERN", action="append", help=(
        "only weights of these layers, such as 'dense*'; may be given again"
    ))  # fmt: skip
    add("--seed", metavar="N", type=_whole, default=0, help=(
        "of all random numbers (default: 0)"
    ))  # fmt: skip
    add("--batch-size", metavar="N", type=_above_zero, default=256, help=(
        "samples at once; fewer take less memory (default: 256)"
    ))  # fmt: skip
    parser.set_defaults(run=_run)


def _run(options):
    """Makes the page; returns the exit status."""
    tf.get_logger().setLevel("ERROR")
    try:
        _make(options)
    except (KeyError, IndexError):
        # A fault of this program, not of its input.
        raise
    except (tf.errors.ResourceExhaustedError, MemoryError):
        return _failed("memory does not suffice; lower --batch-size")
    except OSError as error:
        return _failed(f"{error.filename or 'file'}: {error.strerror or error}")
    except (
        InputError,
        ImportError,
        ValueError,
        LookupError,
        NotImplementedError,
        tf.errors.OpError,
    ) as error:
        return _failed(one_line(error))
    except KeyboardInterrupt:
        _failed("interrupted, and no page written")
        return 130
    return 0


def _failed(line):
    print(f"report: {line}", file=sys.stderr)
    return 2


def _make(options):
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            "matplotlib is missing; pip install keras_curvature[plots]"
        )
    output = _checked_output(options)
    loss = _loss(options)
    with warnings.catch_warnings():
        # Keras warns of states of optimizers, which nobody asks for here.
        warnings.simplefilter("ignore")
        model = load_model(options.model)
    if loss is None and getattr(model, "_compile_loss", None) is None:
        raise InputError(
            f"{options.model}: the model was saved without a loss; give one, "
            "such as --loss mse"
        )
    data = load_data(options.data, model, options.samples, options.seed)
    data = data._replace(y=in_structure(model, data))
    refuse_other_targets(options.data, model, loss, data, options.batch_size)
    report = curvature_report(
        model,
        data.x,
        data.y,
        data.sample_weight,
        loss=loss,
        layers=options.layers,
        batch_size=options.batch_size,
        seed=options.seed,
        verbose=1,
    )
    for line in (*report.notes, *report.missing.values()):
        print(f"  note: {line}", file=sys.stderr)
    chosen = f", {count(data.samples)} of {count(data.of)} samples"
    source = (
        ("Model", pathlib.Path(options.model).name),
        (
            "Data",
            pathlib.Path(options.data).name
            + (chosen if data.samples < data.of else ""),
        ),
    )
    report.save(output, source)
    print(output)


def _checked_output(options):
    """The path of the page, if it can be written there."""
    if options.output is None:
        path = pathlib.Path(
            pathlib.Path(options.model).stem + "-curvature.html"
        )
        if path.exists():
            raise InputError(
                f"{path}: exists; to replace it give --output {path}"
            )
    else:
        path = pathlib.Path(options.output)
    if path.is_dir():
        raise InputError(f"{path}: is a folder; --output must name a file")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: the folder {path.parent} is read-only")
    return path


def _loss(options):
    """The loss that the options name, or None for that of the model."""
    name = options.loss
    if name is None:
        if options.from_logits:
            raise InputError("--from-logits needs --loss")
        return None
    try:
        loss = keras.losses.get(name)
        if options.from_logits:
            # A function stands for its class: mean_error, MeanError.
            words = re.split("_", getattr(loss, "__name__", name))
            kind = "".join(w[:1].upper() + w[1:] for w in words)
            loss = keras.losses.get(
                {"class_name": kind, "config": {"from_logits": True}}
            )
    except Exception as error:
        what = " with logits" if options.from_logits else ""
        raise InputError(
            f"--loss {name}: is no loss of Keras{what}; "
            "for example mse or sparse_categorical_crossentropy"
        ) from error
    return loss


def _whole(text):
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _above_zero(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return value
