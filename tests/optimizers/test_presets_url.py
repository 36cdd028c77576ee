"""Presets that are published: packed, downloaded, verified."""

import contextlib
import functools
import gc
import hashlib
import http.server
import io
import threading
import time
import zipfile

import numpy as np
import pytest

from lrlearn.optimizers import LearnedOptimizer, preset_files, presets


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and three addresses that mean no good."""

    def do_GET(self):
        if self.path == "/silent.zip":
            time.sleep(1)
        elif self.path == "/slow.zip":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for _ in range(20):
                    time.sleep(0.1)
                    self.wfile.write(b"x")
        elif self.path == "/endless.zip":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for _ in range(2**6):
                    self.wfile.write(bytes(2**20))
        else:
            super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture(name="server")
def _server(tmp_path):
    """Address of a web server of `tmp_path`."""
    handler = functools.partial(_Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _zip(path, members, compression=zipfile.ZIP_DEFLATED):
    """Writes a zip file and returns its URL."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return _url(path)


def _url(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"file://{path}#sha256={digest}"


def _members(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_what_is_packed_can_be_downloaded(directory, server, home):
    """Rule, weights and metadata come back, the second time without the network."""
    name = presets.pack_preset(directory)
    packed = directory.with_name("mine.zip")
    assert name == f"mine.zip#{_url(packed).partition('#')[2]}"
    rule, theta, metadata = presets.load_preset(f"{server}/{name}")
    expected = presets.load_preset(directory)
    assert rule.get_config() == expected[0].get_config() and metadata == expected[2]
    for key, value in expected[1].items():
        np.testing.assert_array_equal(theta[key], value)
    packed.unlink()
    optimizer = LearnedOptimizer.from_preset(f"{server}/{name}", learning_rate=0.5)
    np.testing.assert_array_equal(optimizer.theta["head/bias"], theta["head/bias"])
    assert [path.name for path in (home / "downloads").iterdir()] == [
        f"{name.partition('=')[2]}.zip"
    ]


def test_packing_is_reproducible(directory):
    """The same preset has the same hash, and all three files are in."""
    assert presets.pack_preset(directory) == presets.pack_preset(str(directory))
    with zipfile.ZipFile(directory.with_name("mine.zip")) as archive:
        assert {n: archive.read(n) for n in archive.namelist()} == _members(directory)
    (directory / "README.md").unlink()
    assert LearnedOptimizer.from_preset(
        f"file://{directory.parent}/{presets.pack_preset(directory)}"
    )
    assert not list(directory.parent.glob(".*"))


def test_a_broken_preset_is_not_packed(directory):
    """Better known now than when others download it."""
    (directory / "theta.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="truncated"):
        presets.pack_preset(directory)
    assert not directory.with_name("mine.zip").exists()


def _error(url):
    with pytest.raises(ValueError) as error:
        LearnedOptimizer.from_preset(url)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "fragment", ["", "#", "#sha256=", "#sha256=12", "#md5=" + "0" * 64, "#" + "0" * 64]
)
def test_a_url_without_hash(fragment):
    """Refused before anything is fetched, with the way to give one."""
    message = _error(f"https://example.invalid/x.zip{fragment}")
    assert "end with #sha256=" in message and "pack_preset" in message


@pytest.mark.parametrize("scheme", ["ftp", "s3", "data", ""])
def test_other_schemes(scheme):
    """Refused."""
    message = _error(f"{scheme}://example.invalid/x.zip#sha256={'0' * 64}")
    assert "begin with one of ('https://'" in message


def test_what_is_not_there(server):
    """404, no server, no port, no file; no connection is left open."""
    fragment = f"#sha256={'0' * 64}"
    assert "404" in _error(f"{server}/other.zip{fragment}")
    assert "refused" in _error(f"http://127.0.0.1:1/x.zip{fragment}")
    assert "nonnumeric port" in _error(f"http://127.0.0.1:x/x.zip{fragment}")
    assert "No such file" in _error(f"file:///no/such.zip{fragment}")
    gc.collect()


def test_a_server_without_end(server, home, monkeypatch):
    """What never stops, or never comes, is given up."""
    fragment = f"#sha256={'0' * 64}"
    limit = 2**20 + 2**24
    assert f"at most {limit} bytes" in _error(f"{server}/endless.zip{fragment}")
    monkeypatch.setattr(preset_files, "_TIMEOUT", 0.2)
    assert "timed out" in _error(f"{server}/silent.zip{fragment}")
    monkeypatch.setattr(preset_files, "_DEADLINE", 0.5)
    assert "not done after 0.5 s" in _error(f"{server}/slow.zip{fragment}")
    assert not home.exists()


def test_another_file_than_that_of_the_hash(directory, server, home):
    """Refused, each time, and not kept; the right one then comes."""
    name = presets.pack_preset(directory)
    path = directory.with_name("mine.zip")
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"x")
    for _ in range(2):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"a file of sha256 {digest}" in _error(f"{server}/{name}")
        assert not home.exists()
    path.write_bytes(good)
    presets.load_preset(f"{server}/{name}")


def test_a_download_that_was_damaged_is_fetched_again(directory, server, home):
    """And replaced whole: who reads the old one goes on reading that."""
    url = f"{server}/{presets.pack_preset(directory)}"
    presets.load_preset(url)
    (file,) = (home / "downloads").iterdir()
    file.write_bytes(b"damaged")
    with open(file, "rb") as old:
        presets.load_preset(url)
        assert old.read() == b"damaged"
    assert file.read_bytes() == directory.with_name("mine.zip").read_bytes()
    assert list((home / "downloads").iterdir()) == [file]


def test_a_damaged_download_is_never_used(directory, home):
    """Not even if there is no other."""
    url = f"file://{directory.parent}/{presets.pack_preset(directory)}"
    presets.load_preset(url)
    (file,) = (home / "downloads").iterdir()
    file.write_bytes(b"damaged")
    directory.with_name("mine.zip").unlink()
    assert "No such file" in _error(url)


def test_a_home_that_cannot_be_written(directory, home):
    """The preset is loaded all the same."""
    home.write_text("a file")
    url = _zip(directory.with_name("x.zip"), _members(directory))
    assert presets.load_preset(url)[2] == presets.load_preset(directory)[2]
    assert home.read_text() == "a file"


def test_members_outside_are_never_written(directory, tmp_path):
    """Paths that lead out, absolute ones and links count for nothing."""
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    absolute = str(tmp_path / "evil")
    members = {**_members(directory), "../evil": b"1", absolute: b"1", link: b"/"}
    presets.load_preset(_zip(tmp_path / "x.zip", members))
    assert not [path for path in tmp_path.rglob("*evil*")]


BAD_ZIPS = {
    "weights missing": (
        lambda m: {"config.json": m["config.json"]},
        "must hold theta.safetensors, in no folder",
    ),
    "in a folder": (
        lambda m: {f"mine/{name}": content for name, content in m.items()},
        "must hold config.json, in no folder. Received: ..mine/",
    ),
    "weights too large": (
        lambda m: {**m, "theta.safetensors": bytes(2**24 + 1)},
        "theta.safetensors must have at most 16777216 bytes",
    ),
    "config too large": (
        lambda m: {**m, "config.json": b" " * 2**27},
        "config.json must have at most 1048576 bytes",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD_ZIPS.values(), ids=BAD_ZIPS)
def test_bad_members(directory, tmp_path, change, message):
    """One line with the file, also if it would unpack to far more."""
    with pytest.raises(ValueError, match=message):
        presets.load_preset(_zip(tmp_path / "x.zip", change(_members(directory))))


def test_other_compressions(directory, tmp_path):
    """They cannot be unpacked bit by bit."""
    url = _zip(tmp_path / "x.zip", _members(directory), zipfile.ZIP_LZMA)
    assert "must be stored or deflated. Received: compression type 14" in _error(url)


def test_no_zip_file(tmp_path):
    """One line; nothing beyond the limit is read."""
    path = tmp_path / "x.zip"
    path.write_bytes(b"no zip")
    assert "must be of a zip file" in _error(_url(path))
    path.write_bytes(bytes(2**25))
    assert "must have at most" in _error(_url(path))


def test_a_damaged_member(directory, tmp_path):
    """The checksum in the zip file differs."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in _members(directory).items():
            archive.writestr(name, content)
    damaged = packed.getvalue().replace(b"format_version", b"format_versiom")
    path = tmp_path / "x.zip"
    path.write_bytes(damaged)
    assert "config.json must be intact" in _error(_url(path))
