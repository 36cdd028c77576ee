"""Names of what is exported, and of the files that hold it."""

import importlib
import pkgutil
import types

import lrlearn


def test_no_function_hides_a_module():
    """`lrlearn.a.b` is the module of that name wherever there is one."""
    for found in pkgutil.walk_packages(lrlearn.__path__, "lrlearn."):
        package, _, name = found.name.rpartition(".")
        importlib.import_module(found.name)
        value = getattr(importlib.import_module(package), name)
        assert isinstance(value, types.ModuleType), found.name
