"""Presets: files that hold a rule and its weights."""

import keras
import numpy as np
import pytest

from lrlearn.optimizers import LearnedOptimizer, presets
from lrlearn.rules import CoordinatewiseLSTM
from tests.optimizers.conftest import GRADIENTS, METADATA, apply

BUILT_IN = sorted(presets.built_in())


def _files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_presets_train(name, make_model, fit):
    """Each loads, has a description, and takes steps of a sensible size."""
    assert LearnedOptimizer.presets[name]["description"]
    model = make_model()
    model.compile(LearnedOptimizer.from_preset(name), "binary_crossentropy")
    losses = fit(model, epochs=10)
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
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


def test_presets_lists_those_at_home(home, rule):
    """After the built-in ones, whose names come first; a broken one hides none."""
    assert sorted(LearnedOptimizer.presets) == BUILT_IN
    for name in ("mine", "lo_sam", "broken"):
        presets.save_preset(home / name, rule, rule.init_theta(), METADATA)
    (home / "broken" / "config.json").write_text("{")
    (home / "downloads").mkdir()
    found = LearnedOptimizer.presets
    assert list(found) == [*BUILT_IN, "broken", "mine"]
    assert found["mine"] == METADATA
    assert found["lo_sam"]["tasks"] != METADATA["tasks"]
    assert "config.json must be valid JSON" in found["broken"]["description"]
    own = LearnedOptimizer.from_preset("mine")
    assert own.rule.get_config() == rule.get_config()
    assert own.get_config()["preset"] is None


def test_home_is_in_the_users_directory_by_default(monkeypatch, tmp_path, rule):
    """`~/.lrlearn`, also if `LRLEARN_HOME` is empty."""
    monkeypatch.setenv("LRLEARN_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    presets.save_preset(tmp_path / ".lrlearn" / "mine", rule, rule.init_theta())
    assert "mine" in LearnedOptimizer.presets


def test_names_come_before_directories(home, directory, monkeypatch, rule):
    """First built-in ones, then those at home, then the current directory's."""
    monkeypatch.chdir(directory.parent)
    assert presets.load_preset("mine")[2] == METADATA
    presets.save_preset(home / "mine", rule, rule.init_theta(), {"seed": 4})
    assert presets.load_preset("mine")[2]["seed"] == 4
    assert presets.load_preset("./mine")[2] == METADATA
    presets.save_preset("lo_sam", rule, rule.init_theta())
    assert type(presets.load_preset("lo_sam")[0]) is not type(rule)


def test_round_trip(make_optimizer, tmp_path):
    """What was saved comes back: rule, weights, metadata; not the other arguments."""
    optimizer = make_optimizer(learning_rate=0.1)
    optimizer.save_to_preset(tmp_path / "deep" / "er", **METADATA)
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
    with pytest.raises(ValueError, match="registered with Keras. Received: 'Mine'"):
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
    files = ["README.md", "config.json", "theta.safetensors"]
    assert sorted(_files(tmp_path / "mine")) == files


def test_save_refuses_to_replace_other_files(tmp_path, make_optimizer):
    """Neither a file nor a directory that holds something else, be it a README.md."""
    (tmp_path / "README.md").write_text("text")
    for path in (tmp_path, tmp_path / "README.md"):
        with pytest.raises(ValueError, match="`directory` must .*README.md"):
            make_optimizer().save_to_preset(path)
    assert _files(tmp_path) == {"README.md": b"text"}


def test_save_refuses_what_could_not_be_loaded(directory, rule):
    """Metadata beyond the size that is read."""
    before = _files(directory)
    with pytest.raises(ValueError, match="config.json must have at most 1048576 byt"):
        presets.save_preset(directory, rule, rule.init_theta(), {"log": "x" * 2**20})
    assert _files(directory) == before


@pytest.mark.parametrize(
    "foreign",
    [
        {"config.json": '{"format_version": "a website\'s"}'},
        {"config.json": "[]", "theta.safetensors": "", "README.md": ""},
        {"config.json": None},
        {"theta.safetensors": None},
    ],
)
def test_save_refuses_what_is_no_preset(tmp_path, make_optimizer, foreign):
    """Files of the same names, all or, if `None`, one of a good preset's."""
    make_optimizer().save_to_preset(tmp_path / "good")
    (tmp_path / "mine").mkdir()
    for name, content in foreign.items():
        good = (tmp_path / "good" / name).read_text("latin-1")
        (tmp_path / "mine" / name).write_text(good if content is None else content)
    before = _files(tmp_path / "mine")
    with pytest.raises(ValueError, match=f"or a preset.*holds .'{min(before)}'"):
        make_optimizer().save_to_preset(tmp_path / "mine")
    assert _files(tmp_path / "mine") == before


def _cycle():
    metadata = {}
    metadata["self"] = metadata
    return metadata


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("x", "`metadata` must be a dict. Received: str"),
        ([], "`metadata` must be a dict. Received: list"),
        ({"description": None}, "`description` of type str. Received: None"),
        ({"tasks": {1, 2}}, "JSON-able. Received: .*set"),
        ({(1, 2): 3}, "JSON-able. Received: .*tuple"),
        (_cycle(), "JSON-able. Received: Circular"),
    ],
)
def test_bad_metadata(directory, rule, metadata, message):
    """Refused before anything is written."""
    before = _files(directory)
    with pytest.raises(ValueError, match=message):
        presets.save_preset(directory, rule, rule.init_theta(), metadata)
    assert _files(directory) == before


def test_bad_weights(directory, rule):
    """Refused before anything is written."""
    before, theta = _files(directory), rule.init_theta()
    theta["head/bias"][0] = np.nan
    with pytest.raises(ValueError, match="`theta` must be finite.*'head/bias'"):
        presets.save_preset(directory, rule, theta)
    assert _files(directory) == before


@pytest.mark.parametrize("method", ["write_bytes", "rename"])
def test_a_failed_save_changes_nothing(directory, rule, monkeypatch, method):
    """The preset that was there stays, whole."""
    before, original = _files(directory), getattr(type(directory), method)

    def fail(self, *args):
        if self.name in ("new", "theta.safetensors"):
            raise OSError("No space left on device")
        return original(self, *args)

    monkeypatch.setattr(type(directory), method, fail)
    with pytest.raises(OSError, match="No space left on device"):
        presets.save_preset(directory, rule, rule.init_theta())
    assert _files(directory) == before
    assert [path.name for path in directory.parent.iterdir()] == ["mine"]


def test_an_untrained_optimizer_is_not_saved(rule, tmp_path):
    """There would be nothing to load."""
    with pytest.raises(ValueError, match="is untrained"):
        LearnedOptimizer(rule).save_to_preset(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


@pytest.mark.any_backend
def test_keras_knows_built_in_presets_by_name():
    """As it knows "adam", with the optimizer's arguments in a dict."""
    for name in presets.built_in():
        assert keras.optimizers.get(name).get_config()["preset"] == name
    config = {"class_name": "lo_sam", "config": {"learning_rate": 0.5}}
    optimizer = keras.optimizers.get(config)
    assert isinstance(optimizer, LearnedOptimizer)
    assert float(optimizer.learning_rate) == 0.5
