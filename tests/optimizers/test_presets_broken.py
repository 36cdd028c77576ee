"""Presets that are broken or meant to do harm."""

import hashlib
import json
import os

import keras
import numpy as np
import pytest
import safetensors.numpy

from lrlearn.optimizers import LearnedOptimizer, presets
from lrlearn.rules import CoordinatewiseLSTM, UpdateRule


def _edit(directory, **changes):
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _write(directory, content):
    """Writes weights with the right digest."""
    (directory / "theta.safetensors").write_bytes(content)
    _edit(directory, theta_sha256=hashlib.sha256(content).hexdigest())


def _remove(name):
    return lambda directory: (directory / name).unlink()


def _cut(name, size):
    return lambda directory: (directory / name).write_bytes(
        (directory / name).read_bytes()[:size]
    )


def _grow(name):
    """Makes a file a terabyte long, without writing it."""

    def grow(directory):
        with open(directory / name, "r+b") as file:
            file.truncate(2**40)

    return grow


def _text(text):
    return lambda directory: (directory / "config.json").write_text(text)


def _rule(**rule):
    return lambda directory: _edit(directory, rule=rule)


def _theta(change):
    """Changes the weights as arrays."""

    def edit(directory):
        content = (directory / "theta.safetensors").read_bytes()
        _write(
            directory, safetensors.numpy.save(change(safetensors.numpy.load(content)))
        )

    return edit


def _header(change):
    """Changes the header's JSON, and leaves the data alone."""

    def edit(directory):
        content = (directory / "theta.safetensors").read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.dumps(change(json.loads(content[8:end]))).encode()
        _write(directory, len(header).to_bytes(8, "little") + header + content[end:])

    return edit


def _content(change):
    """Changes the bytes of the weights."""
    return lambda directory: _write(
        directory, change((directory / "theta.safetensors").read_bytes())
    )


LSTM = "lrlearn>CoordinatewiseLSTM"
HUGE = {"units": [10**9], "features": "normalized", "output": "adam"}
HUGE_SHAPES = {
    name: {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 0]}
    for name, shape in CoordinatewiseLSTM(**HUGE).theta_shapes().items()
}


def _huge(directory):
    """A rule of 4e18 weights, and a file that claims to hold them."""
    _rule(class_name=LSTM, config=HUGE)(directory)
    _header(lambda header: HUGE_SHAPES)(directory)


def _with_bias(header, **changes):
    return {**header, "head/bias": {**header["head/bias"], **changes}}


BROKEN = {
    "no config": (_remove("config.json"), "hold a file config.json"),
    "no weights": (_remove("theta.safetensors"), "hold a file theta.safetensors"),
    "config cut": (_cut("config.json", 50), "config.json must be valid JSON"),
    "config empty": (_cut("config.json", 0), "must be valid JSON"),
    "config deep": (_text("[" * 100_000), "must be valid JSON"),
    "config binary": (_text("\udcff".encode("utf-8", "surrogatepass").hex()), "JSON"),
    "config a list": (_text("[1, 2]"), "must be a JSON object. Received: a list"),
    "config huge": (_grow("config.json"), "config.json must have at most"),
    "no version": (_text("{}"), "`format_version` from 1 to 1.*Received: None"),
    "future": (lambda d: _edit(d, format_version=2), "needs a newer lrlearn.*: 2"),
    "version true": (lambda d: _edit(d, format_version=True), "Received: True"),
    "no rule": (lambda d: _edit(d, rule=None), "`rule` of type dict.*None"),
    "no metadata": (lambda d: _edit(d, metadata=[]), "`metadata` of type dict"),
    "unknown rule": (_rule(class_name="Adam", config={}), "registered with.*'Adam'"),
    "import path": (_rule(class_name="os.system", config={}), "Received: 'os.system'"),
    "no rule class": (
        _rule(class_name="lrlearn>LearnedOptimizer", config={}),
        "must be of a class of update rules",
    ),
    "class a list": (_rule(class_name=["os"], config={}), "Received: .'os'."),
    "bad config": (_rule(class_name=LSTM, config={"size": 3}), f"config of {LSTM}"),
    "bad units": (_rule(class_name=LSTM, config={"units": [0]}), "Received: units=0"),
    "config none": (_rule(class_name=LSTM, config=None), f"config of {LSTM}"),
    "huge scale": (
        _rule(class_name=LSTM, config={"output_scale": 10**400}),
        f"config of {LSTM}",
    ),
    "weights cut": (_cut("theta.safetensors", 300), "truncated copy"),
    "weights empty": (_cut("theta.safetensors", 0), "truncated copy"),
    "weights of a terabyte": (_grow("theta.safetensors"), "must have at most"),
    "wrong digest": (lambda d: _edit(d, theta_sha256="0" * 64), "another one"),
    "no digest": (lambda d: _edit(d, theta_sha256=None), "another one"),
    "other rule": (
        _rule(class_name=LSTM, config={"units": [4]}),
        r"must fit the rule .*: 'head/bias' must be \(1, 1\), received \(3, 1\)",
    ),
    "huge rule": (_rule(class_name=LSTM, config=HUGE), "must fit the rule"),
    "huge rule and header": (_huge, "must be safetensors"),
    "weight missing": (
        _theta(lambda t: {"head/bias": t["head/bias"]}),
        "'head/kernel' must be .*received none",
    ),
    "weight too many": (
        _theta(lambda t: {**t, "x": np.zeros(2, "float32")}),
        "'x' must be absent",
    ),
    "weight of another type": (
        _theta(lambda t: {**t, "head/bias": t["head/bias"].astype("float64")}),
        "must hold float32. Received: others in .'head/bias'",
    ),
    "weight of another shape": (
        _theta(lambda t: {**t, "head/bias": t["head/bias"].T}),
        "'head/bias' must be .*received .1, 3.",
    ),
    "weight NaN": (
        _theta(lambda t: {**t, "head/bias": t["head/bias"] + np.float32(np.nan)}),
        "must be finite.*'head/bias'",
    ),
    "no safetensors": (_content(lambda c: b"garbage"), "must be safetensors"),
    "header too long": (
        _content(lambda c: (2**63).to_bytes(8, "little") + c[8:]),
        "must be safetensors",
    ),
    "header padded": (
        _content(lambda c: (2**17).to_bytes(8, "little") + b" " * 2**17 + c[8:]),
        "must be safetensors",
    ),
    "header no JSON": (
        _content(lambda c: c[:8] + b"!" + c[9:]),
        "must be safetensors",
    ),
    "header a list": (_header(lambda h: [h]), "must be safetensors"),
    "entry a number": (_header(lambda h: {**h, "head/bias": 3}), "must be safetensors"),
    "offsets outside": (
        _header(lambda h: _with_bias(h, data_offsets=[0, 2**60])),
        "must be safetensors",
    ),
    "offsets negative": (
        _header(lambda h: _with_bias(h, data_offsets=[-12, 0])),
        "must be safetensors",
    ),
    "data too long": (_content(lambda c: c + b"0000"), "must be safetensors"),
    "type unknown to NumPy": (
        _header(lambda h: _with_bias(h, dtype="F8_E4M3", shape=[12, 1])),
        "must be safetensors. Received: 'F8_E4M3'",
    ),
}


@pytest.fixture
def little_memory():
    """Lets this process take no more than 2 GiB beyond what it has, on Linux."""
    if not os.path.exists("/proc/self/statm"):
        yield
        return
    import resource

    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + 2**31
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize(("spoil", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_files(directory, spoil, message, little_memory):
    """One line with the preset and the mistake."""
    spoil(directory)
    with pytest.raises(ValueError, match=message) as error:
        LearnedOptimizer.from_preset(directory)
    assert str(directory) in str(error.value)
    assert "\n" not in str(error.value)


def test_unreadable_files(directory, monkeypatch):
    """As if permissions lack."""

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ValueError, match="readable config.json. Received: Permission"):
        presets.load_preset(directory)


@pytest.mark.parametrize("identifier", ["lstm_gma", "no/such/folder", "\0", None, 3])
def test_unknown_preset(identifier, tmp_path, monkeypatch, rule):
    """The error lists the valid names."""
    monkeypatch.setattr(presets, "_BUILT_IN", tmp_path)
    presets.save_preset(tmp_path / "lstm_gam", rule, rule.init_theta())
    with pytest.raises(ValueError, match=r"one of \['lstm_gam'\]. Received: ") as error:
        LearnedOptimizer.from_preset(identifier)
    assert repr(identifier) in str(error.value)


@pytest.mark.parametrize(
    "identifier, nearest",
    [("lo-sam", "lo_sam"), ("lo_lstm", "lo_lstm_sam"), ("xyz", None)],
)
def test_the_nearest_preset_is_named(identifier, nearest):
    """If one is near."""
    with pytest.raises(ValueError, match=f"Received: '{identifier}'") as error:
        LearnedOptimizer.from_preset(identifier)
    hint = str(error.value).partition(f"Received: '{identifier}'")[2]
    assert hint == (f". Did you mean '{nearest}'?" if nearest else "")


def test_a_file_is_no_directory(directory):
    """Not even one of a preset."""
    with pytest.raises(ValueError, match="must be a directory.*theta.safetensors"):
        presets.load_preset(directory / "theta.safetensors")


def test_the_abstract_rule_is_refused(tmp_path):
    """It is not registered, and has no weights to hold."""
    with pytest.raises(ValueError, match="`rule` must be of a class decorated with"):
        presets.save_preset(tmp_path / "mine", UpdateRule(), {})
    assert not (tmp_path / "mine").exists()


def test_a_rule_that_the_backend_cannot_run(directory, rule, monkeypatch):
    """Refused when its optimizer is made and when its preset is loaded."""
    monkeypatch.setattr(type(rule), "backends", ("jax", "torch"))
    message = "backend must be one of .*jax.* for the rule .*LSTM. Received: 'tensorfl"
    assert keras.backend.backend() == "tensorflow"
    with pytest.raises(ValueError, match=message):
        LearnedOptimizer(rule)
    with pytest.raises(ValueError, match=f"Preset {directory}: .*{message}"):
        presets.load_preset(directory)
