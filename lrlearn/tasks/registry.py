"""The ready-made tasks by name."""

import functools

import keras

from lrlearn.tasks import datasets, networks
from lrlearn.tasks.task import Task

_NUM_CLASSES = 10
# digits: pixels up to 16 on 8x8 images, for which a smaller network is enough.
_NETWORK_OPTIONS = {"digits": {"largest": 16, "filters": (8, 16)}}


def names():
    """Returns the names that `load` knows.

    Example:
        >>> import lrlearn
        >>> lrlearn.tasks.names()[:4]
        ['digits/mlp', 'digits/mlp_relu', 'digits/mlp_tanh', 'digits/cnn']
    """
    return [f"{data}/{net}" for data in datasets.NAMES for net in networks.NAMES]


def load(
    name="digits/mlp",
    *,
    data_dir=None,
    train_size=None,
    label_noise=0.0,
    batch_size=128,
    seed=0,
):
    """Returns a ready-made task: the classification of small images.

    A name is `<data set>/<network>`. Data sets are `digits` (8x8 images that come with
    scikit-learn), `mnist`, `fashion_mnist` and `cifar10`. Networks are `mlp`,
    `mlp_relu`, `mlp_tanh` (one hidden layer of 20 sigmoid, ReLU or tanh units) and
    `cnn` (two convolutions). All but `digits` are downloaded by TensorFlow Datasets and
    cached in `$LRLEARN_CACHE` (by default `~/.cache/lrlearn`).

    A small and noisy training set leaves a generalization gap. The options do not
    change validation and test data.

    Args:
        name: One of `names()`. Defaults to `"digits/mlp"`.
        data_dir: Folder of TensorFlow Datasets. Defaults to `None`: the environment
            variable TFDS_DATA_DIR, else `~/tensorflow_datasets`.
        train_size: Number of training examples kept. Defaults to `None`: all.
        label_noise: Fraction of the training labels that are replaced by a random other
            class, in [0, 1). Defaults to `0.0`.
        batch_size: Examples in a batch. Defaults to `128`.
        seed: Integer seed of the choice of examples and of the noise. Defaults to `0`.

    Returns:
        A `Task`.

    Raises:
        ValueError: If there is no such task, or if an option is out of range.
        FileNotFoundError: If the data are not there and cannot be downloaded.

    Example:
        >>> import lrlearn
        >>> task = lrlearn.tasks.load("digits/mlp", train_size=500, label_noise=0.2)
        >>> [len(x) for x, y in (task.train, task.validation, task.test)]
        [500, 247, 450]
    """
    if name not in names():
        raise ValueError(f"A task must be one of {names()}. Received: {name!r}")
    data_name, network = name.split("/")
    data = datasets.splits(data_name, data_dir)
    x, y = datasets.subset(data["train"], train_size, seed)
    y = datasets.corrupt(y, label_noise, _NUM_CLASSES, seed)
    return Task(
        functools.partial(
            networks.build,
            network,
            x.shape[1:],
            _NUM_CLASSES,
            **_NETWORK_OPTIONS.get(data_name, {}),
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        train=(x, y),
        validation=data["validation"],
        test=data["test"],
        batch_size=batch_size,
        name=name,
    )
