"""What is meta-trained, on what and how."""

import dataclasses

import keras

from lrlearn import regularizers
from lrlearn.meta import estimators
from lrlearn.meta.estimators import Estimator
from lrlearn.meta.fingerprint import describe_task
from lrlearn.meta.meta_objective import MetaObjective
from lrlearn.meta.meta_settings import MetaSettings
from lrlearn.regularizers import Regularizer
from lrlearn.rules import UpdateRule
from lrlearn.tasks import Task


@dataclasses.dataclass(frozen=True)
class MetaProblem:
    """A rule, its objective on each task, and how the meta-gradient is estimated.

    Attributes:
        rule: An `UpdateRule`.
        objectives: A list of `MetaObjective`s, one a task.
        estimator: An `Estimator`.
        settings: The `MetaSettings`.
    """

    rule: UpdateRule
    objectives: list[MetaObjective]
    estimator: Estimator
    settings: MetaSettings

    @classmethod
    def of(cls, rule, tasks, regularizer, estimator, settings):
        """Returns the problem of a `MetaTrainer`'s arguments.

        Raises:
            ValueError: If one of them is none of its kind, or they do not go together.
        """
        if not isinstance(rule, UpdateRule):
            raise ValueError(
                f"`rule` must be an lrlearn.rules.UpdateRule. Received: {rule=}"
            )
        estimator = estimators.get(estimator)
        regularizer = regularizers.get(regularizer)
        _check_tasks(tasks, settings)
        _check_teacher(regularizer, estimator)
        objectives = [
            MetaObjective(task, regularizer, settings.meta_loss, settings.meta_split)
            for task in tasks
        ]
        return cls(rule, objectives, estimator, settings)

    def start(self, task, seed, scale=1.0):
        """Returns what the estimator keeps of a new optimizee.

        Args:
            task: Index of the optimizee's task.
            seed: Integer seed of the initial weights.
            scale: Factor of the initial weights. Defaults to `1`.
        """
        objective = self.objectives[task]
        return self.estimator.start(objective, self.rule, seed, scale)

    def estimate(self, task, theta, optimizee, seed):
        """Returns the `Estimate` of one unroll; runs inside a `tf.function`.

        Args:
            task: Index of the optimizee's task.
            theta: The rule's weights, a dict of tensors.
            optimizee: What `start` or the last estimate returned.
            seed: Integer tensor `[2]` that determines all randomness.
        """
        objective, steps = self.objectives[task], self.settings.unroll
        return self.estimator.estimate(
            objective, self.rule, theta, optimizee, seed, steps
        )

    def get_config(self):
        """Returns all of it as JSON types; of data, loss and model what tells them."""
        regularizer = self.objectives[0].regularizer
        return {
            **dataclasses.asdict(self.settings),
            "rule": keras.saving.serialize_keras_object(self.rule),
            "tasks": [describe_task(objective.task) for objective in self.objectives],
            "regularizer": keras.saving.serialize_keras_object(regularizer),
            "estimator": {"name": self.estimator.name, **self.estimator.get_config()},
        }


def _check_tasks(tasks, settings):
    is_list = isinstance(tasks, list | tuple) and len(tasks) > 0
    if not is_list or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(
            "`tasks` must be a list of one or more lrlearn.tasks.Task. "
            f"Received: {tasks=}"
        )
    needs_validation = settings.validation_every or settings.meta_split != "train"
    if needs_validation and any(task.validation is None for task in tasks):
        raise ValueError(
            "`validation_every` and `meta_split='validation'` need validation data in "
            f"every task. Received: tasks={[task.name for task in tasks]}"
        )


def _check_teacher(regularizer, estimator):
    if regularizer is None:
        return
    if regularizer.at(1.0) is not regularizer:
        raise ValueError(
            "`regularizer` must not follow a schedule: a learned optimizer has no "
            f"learning rate to follow. Received: {regularizer.get_config()}"
        )
    needed = estimator.needs
    if getattr(type(regularizer), needed) is getattr(Regularizer, needed):
        raise ValueError(
            f"`regularizer` must have a method `{needed}` for the estimator "
            f"{estimator.name!r}. Received: {type(regularizer).__name__} without one"
        )
