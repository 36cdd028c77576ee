"""Functions without a name of their own, told apart."""

import functools
import types
import zlib

import numpy as np
from keras.saving import get_registered_name, get_registered_object

_PLAIN = bool | int | float | complex | str | bytes | np.generic | types.NoneType


def name_of(function):
    """Returns a function's registered name, or one with a checksum of what it does.

    The checksum is of code, defaults and plain values that the function holds. So it is
    the same in each process, with the same version of Python.

    Example:
        >>> from lrlearn.functions import name_of
        >>> name_of(lambda x: 2 * x) == name_of(lambda x: 2 * x)
        True
        >>> name_of(lambda x: 2 * x) == name_of(lambda x: 3 * x)
        False
    """
    name = getattr(function, "__name__", None)
    if name is not None:
        registered = get_registered_name(function)
        if get_registered_object(registered) is function:
            return registered
    checksum = zlib.crc32(_describe(function).encode())
    return f"{name or type(function).__name__}, {checksum:08x}"


def _describe(part):
    """Returns a text of a function's code and constants, the same in each process."""
    if isinstance(part, functools.partial):
        part = [part.func, part.args, sorted(part.keywords.items())]
    elif isinstance(part, types.FunctionType):
        part = [part.__code__, part.__defaults__, part.__kwdefaults__, _held(part)]
    elif isinstance(part, types.CodeType):
        part = [part.co_code, part.co_names, part.co_consts]
    elif isinstance(part, dict):
        part = sorted(part.items())
    elif isinstance(part, set | frozenset):
        part = sorted(map(repr, part))
    elif isinstance(part, np.ndarray):
        part = [part.shape, part.dtype.str, part.tobytes()]
    if isinstance(part, list | tuple):
        return f"[{', '.join(map(_describe, part))}]"
    return repr(part) if isinstance(part, _PLAIN) else type(part).__name__


def _held(function):
    """Returns the values in a closure; of functions, which may hold it, the code."""
    values = [cell.cell_contents for cell in function.__closure__ or ()]
    return [getattr(value, "__code__", value) for value in values]
