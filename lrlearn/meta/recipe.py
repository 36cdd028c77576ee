"""How each kind of rule is meta-trained, unless told otherwise."""

import dataclasses
import json
from typing import Any

import keras

from lrlearn.meta import estimators
from lrlearn.meta.estimators import NRES, Estimator, Replay
from lrlearn.meta.meta_settings import MetaSettings
from lrlearn.rules import ScheduledRule


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a rule is meta-trained: all but the rule, the tasks and the teacher.

    `MetaTrainer` and the programs take their defaults from the recipe of the rule.

    Attributes:
        estimator: The `Estimator`.
        steps: Number of meta-steps.
        learning_rate: Largest learning rate of the meta-optimizer, Adam.
        warm_up: Meta-steps in which it rises from 0.
        final: Fraction of it at the end, to which it decays as a cosine.
        beta_2: Adam's decay of second moments.
        settings: A dict of `MetaSettings` fields, where they differ from its defaults.

    Example:
        >>> import lrlearn
        >>> rule = lrlearn.rules.ScheduledMLP()
        >>> lrlearn.meta.Recipe.of(rule).estimator.name
        'nres'
    """

    estimator: Estimator
    steps: int
    learning_rate: float
    warm_up: int = 0
    final: float = 0.02
    beta_2: float = 0.999
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, rule):
        """Returns the recipe of a rule."""
        return _SCHEDULED if isinstance(rule, ScheduledRule) else _COORDINATEWISE

    def get_config(self):
        """Returns all fields as JSON types."""
        estimator = {"name": self.estimator.name, **self.estimator.get_config()}
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return json.loads(json.dumps({**fields, "estimator": estimator}))

    def get_estimator(self, identifier=None, **arguments):
        """Returns an `Estimator`.

        Args:
            identifier: An `Estimator`, a name, or `None` for that of the recipe.
            **arguments: Arguments of the named estimator. Default to the recipe's if it
                is that of the recipe, then to its own.
        """
        name = self.estimator.name if identifier is None else identifier
        if name == self.estimator.name:
            arguments = {**self.estimator.get_config(), **arguments}
        return estimators.get(name, **arguments)

    def meta_settings(self, **settings):
        """Returns the `MetaSettings` of this recipe.

        Args:
            **settings: Fields that replace the recipe's. With a `horizon`,
                `validation_steps` follow from it, too.
        """
        own = dict(self.settings)
        if "horizon" in settings:
            own.pop("validation_steps", None)
        return MetaSettings(**{**own, **settings})

    def meta_optimizer(self, steps=None, learning_rate=None):
        """Returns a new meta-optimizer.

        Args:
            steps: Number of meta-steps over which the learning rate decays. Defaults to
                `None`: it is constant.
            learning_rate: Its largest value. Defaults to `None`: the recipe's.
        """
        rate = self.learning_rate if learning_rate is None else learning_rate
        if steps is not None:
            warm_up = min(self.warm_up, steps // 10)
            rate = keras.optimizers.schedules.CosineDecay(
                0.0 if warm_up else rate,
                max(1, steps - warm_up),
                alpha=self.final,
                warmup_target=rate if warm_up else None,
                warmup_steps=warm_up,
            )
        return keras.optimizers.Adam(rate, beta_2=self.beta_2, global_clipnorm=1.0)


_COORDINATEWISE = Recipe(
    Replay(),
    steps=300,
    learning_rate=5e-3,
    settings={
        "optimizees_per_task": 2,
        "initial_scale": (0.5, 2.0),
        "validation_every": 50,
    },
)
_SCHEDULED = Recipe(
    NRES(sigma=0.02, limit=1.0),
    steps=2000,
    learning_rate=3e-3,
    warm_up=50,
    beta_2=0.99,
    settings={
        "unroll": 50,
        "horizon": (50, 2000),
        "optimizees_per_task": 16,
        "tasks_per_step": 1,
        "reparameterization": (3.0, 2.0),
        "loss_offset": 0.3,
        "late_weight": 0.7,
        "ema_decay": 0.99,
        "validation_every": 500,
        "validation_steps": 1000,
        "validation_optimizees": 20,
        "score_split": "train",
    },
)
