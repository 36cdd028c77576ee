"""Updates that XLA compiles: which are, and that they do what others do."""

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn import LearnedOptimizer
from lrlearn.optimizers import xla
from lrlearn.rules import PerParameterMLP, ScheduledMLP
from tests.optimizers.conftest import RULES
from tests.optimizers.test_blocks import draw, one_by_one
from tests.rules.test_contract import large_theta

pytestmark = pytest.mark.any_backend

BACKEND = keras.backend.backend()
LARGE, CONVOLUTION = [(150, 80), (80,)], [(3, 3, 40, 40), (40,)]


@pytest.fixture(name="compiled")
def _compiled(monkeypatch):
    """The updates that are compiled, a list that grows."""
    updates, original = [], xla.compiled

    def note(update):
        updates.append(update)
        return original(update)

    monkeypatch.setattr(xla, "compiled", note)
    return updates


@pytest.mark.parametrize(
    ("name", "shapes", "backends"),
    [
        ("scheduled", LARGE, ("tensorflow", "jax")),
        ("mlp", LARGE, ("tensorflow", "jax")),
        ("log/scaled", LARGE, ()),
        ("scheduled", [(15, 8), (8,)], ()),
        ("scheduled", CONVOLUTION, ("jax",)),
    ],
)
def test_which_updates_pay(name, shapes, backends):
    """Those of cheap rules for many parameters; of convolutions only where all is."""
    assert xla.pays(RULES[name], shapes) == (BACKEND in backends)


@pytest.mark.parametrize("name", ["scheduled", "mlp"])
def test_compiled_at_once_is_one_by_one(name):
    """To 1e-6, in the order that the variables have."""
    rule, rng = RULES[name], np.random.default_rng(0)
    start, steps = draw(rng), [draw(rng) for _ in range(3)]
    variables = [keras.Variable(w) for w in start]
    optimizer = LearnedOptimizer(rule, rule.init_theta(seed=1), jit_compile=True)
    for gradients in steps:
        optimizer.apply([ops.convert_to_tensor(g) for g in gradients], variables)
    for variable, value in zip(variables, one_by_one(rule, start, steps), strict=True):
        np.testing.assert_allclose(np.ravel(variable.numpy()), value, rtol=0, atol=1e-6)


def _trained(rule, jit_compile, data):
    dense = keras.layers.Dense(100, "tanh", kernel_initializer="glorot_normal")
    model = keras.Sequential([keras.Input((100,)), dense, keras.layers.Dense(1)])
    rng = np.random.default_rng(0)
    model.set_weights([0.1 * rng.normal(size=w.shape) for w in model.get_weights()])
    optimizer = LearnedOptimizer(rule, large_theta(rule), jit_compile=jit_compile)
    jax = BACKEND == "jax"  # slow unless compiled
    model.compile(optimizer, "mse", jit_compile=jax)
    model.fit(*data, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("rule", [ScheduledMLP(), PerParameterMLP()], ids=repr)
def test_fit_is_the_same(rule, compiled):
    """By default it is compiled, and the model moves as without."""
    rng = np.random.default_rng(1)
    data = rng.normal(size=(24, 100)), rng.normal(size=(24, 1))
    default = _trained(rule, None, data)
    assert len(compiled) == (BACKEND != "torch")
    plain = _trained(rule, False, data)
    assert len(compiled) == (BACKEND != "torch")
    for one, other in zip(default, plain, strict=True):
        scale = np.abs(other).max()
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("jit_compile", [None, True, False])
def test_the_argument_is_kept(make_optimizer, jit_compile):
    """In a copy, too."""
    config = keras.optimizers.serialize(make_optimizer(jit_compile=jit_compile))
    assert keras.optimizers.deserialize(config).jit_compile is jit_compile


def test_no_other_argument(make_optimizer):
    """Keras's "auto" is none here."""
    with pytest.raises(ValueError, match="True, False or None. Received: .*='auto'"):
        make_optimizer(jit_compile="auto")
