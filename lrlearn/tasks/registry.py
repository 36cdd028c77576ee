"""The ready-made tasks by name."""

import functools

import keras

from lrlearn.tasks import cartpole, datasets, networks, regression, topics
from lrlearn.tasks.task import Task

_NUM_CLASSES = 10
# digits: pixels up to 16 on 8x8 images, for which a smaller network is enough.
_NETWORK_OPTIONS = {"digits": {"largest": 16, "filters": (8, 16)}}
# Functions of the batch size, whose default is the task's own.
_OTHERS = {
    "cartpole/mlp": cartpole.mlp,
    "topics/gru": topics.gru,
    "topics/transformer": topics.transformer,
    "digits/autoencoder": regression.autoencoder,
    "diabetes/mlp": regression.diabetes,
}


def names(images=True):
    """Returns the names that `load` knows.

    Args:
        images: Whether those that classify images, or the others. Defaults to `True`.

    Example:
        >>> import lrlearn
        >>> lrlearn.tasks.names()[:4]
        ['digits/mlp', 'digits/mlp_relu', 'digits/mlp_tanh', 'digits/cnn']
        >>> lrlearn.tasks.names(images=False)[:3]
        ['cartpole/mlp', 'topics/gru', 'topics/transformer']
    """
    if not images:
        return list(_OTHERS)
    return [f"{data}/{net}" for data in datasets.NAMES for net in networks.NAMES]


def load(
    name="digits/mlp",
    *,
    data_dir=None,
    train_size=None,
    label_noise=0.0,
    batch_size=None,
    seed=0,
):
    """Returns a ready-made task.

    Most classify small images, and their name is `<data set>/<network>`. Data sets are
    `digits` (8x8 images that come with scikit-learn), `mnist`, `fashion_mnist` and
    `cifar10`. Networks are `mlp`, `mlp_relu`, `mlp_tanh` (one hidden layer of 20
    sigmoid, ReLU or tanh units) and `cnn` (two convolutions). All but `digits` are
    downloaded by TensorFlow Datasets and cached in `$LRLEARN_CACHE` (by default
    `~/.cache/lrlearn`).

    A small and noisy training set leaves a generalization gap. The options do not
    change validation and test data.

    The others, of which `batch_size` is the only option, need no download:

    - `cartpole/mlp`: a policy that balances a pole, trained by REINFORCE; the metric is
      the mean return, of at most 200;
    - `topics/gru`, `topics/transformer`: the next character of Python's help pages,
      which depend on Python's version;
    - `digits/autoencoder`: digits from 8 numbers; the metric is $R^2$;
    - `diabetes/mlp`: a regression of scikit-learn's table; the metric is $R^2$.

    Args:
        name: One of `names()` or `names(images=False)`. Defaults to `"digits/mlp"`.
        data_dir: Folder of TensorFlow Datasets. Defaults to `None`: the environment
            variable TFDS_DATA_DIR, else `~/tensorflow_datasets`.
        train_size: Number of training examples kept. Defaults to `None`: all.
        label_noise: Fraction of the training labels that are replaced by a random other
            class, in [0, 1). Defaults to `0.0`.
        batch_size: Examples in a batch. Defaults to `None`: 128 images, or the task's
            own number.
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
    if name in _OTHERS:
        options = {"data_dir": data_dir, "train_size": train_size}
        _check_unused(
            name, **options, label_noise=label_noise or None, seed=seed or None
        )
        return _OTHERS[name](
            **({} if batch_size is None else {"batch_size": batch_size})
        )
    if name not in names():
        known = names() + names(images=False)
        raise ValueError(f"A task must be one of {known}. Received: {name!r}")
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
        batch_size=128 if batch_size is None else batch_size,
        name=name,
    )


def _check_unused(name, **options):
    given = {option: value for option, value in options.items() if value}
    if given:
        raise ValueError(
            f"{name!r} must be given no option but `batch_size`. Received: {given}"
        )
