"""Checks of arguments."""

import math
import numbers
import reprlib


def check_count(name, count, minimum=1):
    """Returns `count` as an `int`; raises a `ValueError` if it is no valid one."""
    is_integer = isinstance(count, numbers.Integral) and not isinstance(count, bool)
    if not is_integer or count < minimum:
        raise ValueError(
            f"`{name}` must be an integer >= {minimum}. Received: {name}={count!r}"
        )
    return int(count)


def check_positive(name, value):
    """Returns a finite number > 0 as a `float`; raises a `ValueError` if it is none."""
    if not isinstance(value, numbers.Real) or not 0 < value < math.inf:
        raise ValueError(
            f"`{name}` must be a positive number. Received: {name}={value!r}"
        )
    return float(value)


def check_non_negative(name, value):
    """Returns a finite number >= 0 as a `float`; raises a `ValueError` if it is none.

    Example:
        >>> from lrlearn.checks import check_non_negative
        >>> check_non_negative("rho", 1)
        1.0
    """
    if not isinstance(value, numbers.Real) or not 0 <= value < math.inf:
        raise ValueError(
            f"`{name}` must be a finite number, at least 0. Received: {name}={value!r}"
        )
    return float(value)


def check_confidence(confidence):
    """Raises a `ValueError` unless `confidence` is a number between 0 and 1."""
    if not isinstance(confidence, numbers.Real) or not 0 < confidence < 1:
        raise ValueError(
            f"`confidence` must be between 0 and 1. Received: {confidence=!r}"
        )


def differences(found, wanted, prefix=""):
    """Yields what differs between two nested dicts, as short texts.

    Dicts in a list are told by their position in it.

    Example:
        >>> from lrlearn.checks import differences
        >>> list(differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}))
        ['a.b 1, not 3']
        >>> list(differences({"tasks": [{"model": 1}]}, {"tasks": [{"model": 2}]}))
        ['tasks.0.model 1, not 2']
    """
    for name in sorted(found.keys() | wanted.keys()):
        one, other = _by_position(found.get(name)), _by_position(wanted.get(name))
        if isinstance(one, dict) and isinstance(other, dict):
            yield from differences(one, other, f"{prefix}{name}.")
        elif one != other:
            yield f"{prefix}{name} {reprlib.repr(one)}, not {reprlib.repr(other)}"


def _by_position(value):
    """Returns a list of dicts as a dict; any other value as it is."""
    dicts = isinstance(value, list) and all(isinstance(v, dict) for v in value)
    return dict(enumerate(value)) if dicts and value else value
