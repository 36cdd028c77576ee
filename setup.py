"""The package's description: README, whose links work on an index, too."""

import configparser
import pathlib
import re

from setuptools import setup

_ROOT = pathlib.Path(__file__).parent


def description():
    """Returns README with links to the repository in place of links to files."""
    config = configparser.ConfigParser()
    config.read(_ROOT / "setup.cfg")
    url = config["metadata"]["url"]
    text = (_ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^]]*\]\()(?!https?:|#)", rf"\1{url}/raw/main/", text)
    return re.sub(r"(\]\()(?!https?:|#)", rf"\1{url}/blob/main/", text)


setup(long_description=description(), long_description_content_type="text/markdown")
