"""Runs the examples in every docstring."""

import doctest
import importlib
import pkgutil

import pytest

import lrlearn
import paper


def _modules(package):
    yield package.__name__
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        # Programs, whose flags exclude one another.
        if not module.name.startswith("paper.checks."):
            yield module.name


MODULES = [*_modules(lrlearn), *_modules(paper)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    """Each example gives what it says."""
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(module, optionflags=flags).failed == 0
