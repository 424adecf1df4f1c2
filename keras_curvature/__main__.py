"""The commands of `python -m keras_curvature`."""

import argparse
import sys

from keras_curvature._demo import demo
from keras_curvature._quiet import unmute_log
from keras_curvature._version import __version__
from keras_curvature.report.command import add_report_command


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments=None):
    """Runs a command and returns its exit status.

    Args:
        arguments: List of strings. Defaults to those of the process.
    """
    unmute_log()
    parser = _Parser(
        prog="python -m keras_curvature",
        description="Exact curvature for Keras 3 on TensorFlow.",
    )
    parser.add_argument(
        "--version", action="version", version=f"keras_curvature {__version__}"
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True
    )
    add_report_command(commands)
    # Its options are those of the script, which knows them.
    commands.add_parser(
        "demo", help="two comparisons with tables and plots", add_help=False
    )
    options, rest = parser.parse_known_args(arguments)
    if options.command == "demo":
        try:
            demo(rest)
        except ModuleNotFoundError as error:
            parser.error(str(error))
        return 0
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
