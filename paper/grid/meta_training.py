"""Meta-training by a recipe, and weights of update rules as JSON types."""

import base64

import keras
import numpy as np

import lrlearn
from paper.grid.grid import REGIMES
from paper.grid.optimizers import TEACHERS


def make_rule(name, recipe):
    """Returns the update rule `"LSTM"` or `"MLP"` of a `MetaRecipe`."""
    if name == "LSTM":
        return lrlearn.rules.CoordinatewiseLSTM(
            recipe.lstm_units, features="normalized", output="adam"
        )
    return lrlearn.rules.PerParameterMLP(horizon=max(recipe.horizon))


def meta_train(learned, meta_seed, recipe):
    """Returns packed `theta` and the best meta-validation `score` of a `Learned`."""
    lstm = learned.rule == "LSTM"
    rate = recipe.lstm_rate if lstm else recipe.mlp_rate
    validations = recipe.lstm_validations if lstm else recipe.mlp_validations
    schedule = keras.optimizers.schedules.CosineDecay(
        rate, recipe.steps, alpha=recipe.final_rate
    )
    trainer = lrlearn.MetaTrainer(
        make_rule(learned.rule, recipe),
        [load_task(name) for name in recipe.tasks()],
        TEACHERS[learned.teacher],
        estimator=lrlearn.meta.Replay(coordinates=recipe.coordinates),
        unroll=recipe.unroll,
        horizon=recipe.horizon,
        optimizees_per_task=recipe.initializations,
        initial_scale=recipe.initial_scale,
        meta_split="validation" if learned.teacher == "held-out" else "train",
        meta_optimizer=keras.optimizers.Adam(schedule, global_clipnorm=recipe.clipnorm),
        validation_every=max(1, recipe.steps // validations),
        validation_steps=recipe.validation_steps,
        seed=meta_seed,
    )
    history = trainer.fit(recipe.steps, verbose=0)
    score = float(history.frame()["score"].min())
    return {"theta": pack(trainer.theta), "score": score}


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
