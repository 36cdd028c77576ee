"""All variables at once, block by block, give what each gives by itself."""

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn import LearnedOptimizer
from lrlearn.optimizers import blocks
from lrlearn.rules import CoordinatewiseLSTM
from tests.optimizers.conftest import RULES

pytestmark = pytest.mark.any_backend

SHAPES = [(7, 5), (), (11,), (0,), (2, 3, 4), (7, 5)]


@pytest.fixture(name="small_blocks", params=[16, 10**6], autouse=True)
def _small_blocks(request, monkeypatch):
    monkeypatch.setattr(blocks, "_LARGEST_BLOCK", request.param)


def draw(rng):
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES]


def one_by_one(rule, start, steps):
    """Returns the values after steps of lists of gradients, `None` for no step."""
    theta, values = rule.init_theta(seed=1), [np.ravel(w) for w in start]
    states = [rule.initial_state([shape]) for shape in SHAPES]
    for step, gradients in enumerate(steps, start=1):
        for i, (g, shape) in enumerate(zip(gradients, SHAPES, strict=True)):
            if g is not None:
                d, states[i] = rule.update(
                    theta, np.ravel(g), values[i], states[i], step, [shape]
                )
                values[i] = values[i] + ops.convert_to_numpy(d)
    return values


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_at_once_is_one_by_one(rule):
    """To 1e-6, in any number of blocks and in any order of the variables."""
    rng = np.random.default_rng(0)
    start, steps = draw(rng), [draw(rng) for _ in range(4)]
    variables = [keras.Variable(w) for w in start]
    optimizer = LearnedOptimizer(rule, rule.init_theta(seed=1))
    optimizer.build(variables)
    for gradients in steps:
        gradients = [ops.convert_to_tensor(g) for g in gradients]
        optimizer.apply(gradients[::-1], variables[::-1])
    for variable, value in zip(variables, one_by_one(rule, start, steps), strict=True):
        np.testing.assert_allclose(np.ravel(variable.numpy()), value, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_variable_without_gradient_stays_as_it_is(rule):
    """Its value and its state, while the others go on."""
    rng = np.random.default_rng(0)
    start, steps = draw(rng), [draw(rng) for _ in range(4)]
    for step, missing in ((1, 0), (1, 3), (2, 2), (3, 1), (3, 4)):
        steps[step][missing] = None
    variables = [keras.Variable(w) for w in start]
    optimizer = LearnedOptimizer(rule, rule.init_theta(seed=1))
    for gradients in steps:
        optimizer.apply(
            [g if g is None else ops.convert_to_tensor(g) for g in gradients], variables
        )
    for variable, value in zip(variables, one_by_one(rule, start, steps), strict=True):
        np.testing.assert_allclose(np.ravel(variable.numpy()), value, rtol=0, atol=1e-6)


def test_the_state_starts_as_the_rule_says():
    """In all blocks, and from one coordinate: it fills the memory once."""
    sizes = []

    class Rule(CoordinatewiseLSTM):
        def init_memory(self, n):
            sizes.append(n)
            return {"h0": ops.full((2, n), 3.0), "c0": ops.full((2, n), -1.0)}

    rule, variables = Rule(units=(2,)), [keras.Variable(np.ones((7, 5)))]
    optimizer = LearnedOptimizer(rule, rule.init_theta())
    optimizer.build(variables)
    assert set(sizes) == {1}
    for name, value in (("h0", 3.0), ("c0", -1.0)):
        (leaf,) = (v for v in optimizer.variables if v.name.endswith(name))
        number, units, size = leaf.shape
        assert units == 2 and number * size >= 35
        assert (ops.convert_to_numpy(leaf) == value).all()


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100])
def test_split_and_join(n):
    """Nothing is lost, whole cache lines, no block without a coordinate."""
    cut = blocks.Blocks(n)
    x = np.arange(3 * n, dtype="float32").reshape(3, n)
    parts = ops.convert_to_numpy(cut.split(x))
    assert parts.shape == (cut.number, 3, cut.size) and cut.size % 16 == 0
    for row, part in zip(x, np.moveaxis(parts, 1, 0), strict=True):
        joined = cut.join(ops.convert_to_tensor(part))
        np.testing.assert_array_equal(ops.convert_to_numpy(joined), row)
    np.testing.assert_array_equal(ops.convert_to_numpy(cut.split(x[0])), parts[:, 0])
    assert (cut.number - 1) * cut.size < max(n, 1)
