"""Runs the examples in every docstring."""

import doctest
import importlib
import pkgutil

import pytest

import lrlearn

_WALK = pkgutil.walk_packages(lrlearn.__path__, "lrlearn.")
MODULES = ["lrlearn", *(module.name for module in _WALK)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    """Each example gives what it says."""
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(module, optionflags=flags).failed == 0
