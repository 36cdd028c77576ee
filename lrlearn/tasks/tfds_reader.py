"""TensorFlow Datasets as arrays."""

import os
import urllib.error
import urllib.request

import tensorflow as tf

_DOWNLOADS = {
    "mnist": "https://storage.googleapis.com",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "cifar10": "https://www.cs.toronto.edu",
}


def folder(data_dir=None):
    """Returns the folder of the data: an absolute path, or a URL of a bucket."""
    # Not left to TFDS, which reads the variable once, when it is imported.
    default = os.path.join("~", "tensorflow_datasets")
    path = os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or default)
    return path if "://" in path else os.path.realpath(path)


def stamp(name, path):
    """Returns a string that changes when other data are put in the same folder."""
    files = sorted(tf.io.gfile.glob(os.path.join(path, name, "*", "*")))
    stats = [tf.io.gfile.stat(f) for f in files]
    return repr(
        [(f, s.length, s.mtime_nsec) for f, s in zip(files, stats, strict=True)]
    )


def read(name, path):
    """Returns `((x_train, y_train), (x_test, y_test))`, uint8 arrays.

    They are downloaded if the folder lacks them.

    Raises:
        FileNotFoundError: If the data are not there and cannot be downloaded.
    """
    try:
        return _read(name, path)
    except Exception as error:  # TFDS may raise anything: a user needs one line
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    raise FileNotFoundError(
        f"Could not read {name!r} from {path!r}, nor download it ({reason}). Set "
        f"`data_dir` or TFDS_DATA_DIR to a folder of TensorFlow Datasets that holds "
        f"{name!r}, or connect to the internet; the digits tasks need neither."
    )


def _read(name, path):
    if not tf.io.gfile.glob(os.path.join(path, name, "*", "dataset_info.json")):
        _check_reachable(_DOWNLOADS[name])
    import tensorflow_datasets as tfds  # slow, and needed on the first read only

    builder = tfds.builder(name, data_dir=path)
    builder.download_and_prepare()  # does nothing if the data are prepared
    train, test = builder.as_dataset(
        split=["train", "test"], batch_size=-1, shuffle_files=False
    )
    return tuple(
        (data["image"].numpy(), data["label"].numpy().astype("uint8"))
        for data in (train, test)
    )


def _check_reachable(url, timeout=5):
    """Raises `OSError` without a network; TFDS would retry for minutes."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=timeout).close()
    except urllib.error.HTTPError as answer:  # any answer will do
        answer.close()
