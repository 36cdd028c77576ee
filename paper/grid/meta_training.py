"""Meta-training by the recipes, and weights of update rules as JSON types."""

import base64

import numpy as np

import lrlearn
from paper.grid.grid import REGIMES
from paper.grid.optimizers import DEFAULT_RHO, TEACHERS


def make_rule(learned):
    """Returns the update rule of a `Learned`, with a dial if its teacher has one."""
    default_rho = DEFAULT_RHO if TEACHERS[learned.teacher] else None
    if learned.rule == "LSTM":
        return lrlearn.rules.ScheduledLSTM((10,), default_rho)
    return lrlearn.rules.ScheduledMLP(default_rho=default_rho)


def make_trainer(learned, meta_seed, meta_training):
    """Returns the `MetaTrainer` of a `Learned`, and its number of meta-steps."""
    rule, teacher = make_rule(learned), TEACHERS[learned.teacher]
    recipe = lrlearn.meta.Recipe.of(rule)
    steps = meta_training.steps or recipe.steps
    settings = {**dict(meta_training.settings), "seed": meta_seed}
    if teacher:
        settings["dial"] = meta_training.dial
    if learned.teacher == "held-out":
        settings["meta_split"] = "validation"
    tasks = lrlearn.tasks.load_collection(meta_training.collection)
    optimizer = recipe.meta_optimizer(steps)
    return lrlearn.MetaTrainer(
        rule, tasks, teacher, meta_optimizer=optimizer, **settings
    ), steps


def meta_train(learned, meta_seed, meta_training, directory=None):
    """Returns packed `theta` and scores of meta-validation of a `Learned`.

    Interrupted, it goes on from the checkpoints in the directory, if there is one.
    """
    trainer, steps = make_trainer(learned, meta_seed, meta_training)
    history = trainer.fit(steps, checkpoint_dir=directory, verbose=0)
    return {
        "theta": pack(trainer.theta),
        "score": history.best["score"],
        "untrained_score": history.untrained_score,
    }


def load_task(name):
    """Returns the `Task` of a `TaskName`."""
    regime = REGIMES[name.regime]
    return lrlearn.tasks.load(
        f"{name.dataset}/{name.network}",
        train_size=regime.train_size,
        label_noise=regime.label_noise,
        batch_size=regime.batch_size,
    )


def pack(theta):
    """Returns arrays as JSON types, exactly.

    Example:
        >>> unpack(pack({"w": np.ones((1, 2), "float32")}))
        {'w': array([[1., 1.]], dtype=float32)}
    """
    return {
        name: {
            "shape": list(array.shape),
            "float32": base64.b64encode(array.astype("<f4").tobytes()).decode(),
        }
        for name, array in theta.items()
    }


def unpack(packed):
    """Returns the arrays that `pack` was given."""
    return {
        name: np.frombuffer(base64.b64decode(value["float32"]), "<f4")
        .astype("float32")
        .reshape(value["shape"])
        for name, value in packed.items()
    }
