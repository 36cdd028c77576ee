"""Checks of a meta-trainer's arguments."""

from lrlearn import regularizers


def check_tasks(tasks, settings):
    """Raises a `ValueError` unless there are tasks, with the data that are needed."""
    if not tasks:
        raise ValueError(f"`tasks` must not be empty. Received: {tasks=}")
    needs_validation = settings.validation_every or settings.meta_split != "train"
    if needs_validation and any(task.validation is None for task in tasks):
        raise ValueError(
            "`validation_every` and `meta_split='validation'` need validation data in "
            f"every task. Received: tasks={[task.name for task in tasks]}"
        )


def teacher(regularizer):
    """Returns the regularizer of an identifier, and refuses schedules."""
    regularizer = regularizers.get(regularizer)
    if regularizer is not None and regularizer.at(1.0) is not regularizer:
        raise ValueError(
            "`regularizer` must not follow a schedule: a learned optimizer has no "
            f"learning rate to follow. Received: {regularizer.get_config()}"
        )
    return regularizer
