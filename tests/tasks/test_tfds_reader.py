"""Where data cannot be had, one line says what to do, at once."""

import hashlib
import os
import time
import traceback

import numpy as np
import pytest

from lrlearn.tasks import datasets, tfds_reader

needs_tfds = pytest.mark.skipif(
    "TFDS_DATA_DIR" not in os.environ, reason="TFDS_DATA_DIR is not set"
)


@pytest.mark.parametrize("name", tfds_reader._DOWNLOADS)
def test_no_data_and_no_network(name, tmp_path, monkeypatch):
    def refuse(request, timeout):
        raise OSError(f"no route to {request.full_url}\nand so on")

    monkeypatch.setattr(tfds_reader.urllib.request, "urlopen", refuse)
    start = time.perf_counter()
    with pytest.raises(FileNotFoundError, match="TFDS_DATA_DIR") as caught:
        tfds_reader.read(name, str(tmp_path))
    assert time.perf_counter() - start < 5
    message = str(caught.value)
    assert name in message and str(tmp_path) in message and "no route" in message
    assert "\n" not in message
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Traceback") == 1
    assert not os.listdir(tmp_path)


def test_any_answer_of_the_server_will_do(monkeypatch):
    def answer(request, timeout):
        raise tfds_reader.urllib.error.HTTPError(request.full_url, 403, "", {}, None)

    monkeypatch.setattr(tfds_reader.urllib.request, "urlopen", answer)
    tfds_reader._check_reachable("https://example.com")


def test_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert tfds_reader.folder() == str(tmp_path / "tensorflow_datasets")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "a"))
    assert tfds_reader.folder() == str(tmp_path / "a")
    assert tfds_reader.folder("~/b") == str(tmp_path / "b")
    assert tfds_reader.folder("gs://bucket/data") == "gs://bucket/data"


@pytest.mark.slow
@needs_tfds
def test_mnist_holds_the_published_images():
    (train_x, train_y), (test_x, test_y) = tfds_reader.read(
        "mnist", tfds_reader.folder()
    )
    assert train_x.shape == (60_000, 28, 28, 1) and test_x.shape == (10_000, 28, 28, 1)
    # Class counts and mean pixel of the original files.
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert list(np.bincount(train_y)) == counts
    np.testing.assert_allclose(train_x.mean() / 255, 0.1307, atol=5e-5)
    assert list(np.bincount(test_y))[:3] == [980, 1135, 1032]


@pytest.mark.slow
@needs_tfds
@pytest.mark.parametrize("name", tfds_reader._DOWNLOADS)
def test_second_read_is_quick(name, tmp_path, monkeypatch):
    monkeypatch.setenv("LRLEARN_CACHE", str(tmp_path))
    first = datasets.splits(name)
    start = time.process_time()
    second = datasets.splits(name)
    assert time.process_time() - start < 0.5
    for split, (x, y) in first.items():
        np.testing.assert_array_equal(x, second[split][0])
        np.testing.assert_array_equal(y, second[split][1])
    images = [hashlib.sha256(x).digest() for x in first["train"][0][:2000]]
    assert len(set(images)) > 1900
