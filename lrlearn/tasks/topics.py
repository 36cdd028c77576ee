"""Next-character prediction, on the English text that comes with Python."""

import functools
from pydoc_data import topics

import keras
import numpy as np
from keras import layers

from lrlearn.tasks.networks import Positions
from lrlearn.tasks.task import Task

CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
_OTHER = CHARACTERS.index("?")
_SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def text():
    """Returns the help pages of Python, in the order of their names.

    They depend on Python's version; 3.11 has 465,000 characters.
    """
    return "".join(topics.topics[name] for name in sorted(topics.topics))


def encode(text):
    """Returns the numbers of characters in `CHARACTERS`; others become a "?".

    Example:
        >>> from lrlearn.tasks import topics
        >>> topics.encode("a é").tolist()
        [66, 1, 32]
    """
    numbers = {character: i for i, character in enumerate(CHARACTERS)}
    return np.array([numbers.get(character, _OTHER) for character in text], "int32")


def splits(length=64):
    """Returns windows of the text, and the same a character later.

    The text is cut into three blocks, for training, validation and test, and each block
    into windows that follow each other: no character is in two splits.

    Args:
        length: Characters in a window. Defaults to `64`.

    Returns:
        A dict of splits to `(x, y)`, int32 arrays `[windows, length]`.
    """
    numbers = encode(text())
    ends = np.round(np.cumsum(list(_SHARES.values())) * len(numbers)).astype(int)
    blocks = np.split(numbers, ends[:-1])
    return {
        split: _windows(block, length)
        for split, block in zip(_SHARES, blocks, strict=True)
    }


def gru(batch_size=32, length=64, units=64, name="topics/gru"):
    """Returns the task of predicting the next character by a GRU.

    Args:
        batch_size: Windows in a batch. Defaults to `32`.
        length: Characters in a window. Defaults to `64`.
        units: Units of the GRU and of the embedding. Defaults to `64`.
        name: See `Task`.
    """
    return _task(functools.partial(make_gru, length, units), length, batch_size, name)


def transformer(
    batch_size=32, length=64, units=64, blocks=2, heads=4, name="topics/transformer"
):
    """Returns the task of predicting the next character by a causal transformer.

    Args:
        batch_size: Windows in a batch. Defaults to `32`.
        length: Characters in a window. Defaults to `64`.
        units: Units of the embedding and of each block. Defaults to `64`.
        blocks: Number of blocks. Defaults to `2`.
        heads: Heads of the attention. Defaults to `4`.
        name: See `Task`.

    Example:
        >>> from lrlearn.tasks import topics
        >>> topics.transformer(units=128, blocks=5).num_params
        1024480
    """
    model_fn = functools.partial(make_transformer, length, units, blocks, heads)
    return _task(model_fn, length, batch_size, name)


def make_gru(length, units):
    """Returns a new model; its outputs are logits of the next character."""
    return keras.Sequential(
        [
            keras.Input((length,), dtype="int32"),
            layers.Embedding(len(CHARACTERS), units),
            layers.GRU(units, return_sequences=True),
            layers.Dense(len(CHARACTERS)),
        ]
    )


def make_transformer(length, units, blocks, heads):
    """Returns a new model with layer normalization before each part of a block."""
    inputs = keras.Input((length,), dtype="int32")
    x = Positions()(layers.Embedding(len(CHARACTERS), units)(inputs))
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(heads, units // heads)
        x = x + attention(y, y, use_causal_mask=True)
        y = layers.LayerNormalization()(x)
        x = x + layers.Dense(units)(layers.Dense(4 * units, "gelu")(y))
    logits = layers.Dense(len(CHARACTERS))(layers.LayerNormalization()(x))
    return keras.Model(inputs, logits)


def _windows(block, length):
    count = (len(block) - 1) // length
    x, y = block[: count * length], block[1 : count * length + 1]
    return x.reshape(count, length), y.reshape(count, length)


def _task(model_fn, length, batch_size, name):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Task(model_fn, loss, batch_size=batch_size, name=name, **splits(length))
