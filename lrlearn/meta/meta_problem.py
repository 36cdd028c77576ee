"""The problem that a meta-training run solves."""

import dataclasses
import functools

import keras

from lrlearn import regularizers
from lrlearn.meta import teachers
from lrlearn.meta.estimators import Estimator
from lrlearn.meta.fingerprint import describe_task
from lrlearn.meta.meta_objective import MetaObjective
from lrlearn.meta.meta_settings import MetaSettings
from lrlearn.meta.recipe import Recipe
from lrlearn.meta.teachers import Teacher
from lrlearn.regularizers import Mixture, Regularizer
from lrlearn.rules import UpdateRule
from lrlearn.tasks import Task


@dataclasses.dataclass(frozen=True)
class MetaProblem:
    """A rule's objectives, and how they are minimized.

    Attributes:
        rule: The `UpdateRule`.
        objectives: A list of `MetaObjective`s, one a task.
        regularizer: The teacher, a `Teacher`, a `Regularizer`, or `None`.
        estimator: An `Estimator`.
        settings: The `MetaSettings`.
    """

    rule: UpdateRule
    objectives: list[MetaObjective]
    regularizer: Teacher | Regularizer | None
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
        estimator = Recipe.of(rule).get_estimator(estimator)
        if not isinstance(regularizer, Teacher):
            regularizer = regularizers.get(regularizer)
        teacher = teachers.get(regularizer)
        _check_tasks(tasks, settings, teacher)
        _check_teacher(teacher, estimator)
        _check_dial(rule, teacher, settings)
        estimator.check_rule(rule)
        objectives = [
            MetaObjective(rule, task, regularizer, settings) for task in tasks
        ]
        return cls(rule, objectives, regularizer, estimator, settings)

    @functools.cached_property
    def teacher(self):
        """The `Teacher`."""
        return teachers.get(self.regularizer)

    def get_config(self):
        """Returns all of it as JSON types, with descriptions of the tasks."""
        return {
            **dataclasses.asdict(self.settings),
            "rule": keras.saving.serialize_keras_object(self.rule),
            "tasks": [describe_task(objective.task) for objective in self.objectives],
            "regularizer": keras.saving.serialize_keras_object(self.regularizer),
            "estimator": {"name": self.estimator.name, **self.estimator.get_config()},
        }


def _check_tasks(tasks, settings, teacher):
    is_list = isinstance(tasks, list | tuple) and len(tasks) > 0
    if not is_list or not all(isinstance(task, Task) for task in tasks):
        raise ValueError(
            "`tasks` must be a list of one or more lrlearn.tasks.Task. "
            f"Received: {tasks=}"
        )
    splits = {settings.meta_split}
    splits |= {settings.score_split} if settings.validation_every else set()
    splits |= set() if teacher.measures == "step" else {"validation"}
    if "validation" in splits and any(task.validation is None for task in tasks):
        raise ValueError(
            "`score_split='validation'`, unless `validation_every` is None, "
            "`meta_split='validation'`, GapFeedback and LearnedMixture need validation "
            "data in every task. Received: "
            f"tasks={[task.name for task in tasks]}"
        )


def _check_teacher(teacher, estimator):
    purpose = f"the estimator {estimator.name!r}"
    _check_method(estimator.needs, _members(teacher), purpose)


def _check_method(name, members, purpose):
    for regularizer in members:
        if getattr(type(regularizer), name) is getattr(Regularizer, name):
            raise ValueError(
                f"`regularizer` must have a method `{name}` for {purpose}. Received: "
                f"{type(regularizer).__name__} without one"
            )


def _members(teacher):
    """Returns the regularizers of a teacher as it starts; of mixtures, theirs."""
    regularizers = [teacher.regularizer(teacher.start())]
    while any(isinstance(each, Mixture) for each in regularizers):
        regularizers = [
            member
            for each in regularizers
            for member in (each.members if isinstance(each, Mixture) else [each])
        ]
    return [each for each in regularizers if each is not None]


def _check_dial(rule, teacher, settings):
    if settings.dial is None:
        if "rho" in rule.run_inputs:
            raise ValueError(
                "`dial` must be given for a rule with a dial, which would only see 0. "
                f"Received: dial=None, {rule=}"
            )
        return
    if "rho" not in rule.run_inputs:
        raise ValueError(
            "`dial` needs a rule with a dial, such as ScheduledMLP(default_rho=0.05). "
            f"Received: {rule=}"
        )
    members = _members(teacher)
    if not members or any(type(each).scaled is Regularizer.scaled for each in members):
        raise ValueError(
            "`dial` needs a regularizer that has a method `scaled`. Received: "
            f"regularizer={teacher.regularizer(teacher.start())}"
        )
    if settings.validation_every:
        _check_method("penalty", members, "the score of a rule with a dial")
