"""MetaTrainer: meta-trains an update rule."""

import contextlib
import dataclasses
import difflib
import functools
import inspect
import operator

import keras
import numpy as np
import tensorflow as tf

from lrlearn.checks import check_count
from lrlearn.meta.callbacks import ProgressBar
from lrlearn.meta.checkpoint import CheckpointDirectory
from lrlearn.meta.fingerprint import describe, digest
from lrlearn.meta.history import MetaHistory
from lrlearn.meta.interrupt import deferred_interrupt
from lrlearn.meta.meta_problem import MetaProblem
from lrlearn.meta.meta_settings import MetaSettings
from lrlearn.meta.meta_step import MetaStep
from lrlearn.meta.meta_validation import MetaValidation
from lrlearn.meta.meta_weights import MetaWeights
from lrlearn.meta.optimizee_pool import OptimizeePool
from lrlearn.meta.ordered_sums import ordered_sums
from lrlearn.meta.recipe import Recipe
from lrlearn.meta.teaching import Teaching
from lrlearn.meta.workers import Workers
from lrlearn.optimizers import preset_card, presets


class MetaTrainer:
    r"""Meta-trains an update rule on tasks, with a regularizer as its teacher.

    A meta-step unrolls the rule on every optimizee for `unroll` steps, and moves
    `theta` along the gradient of the meta-loss summed over those steps: the
    regularized training loss or its logarithm. Optimizees run on from meta-step to
    meta-step up to their horizon (truncation), then start anew. The gradient is
    backpropagated (`Replay`, `FullTape`) or estimated from perturbations of `theta`,
    with the regularizer's penalty in place of its field (`ES`, `PES`, `NRES`).

    Args:
        rule: An `UpdateRule`.
        tasks: A list of `Task`s; their architectures may differ.
        regularizer: The teacher: as `lrlearn.regularizers.get` takes it, and schedules
            of Keras in it follow the meta-step; or one that adapts, a `GapFeedback` or
            a `LearnedMixture`. Defaults to `None`.
        estimator: `"replay"`, `"full_tape"`, `"es"`, `"pes"`, `"nres"` or an
            `Estimator`. Defaults to `None`: that of the rule's `Recipe`.
        meta_optimizer: Any new Keras optimizer, or its name. Defaults to `None`: that
            of the `Recipe`, Adam at a constant rate and with the meta-gradient's norm
            clipped to 1.
        theta: Weights to start from. Defaults to `rule.init_theta(seed)`.
        strategy: A `tf.distribute.Strategy`, whose scope must not be entered; each
            replica runs optimizees of its own. Defaults to none.
        jit_compile: Whether to compile with XLA. Defaults to `None`: if it pays, as it
            does for small rules and dense networks.
        **settings: Fields of `MetaSettings`, such as `unroll`, `horizon`,
            `optimizees_per_task`, `validation_every` and `seed`. Default to those of
            the `Recipe`, then to those of `MetaSettings`.

    Attributes:
        rule: The update rule.
        settings: The `MetaSettings`.
        config: What determines the run, as JSON types: a checksum of `theta`, the
            number of replicas, and all other arguments but `jit_compile`. A checkpoint
            directory is of one `config`; a preset's model card is written from it.
        meta_optimizer: The Keras optimizer.
        history: The `MetaHistory`.
        stop_training: Whether to stop after this meta-step; for callbacks.

    Raises:
        ValueError: If an argument is out of its range.
        TypeError: If there is no argument or setting of that name.

    Reference:
        [Krishnan & Sahoo, 2025](https://arxiv.org/abs/2510.08968).

    Example:
        >>> import lrlearn
        >>> rule = lrlearn.rules.CoordinatewiseLSTM(units=(4,))
        >>> task = lrlearn.tasks.load("digits/mlp")
        >>> trainer = lrlearn.MetaTrainer(
        ...     rule, [task], lrlearn.regularizers.SAM(rho=0.05), validation_every=None)
        >>> history = trainer.fit(steps=2, verbose=0)
        >>> len(history.rows)
        2
        >>> optimizer = lrlearn.LearnedOptimizer(rule, theta=trainer.theta)
    """

    def __init__(
        self,
        rule,
        tasks,
        regularizer=None,
        estimator=None,
        *,
        meta_optimizer=None,
        theta=None,
        strategy=None,
        jit_compile=None,
        **settings,
    ):
        _refuse_scope()
        _check_names(settings)
        recipe = Recipe.of(rule)
        self.settings = recipe.meta_settings(**settings)
        problem = MetaProblem.of(rule, tasks, regularizer, estimator, self.settings)
        theta = rule.init_theta(self.settings.seed) if theta is None else theta
        theta = rule.standardize_theta(theta)
        strategy = strategy or tf.distribute.get_strategy()
        self.rule = rule
        self.meta_optimizer = keras.optimizers.get(
            meta_optimizer or recipe.meta_optimizer()
        )
        self.history = MetaHistory(teacher_names=problem.teacher.names)
        self.stop_training = False
        self._weights = MetaWeights(theta, self.meta_optimizer, self.settings.ema_decay)
        self._workers = Workers(strategy)
        self._pool = OptimizeePool(problem, self._workers.replicas)
        self._meta_step = MetaStep(
            problem,
            apply=self._weights.apply,
            strategy=strategy,
            jit_compile=jit_compile,
        )
        self._teaching = Teaching(problem, self._meta_step, self._pool, self._workers)
        self._validate = self.settings.validation_every and MetaValidation(
            problem, bool(jit_compile)
        )
        self.config = {
            **problem.get_config(),
            "theta": digest(theta.values()),
            "meta_optimizer": describe(self.meta_optimizer),
            "replicas": strategy.num_replicas_in_sync,
        }

    @property
    def theta(self):
        """The meta-trained weights, a dict of NumPy arrays.

        The moving average that did best in meta-validation; without meta-validation,
        the present one. `history.untrained_score` tells if it is worth anything.
        """
        return self._weights.best

    @property
    def step(self):
        """Number of meta-steps done."""
        return len(self.history.rows)

    @property
    def worker(self):
        """Index of this process among those of the strategy; 0 if there is one."""
        return self._workers.index

    def fit(
        self,
        steps,
        checkpoint_dir=None,
        checkpoint_every=100,
        callbacks=(),
        patience=100,
        verbose=1,
    ):
        """Meta-trains up to meta-step `steps`.

        Called again, it goes on from the step reached, or from the checkpoint in the
        directory if that is further, as if it had never stopped: to the bit, on the
        same model of CPU, with the same versions and number of threads.

        Args:
            steps: Number of the last meta-step, counted from the first `fit`.
            checkpoint_dir: Directory for checkpoints and `history.csv`, or `None`.
                Defaults to `None`.
            checkpoint_every: Meta-steps between checkpoints. Defaults to `100`.
            callbacks: A `keras.callbacks.Callback`, or a list of them. A meta-step is a
                batch to them and a meta-validation is a test. Defaults to none.
            patience: Meta-steps in a row after which it stops if no optimizee was valid
                in them, so that `theta` stays as it is. Defaults to `100`.
            verbose: `1` for a progress bar, `0` for none. Defaults to `1`.

        Returns:
            The `MetaHistory`, from the first meta-step on.

        Raises:
            ValueError: If the directory belongs to another configuration or is in use
                by another process, or none of its checkpoints can be read.
            FloatingPointError: If `patience` is exceeded, after a checkpoint.
            ConnectionError: If another worker of the strategy is lost.
            KeyboardInterrupt: On Ctrl-C or SIGTERM, after a checkpoint at a whole
                meta-step.
        """
        _refuse_scope()
        check_count("steps", steps, minimum=0)
        check_count("checkpoint_every", checkpoint_every)
        check_count("patience", patience)
        opened = self._open(checkpoint_dir)
        with ordered_sums(), deferred_interrupt() as interrupted, opened as directory:
            self._restore(directory)
            bar = [ProgressBar()] if verbose else []
            callbacks = keras.tree.flatten([callbacks, bar])
            callbacks = keras.callbacks.CallbackList(callbacks, model=self)
            callbacks.set_params({"steps": steps, "initial": self.step})
            self.stop_training = False
            callbacks.on_train_begin()
            try:
                self._train(
                    steps, callbacks, directory, checkpoint_every, patience, interrupted
                )
            finally:
                callbacks.on_train_end()
        return self.history

    def score(self, theta=None):
        """Returns the score of weights in meta-validation; lower is better.

        Args:
            theta: The rule's weights, a dict of arrays. Defaults to `None`: `theta`.

        Raises:
            ValueError: If the settings have no meta-validation.
        """
        if not self._validate:
            raise ValueError(
                "`validation_every` must be given for a score. Received: "
                "validation_every=None"
            )
        theta = self.rule.standardize_theta(self.theta if theta is None else theta)
        return self._validate({n: tf.convert_to_tensor(v) for n, v in theta.items()})

    def save_to_preset(self, directory, **metadata):
        """Writes the rule, `theta` and a model card with the recipe as a preset.

        `LearnedOptimizer.from_preset(directory)` then makes the optimizer.

        Args:
            directory: Path of the preset; one that is already there is replaced.
            **metadata: What else is on the card, such as `description` and `licence`;
                see `lrlearn.optimizers.presets.save_preset`.
        """
        score = self.history.best and self.history.best["score"]
        untrained = self.history.untrained_score
        facts = {
            "meta_steps": self.step,
            "meta_validation_score": score,
            "untrained_score": untrained if np.isfinite(untrained) else None,
        }
        metadata = {**preset_card.recipe(self.config), **facts, **metadata}
        presets.save_preset(directory, self.rule, self.theta, metadata)

    def _train(
        self, steps, callbacks, directory, checkpoint_every, patience, interrupted
    ):
        def goes_on():
            stopped = self.stop_training or interrupted()
            return (
                self.step < steps and not stopped and len(self.history.lost) < patience
            )

        if self.step == 0:
            self._start()
        while goes_on():
            self._train_step(callbacks)
            if directory and self.step % checkpoint_every == 0:
                self._save(directory)
        if directory:
            self._save(directory)
        if interrupted():
            raise interrupted()
        if len(self.history.lost) >= patience:
            cause = self.history.describe_lost(self.settings.loss_limit)
            raise FloatingPointError(f"Meta-training stopped: {cause}")

    def _start(self):
        """Starts the optimizees, and notes the score of the weights as they are."""
        self._pool.start()
        if self._validate:
            self.history.untrained_score = self._validate(self._weights.average)

    def _train_step(self, callbacks):
        step = self.step
        callbacks.on_train_batch_begin(step)
        turn = self._pool.turn(step)
        with self._workers.lost_are_named():
            self._teaching.advance(self._weights.theta, step)
            logs, optimizees, valid = self._meta_step(
                self._weights.theta,
                self._teaching.values,
                [[slot.optimizee for slot in slots] for slots in turn],
                [slot.task for slot in turn[0]],
                step,
            )
        skipped = self._pool.advance(step, optimizees, valid)
        row = {"step": float(step + 1), **logs, "skipped": float(skipped)}
        row |= self._teaching.logs
        self.history.rows.append(row)
        callbacks.on_train_batch_end(
            step, {**row, "total_skipped": self.history.total_skipped}
        )
        if self._validate and self.step % self.settings.validation_every == 0:
            self._meta_validate(row, callbacks)

    def _meta_validate(self, row, callbacks):
        callbacks.on_test_begin()
        row["score"] = self._validate(self._weights.average)
        best = self.history.best
        if best is row:
            self._weights.keep_average()
        logs = {"step": row["step"], "score": row["score"]}
        logs |= {"best_step": best["step"], "best_score": best["score"]}
        callbacks.on_test_end(logs)

    def _open(self, checkpoint_dir):
        if checkpoint_dir is None:
            return contextlib.nullcontext()
        return CheckpointDirectory(checkpoint_dir, self.config, self.worker)

    def _restore(self, directory):
        """Goes on from the newest checkpoint of all workers, if that is further."""
        arrays = self._workers.newest_of_all(directory, self.step)
        if arrays:
            for part in self._parts():
                part.restore(arrays)

    def _parts(self):
        """Returns all that changes, and that a checkpoint holds."""
        return self.history, self._weights, self._pool, self._teaching

    def _save(self, directory):
        arrays = [part.arrays() for part in self._parts()]
        directory.save(self.step, functools.reduce(operator.or_, arrays))
        directory.write_text("history.csv", self.history.frame().to_csv(index=False))


def _refuse_scope():
    """Raises a `ValueError` within a strategy's scope: updates would fail there."""
    if tf.distribute.has_strategy():
        raise ValueError(
            "MetaTrainer must be used outside `strategy.scope()`; give it `strategy` "
            f"instead. Received: the scope of {tf.distribute.get_strategy()}"
        )


def _check_names(settings):
    """Raises a `TypeError` if a setting is misspelt."""
    fields = [field.name for field in dataclasses.fields(MetaSettings)]
    names = [*fields, *inspect.signature(MetaTrainer).parameters]
    for name in settings.keys() - set(fields):
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else "."
        raise TypeError(
            f"`{name}` must be an argument of MetaTrainer or a field of MetaSettings"
            f"{hint} Received: {name}={settings[name]!r}"
        )
