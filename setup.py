"""What `setup.cfg` cannot say: the examples within the package, and README.

The examples are installed as `keras_curvature/examples`, where the demo finds
them without the repository. On an index page README's relative links lead
nowhere: they become the names of the files.
"""

import pathlib
import re

from setuptools import find_packages, setup


def description():
    text = pathlib.Path(__file__).with_name("README.md").read_text("utf-8")
    text = re.sub(r"!\[[^]]*\]\((?!https?:)[^)]*\)\n*", "", text)
    return re.sub(r"\[([^]]*)\]\((?!https?:)([^)]*)\)", r"\1 (`\2`)", text)


setup(
    long_description=description(),
    long_description_content_type="text/markdown",
    packages=[
        *find_packages(include=["keras_curvature*"]),
        "keras_curvature.examples",
    ],
    package_dir={"keras_curvature.examples": "examples"},
    package_data={
        "keras_curvature": ["py.typed"],
        "keras_curvature.examples": ["data/nist_strd/*"],
    },
)
