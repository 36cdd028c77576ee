"""Collections of small tasks to meta-train on."""

import dataclasses
import functools

import keras
import numpy as np

from lrlearn.tasks import datasets, networks
from lrlearn.tasks.task import Task

_NUM_CLASSES = 10


@dataclasses.dataclass(frozen=True)
class _Spec:
    """One task of a collection.

    Attributes:
        source: `"digits"`, `"synthetic"`, or MNIST pooled to so many pixels a side:
            `"mnist8"`, `"mnist14"`, `"mnist28"`.
        units: Sizes of the hidden layers; of convolutions, their numbers of filters.
        activation: Name of their activation.
        batch_size: Examples in a batch.
        examples: Number of training examples, `None` for all.
        label_noise: Fraction of the training labels that are wrong.
        inverted: Whether pixels are inverted: so their mean is large.
        convolutional: Whether the hidden layers are those of `networks.strided`, with
            ReLU whatever the activation.
    """

    source: str
    units: tuple
    activation: str
    batch_size: int
    examples: int | None = None
    label_noise: float = 0.0
    inverted: bool = False
    convolutional: bool = False

    def build(self, image_shape):
        """Returns a new network."""
        if self.convolutional:
            return networks.strided(image_shape, self.units)
        return networks.dense(image_shape, self.units, self.activation)


_COLLECTIONS = {
    "small_images": (
        _Spec("mnist8", (20,), "sigmoid", 64, 1000, 0.2),
        _Spec("mnist8", (24,), "relu", 64, 1000, 0.2),
        _Spec("mnist14", (20,), "relu", 128),
        _Spec("mnist8", (24, 16), "tanh", 32, 2000, 0.4),
        _Spec("mnist14", (16,), "sigmoid", 64, 1000, 0.2),
        _Spec("digits", (32, 16), "relu", 64, 500, 0.1),
        _Spec("synthetic", (32,), "relu", 64),
        _Spec("mnist14", (20,), "relu", 64, inverted=True),
        _Spec("mnist8", (20,), "sigmoid", 64, 1000, 0.2, inverted=True),
        _Spec("mnist28", (8,), "sigmoid", 64),
        _Spec("mnist8", (8, 16), "relu", 32, 1000, 0.2, convolutional=True),
        _Spec("mnist14", (6,), "relu", 32, inverted=True, convolutional=True),
    ),
    "digits": (
        _Spec("digits", (20,), "sigmoid", 64),
        _Spec("digits", (24,), "relu", 64, 500, 0.2),
        _Spec("digits", (24, 16), "tanh", 32, 500, 0.4),
        _Spec("digits", (20,), "relu", 64, inverted=True),
        _Spec("synthetic", (32,), "relu", 64),
    ),
}
COLLECTIONS = tuple(_COLLECTIONS)


def load_collection(name="small_images", *, data_dir=None, seed=0):
    """Returns the tasks of a collection, to meta-train on.

    They are small, and differ in what an optimizer meets: kind of layers, depth, width,
    activation, batch size, number of examples, label noise, number and mean of the
    inputs. `"small_images"` has twelve, of pooled MNIST, digits and synthetic data; two
    have convolutions. `"digits"` has five dense ones, of data that need no network.

    Args:
        name: `"small_images"` or `"digits"`. Defaults to `"small_images"`.
        data_dir: See `load`. Defaults to `None`.
        seed: Integer seed of the choice of examples and of the label noise. Defaults to
            `0`.

    Returns:
        A list of `Task`s, without test data.

    Raises:
        ValueError: If there is no such collection.
        FileNotFoundError: If the data are not there and cannot be downloaded.

    Example:
        >>> import lrlearn
        >>> tasks = lrlearn.tasks.load_collection("digits")
        >>> [task.name for task in tasks][:2]
        ['digits/20 sigmoid', 'digits/24 relu, 500, noise 0.2']
    """
    if name not in _COLLECTIONS:
        raise ValueError(
            f"A collection must be one of {COLLECTIONS}. Received: {name!r}"
        )
    return [_task(spec, data_dir, seed) for spec in _COLLECTIONS[name]]


def collection_names(name):
    """Returns the names of a collection's tasks, which tell all of them but the data.

    Example:
        >>> from lrlearn.tasks.collections import collection_names
        >>> collection_names("digits")[:2]
        ['digits/20 sigmoid', 'digits/24 relu, 500, noise 0.2']
    """
    return [_name(spec) for spec in _COLLECTIONS[name]]


def _task(spec, data_dir, seed):
    train, validation = _source(spec.source, data_dir)
    x, y = datasets.subset(train, spec.examples, seed)
    y = datasets.corrupt(y, spec.label_noise, _NUM_CLASSES, seed)
    if spec.inverted:
        x, validation = 255 - x, (255 - validation[0], validation[1])
    return Task(
        functools.partial(spec.build, x.shape[1:]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        train=(x, y),
        validation=validation,
        batch_size=spec.batch_size,
        name=_name(spec),
    )


def _name(spec):
    """Returns a name that tells all of a `_Spec`."""
    units = "-".join(map(str, spec.units))
    parts = [f"{spec.source}/{units} {spec.activation}"]
    parts += ["convolutional"] if spec.convolutional else []
    parts += [str(spec.examples)] if spec.examples else []
    parts += [f"noise {spec.label_noise}"] if spec.label_noise else []
    parts += ["inverted"] if spec.inverted else []
    return ", ".join(parts)


def _source(source, data_dir):
    """Returns training and validation examples, pixels from 0 to 255."""
    if source == "synthetic":
        return _synthetic()
    name = "digits" if source == "digits" else "mnist"
    parts = datasets.splits(name, data_dir)
    return [(_pixels(x, source), y) for x, y in (parts["train"], parts["validation"])]


def _pixels(x, source):
    if source == "digits":
        return (x * (255 / 16)).astype("uint8")
    size = int(source.removeprefix("mnist"))
    if size == 8:
        x = x[:, 2:-2, 2:-2]  # 24 is 3 times 8; the margin is empty
    pool = x.shape[1] // size
    x = x.reshape(len(x), size, pool, size, pool, 1)
    return x.mean(axis=(2, 4), dtype="float32").astype("uint8")


def _synthetic():
    """Returns examples whose labels a random network of 24 tanh units gives."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(25_000, 6 * 8))
    hidden = np.tanh(x @ rng.normal(size=(6 * 8, 24)))
    y = (hidden @ rng.normal(size=(24, _NUM_CLASSES))).argmax(1).astype("int32")
    x = np.clip(40 * x + 128, 0, 255).astype("uint8").reshape(-1, 6, 8, 1)
    return (x[:20_000], y[:20_000]), (x[20_000:], y[20_000:])
