"""Tasks are told apart by what they are, not by what Keras calls their layers."""

import json

import keras
import numpy as np
import pytest

from lrlearn.meta.fingerprint import describe, describe_task
from lrlearn.tasks import Task
from tests.meta.problems import X, Y, mlp


def _dense(activation, units=4, **kwargs):
    return lambda: keras.layers.Dense(units, activation, **kwargs)


def _nested(activation):
    inner = keras.Sequential([keras.layers.Dense(4, activation)])
    return lambda: keras.Sequential([inner, keras.layers.Dense(4)])


class _Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(10)

    def call(self, x):
        return self.dense(x[:, 0])


def test_same_task():
    """Built twice, layers have other names; the task is the same."""
    one, other = mlp(_dense("tanh")), mlp(_dense("tanh"))
    assert one.model.layers[1].name != other.model.layers[1].name
    assert describe_task(one) == describe_task(other)
    subclassed = [Task(_Subclassed, "mse", (X[:9], X[:9, 0, :1])) for _ in range(2)]
    assert describe_task(subclassed[0]) == describe_task(subclassed[1])


@pytest.mark.parametrize(
    "other",
    [
        mlp(_dense("relu")),
        mlp(_dense("tanh", units=5)),
        mlp(_dense("tanh"), name="other"),
        mlp(_dense("tanh"), batch_size=16),
        mlp(_dense("tanh"), validation=False),
        mlp(_dense("tanh"), loss="mae"),
        mlp(_dense("tanh", dtype="mixed_bfloat16")),
    ],
    ids=["activation", "units", "name", "batch size", "validation", "loss", "dtype"],
)
def test_other_task(other):
    """Each difference shows."""
    assert describe_task(other) != describe_task(mlp(_dense("tanh")))


def test_other_data():
    """One label makes another task."""
    one = mlp()
    other = mlp()
    other.train = (X[:1000], np.where(np.arange(1000) == 3, 9 - Y[:1000], Y[:1000]))
    assert describe_task(one)["data"] != describe_task(other)["data"]


def test_constraints():
    """Also one that no layer's config has; a task without is described as ever."""

    def custom(constraint):
        class Custom(keras.layers.Layer):
            def build(self, shape):
                self.add_weight(shape=(1,), constraint=constraint)
                super().build(shape)

            def call(self, x):
                return x * self.weights[0]

        return Custom

    one, same, other = (
        describe_task(mlp(custom(c)))
        for c in (keras.constraints.NonNeg(), keras.constraints.NonNeg(), None)
    )
    assert one == same != other
    assert "constraints" not in other
    norms = (describe_task(mlp(custom(keras.constraints.MaxNorm(n)))) for n in (1, 2))
    assert next(norms) != next(norms)


def test_nested_models():
    """The layers of models within a model count."""
    one, same, other = (mlp(_nested(name)) for name in ("tanh", "tanh", "relu"))
    assert describe_task(one) == describe_task(same) != describe_task(other)


def test_optimizer():
    """Schedules count, names do not."""

    def make(steps):
        schedule = keras.optimizers.schedules.CosineDecay(0.01, steps)
        return describe(keras.optimizers.Adam(schedule))

    assert make(10) == make(10) != make(20)
    assert make(10)["class"] == "Adam"


def test_functions():
    """A loss of one's own is told by what it does, not by its name."""

    def loss(power):
        return lambda y_true, y_pred: keras.ops.mean(keras.ops.abs(y_pred)) ** power

    one, same, other = (describe_task(mlp(loss=loss(p))) for p in (1.0, 1.0, 2.0))
    assert one == same != other


def test_what_a_model_card_needs():
    """Sizes, the shape of an example, and the loss with its arguments; all JSON."""
    described = json.loads(json.dumps(describe_task(mlp())))
    assert described["input_shape"] == [8, 8]
    assert described["examples"] == {"train": 1000, "validation": 400}
    assert described["loss"]["class"] == "SparseCategoricalCrossentropy"
    assert described["loss"]["config"]["from_logits"] is True
