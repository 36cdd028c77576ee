"""Splits are fixed and disjoint; noise is exact; data are cached."""

import numpy as np
import pytest

from lrlearn.tasks import datasets, tfds_reader

SPLITS = ("train", "validation", "test")


@pytest.fixture
def source(tmp_path, monkeypatch):
    """Stands for TFDS: counts its reads; every image is its own number."""

    class Source:
        reads = 0
        data_dir = tmp_path / "tfds"

        def read(self, name, path):
            self.reads += 1
            images = np.arange(6500, dtype="uint32").view("uint8").reshape(-1, 1, 4, 1)
            labels = (np.arange(6500) % 10).astype("uint8")
            return (images[:6000], labels[:6000]), (images[6000:], labels[6000:])

        def prepare(self, data_dir, content="records"):
            folder = data_dir / "mnist" / "3.0.1"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "dataset_info.json").write_text(content)

    source = Source()
    monkeypatch.setenv("LRLEARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tfds_reader, "read", source.read)
    source.prepare(source.data_dir)
    return source


def numbers(x):
    """Returns what number each image of `source` is."""
    return x.reshape(-1, 4).copy().view("uint32")[:, 0]


def test_digits_are_split_into_disjoint_parts_of_the_whole():
    from sklearn.datasets import load_digits

    parts = datasets.splits("digits")
    assert [len(parts[s][0]) for s in SPLITS] == [1100, 247, 450]
    together = np.concatenate([parts[s][0] for s in SPLITS]).reshape(-1, 64)
    images = load_digits().data.astype("uint8")
    assert sorted(map(bytes, together)) == sorted(map(bytes, images))
    label = {bytes(i): y for i, y in zip(images, load_digits().target, strict=True)}
    for x, y in parts.values():
        assert x.dtype == "uint8" and y.dtype == "int32"
        assert [label[bytes(i)] for i in x.reshape(-1, 64)] == list(y)
        assert np.bincount(y, minlength=10).min() >= 0.07 * len(y)


def test_test_data_stay_apart_and_validation_is_fixed(source):
    parts = datasets.splits("mnist", source.data_dir)
    train, validation, test = (numbers(parts[s][0]) for s in SPLITS)
    np.testing.assert_array_equal(test, np.arange(6000, 6500))
    assert len(train) == 1000 and len(validation) == 5000
    assert set(train) | set(validation) == set(range(6000))
    # NumPy promises that RandomState's sequences stay as they are.
    expected = np.random.RandomState(0).permutation(6000)[:5000]
    np.testing.assert_array_equal(validation, expected)
    for x, y in parts.values():
        np.testing.assert_array_equal(numbers(x) % 10, y)


def test_second_read_comes_from_the_cache(source):
    first = datasets.splits("mnist", source.data_dir)
    second = datasets.splits("mnist", source.data_dir)
    assert source.reads == 1
    for split in SPLITS:
        for a, b in zip(first[split], second[split], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


def test_folders_do_not_share_a_cache(source, tmp_path):
    source.prepare(tmp_path / "other")
    for _ in range(2):
        datasets.splits("mnist", source.data_dir)
        datasets.splits("mnist", tmp_path / "other")
    assert source.reads == 2
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_other_data_in_the_same_folder_are_read_anew(source):
    datasets.splits("mnist", source.data_dir)
    source.prepare(source.data_dir, content="other records")
    datasets.splits("mnist", source.data_dir)
    datasets.splits("mnist", source.data_dir)
    assert source.reads == 2


def test_a_damaged_cache_is_rebuilt(source, tmp_path):
    datasets.splits("mnist", source.data_dir)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    datasets.splits("mnist", source.data_dir)
    datasets.splits("mnist", source.data_dir)
    assert source.reads == 2


def test_subset_is_drawn_from_the_training_data():
    x = np.arange(100)
    sx, sy = datasets.subset((x, 2 * x), 30, seed=0)
    assert len(set(sx)) == 30
    np.testing.assert_array_equal(sy, 2 * sx)
    assert set(sx) != set(datasets.subset((x, x), 30, seed=1)[0])
    np.testing.assert_array_equal(sx, datasets.subset((x, x), 30, seed=0)[0])
    assert datasets.subset((x, x), None, seed=0)[0] is x


@pytest.mark.parametrize("size", [0, 101, -1, 1.5])
def test_subset_larger_than_the_data(size):
    x = np.arange(100)
    with pytest.raises(ValueError, match=f"from 1 to 100.*train_size={size}"):
        datasets.subset((x, x), size, seed=0)


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.9])
def test_noise_changes_that_fraction_exactly(fraction):
    labels = np.repeat(np.arange(10), 100)
    noisy = datasets.corrupt(labels, fraction, 10, seed=0)
    assert np.sum(noisy != labels) == round(fraction * 1000)
    assert noisy.dtype == labels.dtype and noisy.min() >= 0 and noisy.max() < 10
    assert labels.sum() == 4500


def test_noise_is_uniform_over_the_other_classes():
    labels = np.full(100_000, 3)
    counts = np.bincount(datasets.corrupt(labels, 0.9, 10, seed=0), minlength=10)
    assert counts[3] == 10_000
    assert np.abs(np.delete(counts, 3) - 10_000).max() < 5 * 100


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_noise_outside_its_range(fraction):
    with pytest.raises(ValueError, match=f"in .0, 1.*label_noise={fraction}"):
        datasets.corrupt(np.zeros(3, int), fraction, 10, seed=0)
