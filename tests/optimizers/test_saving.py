"""LearnedOptimizer saved, loaded and resumed."""

import json

import keras
import numpy as np
import pytest

from lrlearn.optimizers import LearnedOptimizer, presets
from lrlearn.rules import CoordinatewiseLSTM
from tests.optimizers.conftest import GRADIENTS, W, apply

pytestmark = pytest.mark.any_backend

ARGUMENTS = {
    "plain": {},
    "moving average": {"use_ema": True, "ema_overwrite_frequency": 2},
    "accumulation": {"gradient_accumulation_steps": 2},
    "schedule": {
        "learning_rate": keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.9)
    },
    "decay, clipping": {"weight_decay": 0.01, "clipnorm": 0.1, "learning_rate": 0.5},
}
EAGERLY = keras.backend.backend() != "jax"  # where it is slow
if not EAGERLY:
    del ARGUMENTS["moving average"]  # see test_limits


@pytest.fixture(name="built_in")
def _built_in(tmp_path, monkeypatch):
    """Directory of built-in presets, empty."""
    monkeypatch.setattr(presets, "_BUILT_IN", tmp_path / "built_in")
    return tmp_path / "built_in"


@pytest.fixture(name="preset")
def _preset(built_in, rule):
    """Name of a built-in preset."""
    presets.save_preset(built_in / "lstm_test", rule, rule.init_theta(seed=7))
    return "lstm_test"


@pytest.fixture(name="compiled")
def _compiled(make_model):
    """Function that returns the same model with an optimizer."""

    def compiled(optimizer, run_eagerly=EAGERLY):
        model = make_model()
        model.compile(optimizer, "binary_crossentropy", run_eagerly=run_eagerly)
        return model

    return compiled


def _round_trip(optimizer):
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    return keras.optimizers.deserialize(config)


def _saved(model, tmp_path):
    model.save(tmp_path / "model.keras")
    return keras.models.load_model(tmp_path / "model.keras")


def _assert_equal(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
def test_resume_is_exact(make_optimizer, compiled, fit, tmp_path, arguments):
    """Saved and loaded in the middle, training ends the same, bit for bit."""
    _check_resume(
        [compiled(make_optimizer(**arguments)) for _ in range(2)], fit, tmp_path
    )


def test_resume_is_exact_under_loss_scaling(make_optimizer, compiled, fit, tmp_path):
    """Keras saves the scale, and the optimizer inside twice."""
    scale = keras.optimizers.LossScaleOptimizer
    models = [compiled(scale(make_optimizer())) for _ in range(2)]
    _check_resume(models, fit, tmp_path)


def test_resume_is_exact_in_a_graph(make_optimizer, compiled, fit, tmp_path):
    """The compiled function sees the loaded variables."""
    models = [compiled(make_optimizer(), run_eagerly=False) for _ in range(2)]
    _check_resume(models, fit, tmp_path)


@pytest.mark.parametrize("trained", [True, False])
def test_resume_from_weights_is_exact(
    make_optimizer, compiled, fit, rule, tmp_path, trained
):
    """A `.weights.h5` file holds theta and state, for any built optimizer."""
    model = compiled(make_optimizer())
    fit(model)
    model.save_weights(tmp_path / "a.weights.h5")
    other = compiled(make_optimizer() if trained else LearnedOptimizer(rule))
    other.optimizer.build(other.trainable_variables)
    other.load_weights(tmp_path / "a.weights.h5")
    _assert_equal(model.optimizer.variables, other.optimizer.variables)
    fit(model, epochs=2), fit(other, epochs=2)
    _assert_equal(model.get_weights(), other.get_weights())


def _check_resume(models, fit, tmp_path):
    for model in models:
        fit(model)
    models[1] = _saved(models[1], tmp_path)
    _assert_equal(*[model.optimizer.variables for model in models])
    for model in models:
        fit(model, epochs=2)
    _assert_equal(*[model.get_weights() for model in models])
    _assert_equal(*[model.optimizer.variables for model in models])


@pytest.mark.filterwarnings("ignore:Skipping variable loading")
@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "loss scaling"])
def test_theta_is_saved_before_the_first_step(
    make_optimizer, compiled, fit, tmp_path, wrap
):
    """Also if the saved optimizer had no state yet."""
    optimizer = make_optimizer()
    wrapped = keras.optimizers.LossScaleOptimizer(optimizer) if wrap else optimizer
    loaded = _saved(compiled(wrapped), tmp_path)
    inner = loaded.optimizer.inner_optimizer if wrap else loaded.optimizer
    _assert_equal(inner.theta.values(), optimizer.theta.values())
    fit(loaded)


def test_an_untrained_optimizer_stays_so(compiled, fit, rule, tmp_path):
    """It can be saved and loaded, not used."""
    loaded = _saved(compiled(LearnedOptimizer(rule)), tmp_path)
    assert loaded.optimizer.theta is None
    with pytest.raises(ValueError, match="is untrained"):
        fit(loaded)


def test_config_keeps_everything_but_the_weights(make_optimizer):
    """Through JSON, also of an optimizer in use; the copy is untrained."""
    optimizer = make_optimizer(
        learning_rate=0.5, clipnorm=1.0, weight_decay=0.1, name="mine"
    )
    apply(optimizer, GRADIENTS)
    copy = _round_trip(optimizer)
    assert copy.get_config() == optimizer.get_config()
    assert copy.rule.get_config() == optimizer.rule.get_config()
    assert copy.theta is None
    with pytest.raises(ValueError, match="'mine' is untrained"):
        apply(copy, GRADIENTS)


def test_get(make_optimizer):
    """`keras.optimizers.get` takes instances and dicts, and leaves the dict alone."""
    optimizer = make_optimizer(learning_rate=0.5)
    assert keras.optimizers.get(optimizer) is optimizer
    config = optimizer.get_config()
    copy = LearnedOptimizer.from_config(config)
    assert config == optimizer.get_config() == copy.get_config()
    config = keras.optimizers.serialize(optimizer)
    assert isinstance(keras.optimizers.get(config), LearnedOptimizer)


def test_clone_model_trains_with_its_own_optimizer(compiled, make_optimizer, fit):
    """A cloned model takes a fresh optimizer with the same theta."""
    model = compiled(make_optimizer())
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    optimizer = _round_trip(model.optimizer)
    optimizer.theta = model.optimizer.theta
    clone.compile(optimizer, "binary_crossentropy", run_eagerly=True)
    np.testing.assert_array_equal(fit(model, epochs=2), fit(clone, epochs=2))


def test_a_preset_comes_back_from_its_config(preset, rule):
    """The config names it, so the copy is trained."""
    optimizer = LearnedOptimizer.from_preset(preset, learning_rate=0.5)
    copy = _round_trip(optimizer)
    assert copy.get_config()["preset"] == preset
    _assert_equal(copy.theta.values(), optimizer.theta.values())
    _assert_equal(apply(copy, GRADIENTS), apply(optimizer, GRADIENTS))


def test_changed_weights_are_no_longer_the_presets(preset, rule):
    """Set by hand or loaded, they are not silently replaced by the preset's."""
    optimizers = [LearnedOptimizer.from_preset(preset) for _ in range(3)]
    optimizers[0].theta = rule.init_theta(seed=8)
    for optimizer in optimizers[1:]:
        optimizer.build([keras.Variable(W)])
    optimizers[1].set_weights([v.numpy() + 1 for v in optimizers[1].variables])
    optimizers[2].load_own_variables(
        {str(i): v.numpy() + 1 for i, v in enumerate(optimizers[2].variables)}
    )
    for optimizer in optimizers:
        assert optimizer.get_config()["preset"] is None
        assert _round_trip(optimizer).theta is None


@pytest.mark.parametrize("change", ["gone", "other rule", "other weights"])
def test_files_outlive_their_preset(
    compiled, fit, tmp_path, built_in, preset, rule, change
):
    """A `.keras` file holds the weights, also if this version has other presets."""
    model = compiled(LearnedOptimizer.from_preset(preset))
    fit(model)
    model.save(tmp_path / "model.keras")
    config, theta = model.optimizer.get_config(), model.optimizer.theta
    if change == "gone":
        (built_in / preset).rename(tmp_path / "elsewhere")
    else:
        rule = CoordinatewiseLSTM((2,)) if change == "other rule" else rule
        presets.save_preset(built_in / preset, rule, rule.init_theta(seed=9))
    loaded = keras.models.load_model(tmp_path / "model.keras")
    _assert_equal(loaded.optimizer.theta.values(), theta.values())
    _assert_equal([fit(loaded)], [fit(model)])
    assert loaded.optimizer.get_config()["preset"] is None
    if change != "other weights":
        assert LearnedOptimizer.from_config(config).theta is None


def test_weights_of_another_rule_are_refused(compiled, make_optimizer, fit, tmp_path):
    """Keras warns; the optimizer keeps its own theta."""
    model, rule = compiled(make_optimizer()), CoordinatewiseLSTM((2, 2))
    fit(model)
    model.save_weights(tmp_path / "a.weights.h5")
    other = compiled(LearnedOptimizer(rule, rule.init_theta(seed=1)))
    fit(other)
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        other.load_weights(tmp_path / "a.weights.h5")
    for name, value in rule.init_theta(seed=1).items():
        np.testing.assert_array_equal(other.optimizer.theta[name], value)
