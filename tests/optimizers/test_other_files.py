"""LearnedOptimizer given what was saved with another optimizer, or is damaged."""

import warnings

import keras
import numpy as np
import pytest

from lrlearn.optimizers import LearnedOptimizer
from lrlearn.rules import PerParameterMLP
from tests.optimizers.conftest import W

pytestmark = pytest.mark.any_backend

LossScaleOptimizer = keras.optimizers.LossScaleOptimizer
PRESETS = ("lo_sam", "lo_lstm_sam")
OTHERS = {
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
    "momentum": lambda: keras.optimizers.SGD(momentum=0.9),
    "lo_sam": lambda: LearnedOptimizer.from_preset("lo_sam"),
    "lo_lstm_sam": lambda: LearnedOptimizer.from_preset("lo_lstm_sam"),
    "average": lambda: LearnedOptimizer.from_preset("lo_sam", use_ema=True),
}


@pytest.fixture(name="make")
def _make():
    """Function that returns a compiled network with 64, 20 and 10 units."""

    def make(optimizer, built=True):
        dense = [keras.layers.Dense(units) for units in (20, 10)]
        model = keras.Sequential([keras.Input((64,)), *dense])
        model.compile(optimizer, "mse")
        if built:
            optimizer.build(model.trainable_variables)
        return model

    return make


def _values(optimizer):
    return [np.copy(v.numpy()) for v in optimizer.variables]


def _assert_same(optimizer, before):
    for old, new in zip(before, _values(optimizer), strict=True):
        np.testing.assert_array_equal(old, new)


def _load(model, path, **kwargs):
    """Returns what Keras warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.load_weights(path, **kwargs)
    return [str(w.message) for w in caught if issubclass(w.category, UserWarning)]


@pytest.mark.parametrize("built", [True, False], ids=["built", "unbuilt"])
@pytest.mark.parametrize(
    ("other", "name"), [(o, name) for o in OTHERS for name in PRESETS if o != name]
)
def test_another_optimizers_file(make, tmp_path, other, name, built):
    """One warning and nothing is set, also if there are as many variables."""
    make(OTHERS[other]()).save_weights(tmp_path / "a.weights.h5")
    optimizer = LearnedOptimizer.from_preset(name, learning_rate=0.5)
    model, before = make(optimizer, built), _values(optimizer)
    for skip_mismatch in (False, True):
        (message,) = _load(
            model, tmp_path / "a.weights.h5", skip_mismatch=skip_mismatch
        )
        assert message.startswith(
            "Skipping variable loading for optimizer 'learned_optimizer', because it"
        )
        _assert_same(optimizer, before)


@pytest.mark.parametrize("other", ["rmsprop", "momentum"])
def test_another_optimizers_file_under_loss_scaling(make, tmp_path, other):
    """The optimizer inside is not touched."""
    make(LossScaleOptimizer(OTHERS[other]())).save_weights(tmp_path / "a.weights.h5")
    optimizer = LearnedOptimizer.from_preset("lo_sam")
    model = make(LossScaleOptimizer(optimizer))
    before = _values(optimizer)
    assert "'learned_optimizer'" in _load(model, tmp_path / "a.weights.h5")[-1]
    _assert_same(optimizer, before)


@pytest.mark.parametrize("other", ["adam", "momentum", "lo_lstm_sam"])
def test_an_untrained_optimizer_takes_no_others_weights(make, tmp_path, other):
    """It stays untrained."""
    make(OTHERS[other]()).save_weights(tmp_path / "a.weights.h5")
    optimizer = LearnedOptimizer(PerParameterMLP())
    assert len(_load(make(optimizer, built=False), tmp_path / "a.weights.h5")) == 1
    assert optimizer.theta is None
    assert int(optimizer.iterations) == 0


def _without(key):
    return lambda store: {k: v for k, v in store.items() if k != key}


def _with(key, value):
    return lambda store: {**store, key: value}


DAMAGES = {
    "none": lambda store: {},
    "first missing": _without("0"),
    "theta missing": _without("3"),
    "one more": _with("extra", np.float32(0.0)),
    "other name": lambda store: _with("x", store["3"])(_without("3")(store)),
    "state of other shape": _with("8", np.zeros((1, 2, 3), "float32")),
    "theta transposed": lambda store: _with("3", store["3"].T)(store),
    "step is a list": _with("0", np.zeros(3, "int32")),
    "text": _with("1", np.array("0.5")),
    "NaN in theta": lambda store: _with("3", store["3"] * np.nan)(store),
    "infinite weight": _with("2", np.float32([[0.0], [np.inf], [0.0]])),
    "too large for float32": _with("2", np.float64([[0.0], [1e300], [0.0]])),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged(rule, make_optimizer, damage):
    """A file is skipped, a list refused, and nothing is set."""
    optimizer, other = make_optimizer(learning_rate=0.5), make_optimizer()
    for o in (optimizer, other):
        o.build([keras.Variable(W)])
    before = _values(optimizer)
    store = damage({str(i): v + 1 for i, v in enumerate(_values(other))})
    with pytest.warns(UserWarning, match="Skipping variable loading") as caught:
        optimizer.load_own_variables(store)
    assert len(caught) == 1
    _assert_same(optimizer, before)
    assert optimizer.theta is not None
    if "x" not in store:
        with pytest.raises(ValueError, match="`weights` must fit 'learned_optimizer'"):
            optimizer.set_weights([store[key] for key in sorted(store, key=_order)])
        _assert_same(optimizer, before)


def _order(key):
    return int(key) if key.isdigit() else 99


def test_set_weights_of_another(make):
    """As many, of other shapes: nothing is set."""
    rule, adam = PerParameterMLP(), keras.optimizers.Adam()
    optimizer = LearnedOptimizer(rule, rule.init_theta())
    make(optimizer), make(adam)
    before = _values(optimizer)
    with pytest.raises(ValueError, match=r"its variable 2, 'head_bias', must be.*\(3,"):
        optimizer.set_weights(adam.variables)
    _assert_same(optimizer, before)
    with pytest.raises(ValueError, match="has not yet been built"):
        LearnedOptimizer(rule, rule.init_theta()).set_weights(adam.variables)


def test_set_weights_takes_variables(make):
    """All of them, or those of one that was not built."""
    rule = LearnedOptimizer.from_preset("lo_sam").rule
    optimizer = LearnedOptimizer(rule, rule.init_theta(1))
    make(optimizer)
    for built in (False, True):
        other = LearnedOptimizer.from_preset("lo_sam", learning_rate=0.25)
        make(other, built)
        other.iterations.assign(7)
        optimizer.set_weights(other.variables)
        _assert_same(other, _values(optimizer)[: len(other.variables)])
