"""LearnedOptimizer under the backends' own search for NaN and infinity."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn.optimizers import LearnedOptimizer
from tests.optimizers.conftest import GRADIENTS, RULES, W, apply, small_model

pytestmark = pytest.mark.any_backend

SHAPES = ((3, 2), (2,), (), (1, 5), (2, 1, 3), (0, 4))
LARGEST = float(np.finfo("float32").max)
SEQUENCES = {
    "zero": [0.0] * 4,
    "tiny": [1e-30, 1e-20, 1e-30],
    "denormal": [1e-40, 1e-45, 1e-40],
    "large": [1e18, 1e30, -1e38],
    "largest": [LARGEST, -LARGEST, LARGEST],
    "zero again": [1.0, 0.0, 0.0],
    "up and down": [1e-40, LARGEST, 0.0, 1e-40, 1e14],
    "none": [1.0, None, 0.0],
}


@contextlib.contextmanager
def _tensorflow():
    import tensorflow as tf

    tf.debugging.enable_check_numerics()
    try:
        yield
    finally:
        tf.debugging.disable_check_numerics()


@contextlib.contextmanager
def _jax():
    import jax

    with jax.debug_nans(True), jax.debug_infs(True):
        yield


def _torch():
    import torch

    class Check(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            output = function(*args, **(kwargs or {}))
            if torch.is_tensor(output) and output.is_floating_point():
                assert np.isfinite(output.detach().numpy()).all(), function
            return output

    return Check()


@pytest.fixture(name="checked")
def _checked():
    """Every operation's output is checked; nothing is after."""
    checks = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    with checks[keras.backend.backend()]():
        yield


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("value", [-1.0, 0.0], ids=["NaN", "infinity"])
def test_the_check(value):
    """It sees both."""
    with pytest.raises(Exception, match="(?i)nan|inf|assert"):
        ops.log(ops.convert_to_tensor(np.float32(value)))


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("run_eagerly", [True, False], ids=["eager", "graph"])
def test_training(make_optimizer, fit, tmp_path, rule, run_eagerly):
    """Made, used, saved, loaded and used again."""
    settings = {"run_eagerly": run_eagerly, "jit_compile": "auto"}
    model = small_model(make_optimizer(rule), **settings)
    fit(model)
    model.save(tmp_path / "model.keras")
    fit(keras.models.load_model(tmp_path / "model.keras"))
    model.save_weights(tmp_path / "a.weights.h5")
    model.load_weights(tmp_path / "a.weights.h5")
    fit(model)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_gradients(make_optimizer, rule, sequence):
    """Of any size, or none, in tensors of any shape; parameters stay finite."""
    optimizer = make_optimizer(rule)
    variables = [keras.Variable(np.full(shape, 0.5, "float32")) for shape in SHAPES]
    for g in sequence:
        gradients = [
            ops.convert_to_tensor(np.full(s, g or 0.0, "float32")) for s in SHAPES
        ]
        # Keras takes no step without any gradient.
        missing = len(SHAPES) - 1 if g is None else 0
        optimizer.apply([None] * missing + gradients[missing:], variables)
    for variable in [*variables, *optimizer.variables]:
        assert np.isfinite(variable.numpy()).all()


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("large", [1e10, 1e16, LARGEST])
def test_large_gradients_among_others(make_optimizer, rule, large):
    """Whose scale is nothing beside that of their rows and columns."""
    g = np.full((3, 4), large, "float32")
    g[1:, 1:] = [[0.0, 1e-40, 1e-20], [1e-3, 1.0, 1e3]]
    optimizer, variable = make_optimizer(rule), keras.Variable(np.ones_like(g))
    for sign in (1, -1, 0):
        optimizer.apply([ops.convert_to_tensor(sign * g)], [variable])
    assert np.isfinite(variable.numpy()).all()


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("preset", ["lo_sam", "lo_lstm_sam", "lstm_paper_none"])
def test_presets(preset):
    """Run."""
    apply(LearnedOptimizer.from_preset(preset), GRADIENTS)


@pytest.mark.usefixtures("checked")
def test_untrained(make_model, fit, rule, tmp_path):
    """Made, saved, loaded, and given weights."""
    model = make_model()
    model.compile(LearnedOptimizer(rule), "mse")
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.optimizer.theta is None
    model.optimizer.theta = rule.init_theta(seed=1)
    fit(model)


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("built", [True, False])
def test_files_that_mark_with_nan(rule, built):
    """Untrained optimizers of before: they stay untrained, and without NaN."""
    optimizer = LearnedOptimizer(rule)
    if built:
        optimizer.build([keras.Variable(W)])
    theta = {v.name for v in optimizer.variables[2 : 2 + len(rule.theta_shapes())]}
    store = {
        str(i): v.numpy() * (np.nan if v.name in theta else 1)
        for i, v in enumerate(optimizer.variables)
    }
    optimizer.theta = rule.init_theta(seed=1)
    optimizer.load_own_variables(store)
    assert optimizer.theta is None
    for variable in optimizer.variables:
        assert np.isfinite(variable.numpy()).all()
