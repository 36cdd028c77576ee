"""Trains and saves models, or loads and trains them; for `test_agreement`."""

import json
import pathlib
import sys

import keras
import numpy as np

import lrlearn

PRESETS = ("lo_lstm_sam", "lo_sam")


def data():
    """Returns inputs and classes."""
    x = np.random.default_rng(0).normal(size=(96, 6)).astype("float32")
    return x, np.argmax(x[:, :3] ** 2, axis=1)


def fit(model):
    """Returns the losses of three epochs, in order."""
    settings = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0}
    return model.fit(*data(), **settings).history["loss"]


def new(preset):
    """Returns a model with the same weights under every backend."""
    dense = [keras.layers.Dense(16, "tanh"), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((6,)), *dense])
    rng = np.random.default_rng(1)
    model.set_weights([0.5 * rng.normal(size=w.shape) for w in model.get_weights()])
    optimizer = lrlearn.LearnedOptimizer.from_preset(preset, clipnorm=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Keras saves what "auto" was, and True is torch.compile elsewhere: a minute each.
    model.compile(optimizer, loss, jit_compile=False)
    return model


def train(directory):
    """Returns `{preset: losses}`, and saves the models."""
    losses = {}
    for preset in PRESETS:
        model = new(preset)
        losses[preset] = fit(model)
        model.save(directory / f"{keras.backend.backend()}-{preset}.keras")
    return losses


def resume(directory):
    """Returns `{file's name: losses}` of all models, whoever saved them."""
    paths = sorted(directory.glob("*.keras"))
    return {path.stem: fit(keras.models.load_model(path)) for path in paths}


if __name__ == "__main__":
    command, directory = {"train": train, "resume": resume}[sys.argv[1]], sys.argv[2]
    print(json.dumps(command(pathlib.Path(directory))))
