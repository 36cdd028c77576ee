"""The guard bounds what a step changes of a matrix, and nothing else."""

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn.optimizers import LearnedOptimizer
from lrlearn.optimizers.guard import guarded
from lrlearn.rules import CoordinatewiseLSTM, Run
from lrlearn.rules.tensor_groups import TensorGroups
from tests.optimizers.conftest import assert_close, small_model
from tests.rules.test_contract import BACKEND, MODES, compiled, large_theta

pytestmark = pytest.mark.any_backend

SHAPES = [(4, 3), (3,), (2, 2, 5), (4, 3), (1, 6), ()]
SIZES = [int(np.prod(shape)) for shape in SHAPES]
RULE = CoordinatewiseLSTM((3, 2), output_scale=0.5)  # takes large steps
TOTAL_STEPS = 1600.0
C = 0.0005 + 16 / TOTAL_STEPS


def _rms(x):
    return np.sqrt(np.mean(np.square(x)))


def _draw(scale, seed=0):
    rng = np.random.default_rng(seed)
    return [np.float32(scale * rng.normal(size=shape)) for shape in SHAPES]


def _guarded(d, w, run=None, mode="eager"):
    groups = TensorGroups(SHAPES)

    def function(d, w):
        return guarded(d, w, groups, run or Run(total_steps=TOTAL_STEPS), step=1)

    function = function if mode == "eager" else compiled(function, mode)
    flat = (np.concatenate([np.ravel(x) for x in xs]) for xs in (d, w))
    d = ops.convert_to_numpy(function(*map(ops.convert_to_tensor, flat)))
    parts = np.split(d, np.cumsum(SIZES)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, SHAPES, strict=True)]


@pytest.mark.parametrize("mode", MODES.get(BACKEND, ["eager"]))
def test_a_matrix_moves_by_a_share_of_its_weights(mode):
    """Each by its own; vectors, single rows and scalars as they would."""
    d, w = _draw(1.0), _draw(10.0, seed=1)
    for given, value, received in zip(d, w, _guarded(d, w, mode=mode), strict=True):
        is_matrix = np.prod(given.shape[:-1]) > 1
        factor = C * _rms(value) / _rms(given) if is_matrix else 1.0
        np.testing.assert_allclose(received, factor * given, rtol=1e-5)


def test_small_updates_stay_as_they_are():
    """To the bit; also none at all."""
    for scale in (1e-4, 0.0):
        d = _draw(scale)
        for given, received in zip(d, _guarded(d, _draw(1.0, seed=1)), strict=True):
            np.testing.assert_array_equal(received, given)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_it_is_finite_whatever_the_sizes(size):
    """Squares of large numbers would not be."""
    for d, w in ((1.0, size), (size, 1.0), (size, size)):
        for received in _guarded(_draw(d), _draw(w, seed=1)):
            assert np.isfinite(received).all()


def test_a_matrix_of_zeros_can_move():
    """As one whose weights are 0.1 over the root of its fan-in."""
    first, *_, last = _guarded(_draw(1.0), _draw(0.0))
    assert _rms(first) == pytest.approx(C * 0.1 / np.sqrt(4), rel=1e-5)
    assert last == _draw(1.0)[-1]


@pytest.mark.parametrize(("step", "total"), [(1, 1000.0), (5000, 10_000.0)])
def test_without_a_length_half_of_the_run_is_to_come(step, total):
    d, w = _draw(1.0)[0], _draw(1.0, seed=1)[0]
    flat = (ops.convert_to_tensor(x.ravel()) for x in (d, w))
    received = guarded(*flat, TensorGroups([(4, 3)]), Run(), step)
    bound = (0.0005 + 16 / total) * _rms(w)
    assert _rms(ops.convert_to_numpy(received)) == pytest.approx(bound, rel=1e-5)


def _changes(**kwargs):
    """Returns what a step of an optimizer changes."""
    optimizer = LearnedOptimizer(RULE, large_theta(RULE), **kwargs)
    variables = [keras.Variable(value) for value in _draw(0.01, seed=1)]
    optimizer.apply([ops.convert_to_tensor(g) for g in _draw(1.0)], variables)
    after = [variable.numpy() for variable in variables]
    return [b - a for a, b in zip(_draw(0.01, seed=1), after, strict=True)]


def test_the_optimizer_has_it():
    """Before the learning rate multiplies; and the rule itself has not."""
    free, bounded, half = (
        _changes(**kwargs)
        for kwargs in ({}, {"guard": True}, {"guard": True, "learning_rate": 0.5})
    )
    for d, expected in zip(
        bounded, _guarded(free, _draw(0.01, seed=1), Run()), strict=True
    ):
        np.testing.assert_allclose(d, expected, rtol=1e-3, atol=1e-8)
    assert _rms(bounded[0]) < 0.5 * _rms(free[0])
    for a, b in zip(half, bounded, strict=True):
        np.testing.assert_allclose(a, 0.5 * b, rtol=1e-2, atol=1e-8)


def test_presets_have_it_and_files_keep_it(tmp_path, data):
    assert LearnedOptimizer.from_preset("lo_sam").guard
    assert keras.optimizers.get("lo_sam").guard
    assert not LearnedOptimizer(RULE, RULE.init_theta()).guard
    for guard in (True, False):
        model = small_model(LearnedOptimizer.from_preset("lo_sam", guard=guard))
        model.fit(*data, batch_size=48, verbose=0)
        model.save(tmp_path / "model.keras")
        copy = keras.models.load_model(tmp_path / "model.keras")
        assert copy.optimizer.guard is guard
        for each in (model, copy):
            each.fit(*data, batch_size=48, verbose=0)
        assert_close(copy.weights[0], model.weights[0].numpy())


def test_it_is_on_or_off():
    with pytest.raises(ValueError, match="`guard` must be True or False. Received: g"):
        LearnedOptimizer.from_preset("lo_sam", guard="yes")
