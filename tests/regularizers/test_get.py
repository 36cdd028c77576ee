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
