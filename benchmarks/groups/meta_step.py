"""One meta-step: a rule trains the MLP of 784-20-10 units on batches of 128."""

import functools

import lrlearn
from benchmarks import networks, rows, subjects, timing
from lrlearn.meta import Replay


def measure(repeats, **case):
    """Returns one row.

    Args:
        repeats: Number of meta-steps measured.
        **case: Arguments of `trainer`.
    """
    step = functools.partial(take_step, trainer(**case))
    return [rows.timed([timing.seconds(step) for _ in range(repeats)])]


def trainer(
    rule,
    estimator,
    coordinates=None,
    regularizer="none",
    unroll=20,
    optimizees_per_task=1,
    jit_compile=False,
):
    """Returns a `MetaTrainer` that has taken its first, slow steps.

    Args:
        rule: Name of the rule.
        estimator: Name of the estimator.
        coordinates: Coordinates that are replayed, or `None` (the default) for all.
        regularizer: Name of the teacher. Defaults to `"none"`.
        unroll: Optimizee steps in a meta-step. Defaults to `20`.
        optimizees_per_task: Optimizees side by side. Defaults to `1`.
        jit_compile: Whether to compile with XLA. Defaults to `False`.
    """
    trainer = lrlearn.MetaTrainer(
        subjects.rule(rule),
        [_task()],
        subjects.regularizer(regularizer),
        estimator if coordinates is None else Replay(coordinates),
        unroll=unroll,
        optimizees_per_task=optimizees_per_task,
        jit_compile=jit_compile,
        horizon=10**6,
        validation_every=None,
    )
    trainer.fit(2, verbose=0)
    return trainer


def take_step(trainer):
    """Takes one more meta-step."""
    trainer.fit(trainer.step + 1, verbose=0)


def _task():
    model_fn = functools.partial(networks.build, "mlp_20")
    train = networks.images(model_fn().input_shape[1:], 1000)
    return lrlearn.tasks.Task(model_fn, networks.loss(), train, batch_size=128)
