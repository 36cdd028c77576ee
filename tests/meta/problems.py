"""Small tasks and rules for meta-training."""

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from lrlearn.meta import MetaSettings
from lrlearn.meta.meta_objective import MetaObjective, Start
from lrlearn.meta.meta_problem import MetaProblem
from lrlearn.rules import CoordinatewiseLSTM
from lrlearn.tasks import Task

RULE = CoordinatewiseLSTM(units=(3,))
ADAM_RULE = CoordinatewiseLSTM((3,), "normalized", "adam")
CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
# Arguments of a `MetaTrainer`. XLA would take longer to compile than all else takes.
FAST = {
    "optimizees_per_task": 1,
    "initial_scale": (1.0, 1.0),
    "jit_compile": False,
    "unroll": 5,
    "horizon": (10, 20),
    "validation_every": 3,
    "validation_steps": 5,
    "validation_optimizees": 2,
}

_DIGITS = load_digits()
X = (_DIGITS.images / 16).astype("float32")
Y = _DIGITS.target.astype("int32")


def mlp(*layers, name="mlp", loss=CROSSENTROPY, validation=True, batch_size=32):
    """A task of digits: flat images, `layers` (tanh of 4 units), and logits."""

    def model_fn():
        hidden = [make() for make in layers] or [keras.layers.Dense(4, "tanh")]
        return keras.Sequential(
            [
                keras.Input((8, 8)),
                keras.layers.Flatten(),
                *hidden,
                keras.layers.Dense(10),
            ]
        )

    splits = (X[:1000], Y[:1000]), (X[1000:1400], Y[1000:1400]) if validation else None
    return Task(model_fn, loss, *splits, batch_size=batch_size, name=name)


def quadratic():
    """A task of linear regression, far from its solution, on one batch: one tensor."""
    x = np.random.default_rng(0).normal(size=(50, 5)).astype("float32")
    y = x @ np.float32([[3], [-2], [4], [-5], [2]])

    def model_fn():
        return keras.Sequential(
            [keras.Input((5,)), keras.layers.Dense(1, use_bias=False)]
        )

    return fix_batches(Task(model_fn, "mse", (x, y), (x, y), batch_size=50))


def fix_batches(task):
    """Makes every batch of a task the first examples of its split; returns it."""

    def batch(split, seed):
        x, y = getattr(task, split)
        rows = slice(task.batch_size)
        return tf.constant(x[rows]), tf.constant(y[rows])

    task.batch = batch
    return task


def objective(task=None, rule=RULE, regularizer=None, **settings):
    """Returns a `MetaObjective`, of a task with fixed batches by default."""
    task = task or fix_batches(mlp())
    return MetaObjective(rule, task, regularizer, MetaSettings(**settings))


def start_of(objective, seed=0, steps=1000, **start):
    """Returns the `Optimizee` that an objective starts from a `Start`."""
    return objective.start(Start(seed, steps, **start))


def meta_problem(*tasks, rule=RULE, estimator="replay", **settings):
    """Returns the `MetaProblem` of some tasks, without a teacher."""
    return MetaProblem.of(rule, tasks, None, estimator, MetaSettings(**settings))


def theta_of(rule, seed=0):
    """Larger than `init_theta`, so that every part of the rule matters."""
    rng = np.random.default_rng(seed)

    def value(name, start):
        if name.endswith("kernel") and not np.any(start):
            start = 0.1 * rng.normal(size=start.shape)
        return tf.constant(3.0 * start, tf.float32)

    return {name: value(name, start) for name, start in rule.init_theta(seed).items()}


def flat(gradient):
    """Returns a dict of tensors as one vector."""
    return np.concatenate([np.ravel(gradient[name]) for name in sorted(gradient)])


def relative_error(a, b):
    """Returns `|a - b| / |b|` of two dicts of tensors."""
    a, b = flat(a), flat(b)
    return np.linalg.norm(a - b) / np.linalg.norm(b)
