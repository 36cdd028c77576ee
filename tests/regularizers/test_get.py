import functools

import pytest

from lrlearn import regularizers


@pytest.mark.parametrize(
    "name, cls",
    [
        ("sam", regularizers.SAM),
        ("asam", regularizers.ASAM),
        ("gsam", regularizers.GSAM),
        ("GAM", regularizers.GAM),
        ("l2", regularizers.L2),
    ],
)
def test_names(name, cls):
    assert type(regularizers.get(name)) is cls


def test_none_and_instances():
    sam = regularizers.SAM()
    assert regularizers.get(None) is None
    assert regularizers.get("none") is None
    assert regularizers.get(sam) is sam


@pytest.mark.parametrize("unknown", ["sma", 0.05, ["sam"], regularizers.SAM])
def test_unknown_names_list_valid_ones(unknown):
    with pytest.raises(ValueError, match="'none', 'sam', 'asam', 'gsam', 'gam', 'l2'"):
        regularizers.get(unknown)


def test_arguments_come_with_names_only():
    with pytest.raises(ValueError, match=r"Received: \['rho'\]"):
        regularizers.get(regularizers.SAM(), rho=0.1)


def _l1(loss_fn, params):
    return 0.0


@pytest.mark.parametrize("function", [_l1, functools.partial(_l1), lambda f, w: 0.0])
def test_a_function_becomes_a_penalty(function):
    penalty = regularizers.get(function, weight=0.5)
    assert type(penalty) is regularizers.Penalty
    assert penalty.function is function and penalty.weight == 0.5
