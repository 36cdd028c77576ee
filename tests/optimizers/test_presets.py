"""Presets: files that hold a rule and its weights."""

import hashlib
import json

import keras
import numpy as np
import pytest
import safetensors.numpy

from lrlearn.optimizers import LearnedOptimizer, presets
from lrlearn.rules import CoordinatewiseLSTM, UpdateRule
from tests.optimizers.conftest import GRADIENTS, apply

METADATA = {"description": "A test.", "tasks": ["digits/mlp"], "seed": 3}


@pytest.fixture(name="directory")
def _directory(tmp_path, rule):
    """A good preset."""
    presets.save_preset(tmp_path / "mine", rule, rule.init_theta(seed=1), METADATA)
    return tmp_path / "mine"


def _edit(directory, **changes):
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _write_theta(directory, theta):
    content = safetensors.numpy.save(theta)
    (directory / "theta.safetensors").write_bytes(content)
    _edit(directory, theta_sha256=hashlib.sha256(content).hexdigest())


def _files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("name", sorted(LearnedOptimizer.presets))
def test_built_in_presets_train(name, make_model, fit):
    """Each loads, says what it is, and takes steps of a sensible size."""
    assert LearnedOptimizer.presets[name]["description"]
    model = make_model()
    model.compile(LearnedOptimizer.from_preset(name), "binary_crossentropy")
    losses = fit(model, epochs=5)
    assert np.isfinite(losses).all() and losses[-1] < losses[0] + 0.1
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_presets_lists_the_built_in_ones(tmp_path, monkeypatch, rule):
    """By name, each with its description and metadata; a fresh dict each time."""
    monkeypatch.setattr(presets, "_BUILT_IN", tmp_path)
    assert LearnedOptimizer.presets == {}
    for name in ("b", "a"):
        presets.save_preset(tmp_path / name, rule, rule.init_theta(), METADATA)
    (tmp_path / "no_preset").mkdir()
    assert LearnedOptimizer.presets == {"a": METADATA, "b": METADATA}
    LearnedOptimizer.presets["a"]["seed"] = 4
    assert LearnedOptimizer(rule).presets["a"]["seed"] == 3
    LearnedOptimizer.from_preset("a")


def test_round_trip(make_optimizer, tmp_path):
    """What was saved comes back: rule, weights, metadata; not the other arguments."""
    optimizer = make_optimizer(learning_rate=0.1)
    optimizer.save_to_preset(tmp_path / "deep" / "er", METADATA)
    copy = LearnedOptimizer.from_preset(tmp_path / "deep" / "er", clipnorm=1.0)
    assert copy.rule.get_config() == optimizer.rule.get_config()
    assert (float(copy.learning_rate), copy.clipnorm) == (1.0, 1.0)
    for name, value in optimizer.theta.items():
        np.testing.assert_array_equal(copy.theta[name], value)
    assert presets.load_preset(str(tmp_path / "deep" / "er"))[2] == METADATA
    np.testing.assert_array_equal(
        apply(copy, GRADIENTS[:1]), apply(make_optimizer(clipnorm=1.0), GRADIENTS[:1])
    )


def test_metadata_are_optional(make_optimizer, tmp_path):
    """The description is then empty."""
    make_optimizer().save_to_preset(tmp_path / "mine")
    assert presets.load_preset(tmp_path / "mine")[2] == {"description": ""}


def test_rules_of_users(tmp_path):
    """A registered rule is found by its class; an unregistered one is refused."""

    class Mine(CoordinatewiseLSTM):
        pass

    rule = Mine((2,))
    with pytest.raises(ValueError, match="register_keras_serializable"):
        presets.save_preset(tmp_path / "mine", rule, rule.init_theta())
    assert not (tmp_path / "mine").exists()
    with keras.saving.custom_object_scope({"Mine": Mine}):
        presets.save_preset(tmp_path / "mine", rule, rule.init_theta())
        assert type(presets.load_preset(tmp_path / "mine")[0]) is Mine
    with pytest.raises(ValueError, match="must be one of .*Received: 'Mine'"):
        presets.load_preset(tmp_path / "mine")


# Writing


def test_save_replaces_a_preset(directory, rule):
    """And leaves nothing else behind."""
    presets.save_preset(directory, rule, rule.init_theta(seed=2))
    _, theta, metadata = presets.load_preset(directory)
    np.testing.assert_array_equal(
        theta["head/kernel"], rule.init_theta(seed=2)["head/kernel"]
    )
    assert metadata == {"description": ""}
    assert [path.name for path in directory.parent.iterdir()] == ["mine"]


def test_save_into_an_empty_directory(tmp_path, make_optimizer):
    """It need not be new."""
    (tmp_path / "mine").mkdir()
    make_optimizer().save_to_preset(tmp_path / "mine")
    assert sorted(_files(tmp_path / "mine")) == ["config.json", "theta.safetensors"]


def test_save_refuses_to_replace_other_files(tmp_path, make_optimizer):
    """Neither a file nor a directory that holds something else."""
    (tmp_path / "thesis.tex").write_text("text")
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(ValueError, match="`directory` must .*thesis.tex"):
            make_optimizer().save_to_preset(path)
    assert _files(tmp_path) == {"thesis.tex": b"text"}


@pytest.mark.parametrize("failing", ["metadata", "theta", "disk", "rename"])
def test_a_failed_save_changes_nothing(directory, rule, monkeypatch, failing):
    """The preset that was there stays, whole."""
    before, theta, metadata = _files(directory), rule.init_theta(), {}
    if failing == "metadata":
        metadata = {"tasks": {1, 2}}
    elif failing == "theta":
        theta["head/bias"][0] = np.nan
    else:
        name = "write_bytes" if failing == "disk" else "rename"
        original = getattr(type(directory), name)

        def fail(self, *args):
            if self.name in ("new", "theta.safetensors"):
                raise OSError("No space left on device")
            return original(self, *args)

        monkeypatch.setattr(type(directory), name, fail)
    with pytest.raises((ValueError, TypeError, OSError)):
        presets.save_preset(directory, rule, theta, metadata)
    assert _files(directory) == before
    assert [path.name for path in directory.parent.iterdir()] == ["mine"]


def test_an_untrained_optimizer_is_not_saved(rule, tmp_path):
    """There would be nothing to load."""
    with pytest.raises(ValueError, match="is untrained"):
        LearnedOptimizer(rule).save_to_preset(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


# Bad input


@pytest.mark.parametrize("identifier", ["lstm_gma", "no/such/folder", "\0", None, 3])
def test_unknown_preset(identifier, tmp_path, monkeypatch, rule):
    """The error lists the valid names."""
    monkeypatch.setattr(presets, "_BUILT_IN", tmp_path)
    presets.save_preset(tmp_path / "lstm_gam", rule, rule.init_theta())
    with pytest.raises(ValueError, match=r"one of \['lstm_gam'\]. Received: ") as error:
        LearnedOptimizer.from_preset(identifier)
    assert repr(identifier) in str(error.value)


def _remove(name):
    return lambda directory: (directory / name).unlink()


def _cut(name, size):
    return lambda directory: (directory / name).write_bytes(
        (directory / name).read_bytes()[:size]
    )


def _text(text):
    return lambda directory: (directory / "config.json").write_text(text)


def _rule(**rule):
    return lambda directory: _edit(directory, rule=rule)


def _theta(change):
    def edit(directory):
        theta = presets.load_preset(directory)[1]
        _write_theta(directory, change(theta))

    return edit


LSTM = "lrlearn>CoordinatewiseLSTM"
BROKEN = {
    "no config": (_remove("config.json"), "readable config.json.*No such file"),
    "no weights": (_remove("theta.safetensors"), "readable theta.safetensors"),
    "config cut": (_cut("config.json", 50), "must be valid JSON"),
    "config empty": (_cut("config.json", 0), "must be valid JSON"),
    "config deep": (_text("[" * 100_000), "must be valid JSON"),
    "config binary": (_text("\udcff".encode("utf-8", "surrogatepass").hex()), "JSON"),
    "config a list": (_text("[1, 2]"), "`format_version`"),
    "no version": (_text("{}"), "`format_version` from 1 to 1.*Received: None"),
    "future": (lambda d: _edit(d, format_version=2), "needs a newer lrlearn.*: 2"),
    "version true": (lambda d: _edit(d, format_version=True), "Received: True"),
    "no rule": (lambda d: _edit(d, rule=None), "`rule` of type dict.*None"),
    "no metadata": (lambda d: _edit(d, metadata=[]), "`metadata` of type dict"),
    "unknown rule": (_rule(class_name="Adam", config={}), f"'{LSTM}'.*'Adam'"),
    "import path": (_rule(class_name="os.system", config={}), "Received: 'os.system'"),
    "no rule class": (
        _rule(class_name="lrlearn>LearnedOptimizer", config={}),
        "must be one of",
    ),
    "class a list": (_rule(class_name=["os"], config={}), "Received: .'os'."),
    "bad config": (_rule(class_name=LSTM, config={"size": 3}), f"config of {LSTM}"),
    "bad units": (_rule(class_name=LSTM, config={"units": [0]}), "positive integers"),
    "config none": (_rule(class_name=LSTM, config=None), f"config of {LSTM}"),
    "weights cut": (_cut("theta.safetensors", 300), "truncated copy"),
    "weights empty": (_cut("theta.safetensors", 0), "truncated copy"),
    "other rule": (_rule(class_name=LSTM, config={"units": [4]}), "must fit the rule"),
    "weight missing": (
        _theta(lambda t: {"head/bias": t["head/bias"]}),
        "'head/kernel' must be .* received none",
    ),
    "weight NaN": (
        _theta(lambda t: {**t, "head/bias": t["head/bias"] + np.float32(np.nan)}),
        "must be finite",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_files(directory, spoil, message):
    """One line that says which file and what is wrong."""
    spoil(directory)
    with pytest.raises(ValueError, match=message) as error:
        LearnedOptimizer.from_preset(directory)
    assert str(directory) in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_that_are_no_safetensors(directory):
    """Also where the checksum is right."""
    (directory / "theta.safetensors").write_bytes(b"garbage")
    _edit(directory, theta_sha256=hashlib.sha256(b"garbage").hexdigest())
    with pytest.raises(ValueError, match="theta.safetensors: .*header"):
        presets.load_preset(directory)


def test_the_abstract_rule_is_refused(tmp_path):
    """It has no weights to hold."""
    with pytest.raises((ValueError, NotImplementedError)):
        presets.save_preset(tmp_path / "mine", UpdateRule(), {})
