"""MetaTrainer: meta-trains an update rule."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from lrlearn.meta import checks, distribution, estimators
from lrlearn.meta.callbacks import ProgressBar
from lrlearn.meta.checkpoint import CheckpointDirectory
from lrlearn.meta.fingerprint import describe_optimizer, describe_task, digest
from lrlearn.meta.history import MetaHistory
from lrlearn.meta.interrupt import deferred_interrupt
from lrlearn.meta.meta_settings import MetaSettings
from lrlearn.meta.meta_step import MetaStep
from lrlearn.meta.meta_validation import MetaValidation
from lrlearn.meta.meta_weights import MetaWeights
from lrlearn.meta.population import Population
from lrlearn.meta.problem import Problem


class MetaTrainer:
    r"""Meta-trains an update rule on tasks, with a regularizer as its teacher.

    A meta-step unrolls the rule on every optimizee for `unroll` steps, and moves
    `theta` along the gradient of the meta-loss summed over those steps: the
    regularized training loss or its logarithm. Optimizees run on from meta-step to
    meta-step up to their horizon (truncation), then start anew. The gradient is
    backpropagated (`Replay`, `FullTape`) or estimated from perturbations of `theta`,
    with the regularizer's penalty in place of its field (`ES`, `PES`).

    Args:
        rule: An `UpdateRule`.
        tasks: A list of `Task`s; their architectures may differ.
        regularizer: The teacher: a `Regularizer`, its name, or `None`. Defaults to
            `None`.
        estimator: `"replay"`, `"full_tape"`, `"es"`, `"pes"` or an `Estimator`.
            Defaults to `"replay"`.
        meta_optimizer: Any new Keras optimizer. Defaults to Adam with a learning rate
            of 0.005 and the meta-gradient's norm clipped to 1.
        theta: Weights to start from. Defaults to `rule.init_theta(seed)`.
        strategy: A `tf.distribute.Strategy`, whose scope must not be entered; each
            replica runs optimizees of its own. Defaults to none.
        jit_compile: Whether to compile with XLA. Defaults to `False`.
        **settings: Fields of `MetaSettings`, such as `unroll`, `horizon`,
            `initializations`, `validation_every` and `seed`.

    Attributes:
        rule: The update rule.
        settings: The `MetaSettings`.
        config: What a checkpoint directory is known by, as JSON types.
        meta_optimizer: The Keras optimizer.
        history: The `MetaHistory`.
        stop_training: Whether to stop after this meta-step; for callbacks.

    Raises:
        ValueError: If an argument is out of its range.

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
        estimator="replay",
        *,
        meta_optimizer=None,
        theta=None,
        strategy=None,
        jit_compile=False,
        **settings,
    ):
        distribution.refuse_scope()
        self.rule = rule
        self.settings = settings = MetaSettings(**settings)
        self.meta_optimizer = meta_optimizer or keras.optimizers.Adam(
            5e-3, global_clipnorm=1.0
        )
        self.history = MetaHistory()
        self.stop_training = False
        self._callbacks = None
        self._score = np.inf
        checks.check_tasks(tasks, settings)
        theta = rule.init_theta(settings.seed) if theta is None else theta
        theta = rule.standardize_theta(theta)
        estimator = estimators.get(estimator)
        regularizer = checks.teacher(regularizer)
        strategy = strategy or tf.distribute.get_strategy()
        problems = [
            Problem(task, regularizer, settings.meta_loss, settings.meta_split)
            for task in tasks
        ]
        self._worker = distribution.worker_index(strategy)
        self._weights = MetaWeights(theta, self.meta_optimizer, settings.average)
        self._population = Population(
            problems, rule, estimator, settings, distribution.local_replicas(strategy)
        )
        self._meta_step = MetaStep(
            problems * settings.initializations,
            rule,
            estimator,
            settings,
            apply=self._weights.apply,
            strategy=strategy,
            jit_compile=jit_compile,
        )
        self._validate = settings.validation_every and MetaValidation(
            problems, rule, settings
        )
        self.config = {
            **dataclasses.asdict(settings),
            "rule": keras.saving.serialize_keras_object(rule),
            "theta": digest(theta[name] for name in sorted(theta)),
            "tasks": [describe_task(task) for task in tasks],
            "regularizer": keras.saving.serialize_keras_object(regularizer),
            "estimator": {"name": estimator.name, **estimator.get_config()},
            "meta_optimizer": describe_optimizer(self.meta_optimizer),
            "replicas": strategy.num_replicas_in_sync,
        }

    @property
    def theta(self):
        """The meta-trained weights, a dict of NumPy arrays.

        The moving average that did best in meta-validation; the present one where
        there was no meta-validation.
        """
        return self._weights.best

    @property
    def step(self):
        """Number of meta-steps done."""
        return len(self.history.rows)

    def fit(
        self, steps, checkpoint_dir=None, checkpoint_every=100, callbacks=(), verbose=1
    ):
        """Meta-trains up to meta-step `steps`.

        Called again, it goes on from the step reached; with a directory that holds a
        checkpoint of the same configuration, from there, exactly as if it had never
        stopped; to the bit where TensorFlow's `arithmetic_optimization` is off or
        operations run one at a time, as sums take any order otherwise.

        Args:
            steps: Number of the last meta-step, counted from the first `fit`.
            checkpoint_dir: Directory for checkpoints and `history.csv`, or `None`.
                Defaults to `None`.
            checkpoint_every: Meta-steps between checkpoints. Defaults to `100`.
            callbacks: A list of `keras.callbacks.Callback`s. A meta-step is a batch to
                them and a meta-validation is a test. Defaults to none.
            verbose: `1` for a progress bar, `0` for none. Defaults to `1`.

        Returns:
            The `MetaHistory`, from the first meta-step on.

        Raises:
            ValueError: If the directory belongs to another configuration, or none of
                its checkpoints can be read.
            KeyboardInterrupt: On Ctrl-C, after a checkpoint at a whole meta-step.
        """
        distribution.refuse_scope()
        if checkpoint_every < 1:
            raise ValueError(
                f"`checkpoint_every` must be at least 1. Received: {checkpoint_every=}"
            )
        store = self._open(checkpoint_dir)
        self._start_callbacks(
            steps, [*callbacks, *([ProgressBar()] if verbose else [])]
        )
        try:
            with deferred_interrupt() as interrupted:
                self._train(steps, store, checkpoint_every, interrupted)
                if interrupted():
                    raise KeyboardInterrupt
        finally:
            self._callbacks.on_train_end()
        return self.history

    def _train(self, steps, store, checkpoint_every, interrupted):
        if self.step == 0:
            self._population.start()
        while self.step < steps and not self.stop_training and not interrupted():
            self._train_step()
            if store and self.step % checkpoint_every == 0:
                self._save(store)
        if store:
            self._save(store)

    def _train_step(self):
        population, step = self._population, self.step
        self._callbacks.on_train_batch_begin(step)
        logs, optimizees, sound = self._meta_step(
            self._weights.theta,
            [[m.optimizee for m in members] for members in population.replicas],
            step,
        )
        skipped = population.advance(optimizees, sound)
        row = {"step": float(step + 1), **logs, "skipped": float(skipped)}
        self.history.rows.append(row)
        self._callbacks.on_train_batch_end(
            step, {**row, "total_skipped": self.history.total_skipped}
        )
        if self._validate and self.step % self.settings.validation_every == 0:
            self._meta_validate(row)

    def _meta_validate(self, row):
        self._callbacks.on_test_begin()
        row["score"] = score = self._validate(self._weights.average)
        if score < self._score:
            self._score = score
            self._weights.keep_average()
        self._callbacks.on_test_end({"step": row["step"], "score": score})

    def _start_callbacks(self, steps, callbacks):
        self.stop_training = False
        self._callbacks = keras.callbacks.CallbackList(callbacks, model=self)
        self._callbacks.set_params({"steps": steps, "initial": self.step})
        self._callbacks.on_train_begin()

    def _open(self, checkpoint_dir):
        if checkpoint_dir is None:
            return None
        store = CheckpointDirectory(checkpoint_dir, self.config, worker=self._worker)
        found = store.load()
        if found and found[1]["step"] > self.step:
            self._restore(*found)
        return store

    def _save(self, store):
        population_arrays, members = self._population.state()
        arrays = {
            "history": self.history.to_array(),
            **self._weights.arrays(),
            **population_arrays,
        }
        store.save(self.step, arrays, {"members": members, "score": self._score})
        store.write_text("history.csv", self.history.frame().to_csv(index=False))

    def _restore(self, arrays, state):
        self.history = MetaHistory.from_array(arrays["history"])
        self._score = state["score"]
        self._weights.restore(arrays)
        self._population.restore(arrays, state["members"])
