"""Meta-training by the recipes, and weights of update rules as JSON types."""

import base64
import json

import numpy as np

import lrlearn
from lrlearn.optimizers import preset_card, presets
from paper.grid.grid import REGIMES
from paper.grid.optimizers import DEFAULT_RHO, TEACHERS


def make_rule(learned, default_rho=0.05):
    """Returns the update rule of a `Learned`, with a dial if its teacher has one.

    Meta-training sets the dial itself; it has a default in `rule_in_use`.
    """
    default_rho = default_rho if learned.teacher in DEFAULT_RHO else None
    if learned.rule == "LSTM":
        return lrlearn.rules.ScheduledLSTM((10,), default_rho)
    return lrlearn.rules.ScheduledMLP(default_rho=default_rho)


def rule_in_use(learned):
    """Returns the update rule of a `Learned`, the dial at its default."""
    return make_rule(learned, DEFAULT_RHO.get(learned.teacher))


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
    tasks = tasks[: meta_training.tasks]
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
        "score": history.best and history.best["score"],
        "untrained_score": history.untrained_score,
    }


def trained(directory, learned, meta_seed, meta_training):
    """Returns what `meta_train` does, of a preset that was meta-trained likewise.

    Raises:
        ValueError: If it was meta-trained otherwise.
    """
    trainer, steps = make_trainer(learned, meta_seed, meta_training)
    _, theta, metadata = presets.load_preset(directory)
    expected = {**preset_card.recipe(trainer.config), "meta_steps": steps}
    expected = json.loads(json.dumps(expected))
    others = [name for name in expected if metadata.get(name) != expected[name]]
    if others:
        raise ValueError(
            "A preset must be meta-trained as the grid says. Received: "
            f"{directory}, with other {', '.join(others)}"
        )
    names = ("command", "commit", "date", "versions")
    return {
        "theta": pack(theta),
        "score": metadata["meta_validation_score"],
        "untrained_score": metadata["untrained_score"],
        "meta_trained_by": {name: metadata.get(name) for name in names},
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
