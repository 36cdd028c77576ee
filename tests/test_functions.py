"""Functions are told apart by what they do."""

import functools

import keras
import numpy as np
from keras import ops

from lrlearn.functions import name_of


@keras.saving.register_keras_serializable(package="tests_functions")
def registered(x):
    return x


def _times(factor):
    return lambda x: factor * x


def _power(x, n):
    return x**n


def test_what_differs():
    functions = [registered, _power, lambda x: 0.0, lambda x: 1.0]
    functions += [lambda x: ops.abs(x), lambda x: ops.square(x)]
    functions += [_times(0.1), _times(10.0), _times(np.ones(2)), _times(np.zeros(2))]
    functions += [functools.partial(_power, n=n) for n in (1, 2)]
    names = [name_of(function) for function in functions]
    assert names[0] == "tests_functions>registered" and len(set(names)) == 12


def test_what_is_the_same():
    """Made again, with functions within and sets of another order."""
    source = "lambda f, w: sum(abs(x) for x in w if x not in {%s})"
    one, same, other = (
        name_of(eval(source % names)) for names in ("'a', 'b'", "'b', 'a'", "'a', 'c'")
    )
    assert one == same != other


def test_functions_that_hold_each_other():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert name_of(even) == name_of(even) != name_of(odd)
