"""MetaTrainer: meta-trains an update rule."""

import zlib

import keras
import numpy as np
import tensorflow as tf

from lrlearn.meta import estimators
from lrlearn.meta.callbacks import ProgressBar
from lrlearn.meta.checkpoint import CheckpointDirectory
from lrlearn.meta.history import MetaHistory
from lrlearn.meta.interrupt import deferred_interrupt
from lrlearn.meta.meta_step import MetaStep
from lrlearn.meta.meta_validation import MetaValidation
from lrlearn.meta.meta_weights import MetaWeights
from lrlearn.meta.population import Population
from lrlearn.meta.problem import META_LOSSES, META_SPLITS, Problem


class MetaTrainer:
    r"""Meta-trains an update rule on tasks, with a regularizer as its teacher.

    A meta-step unrolls the rule on every optimizee for `unroll` steps, and moves
    `theta` along the gradient of the meta-loss summed over those steps: the
    regularized training loss or its logarithm. Optimizees run on from meta-step to
    meta-step up to their horizon (truncated backpropagation), then start anew.

    Args:
        rule: An `UpdateRule`.
        tasks: A list of `Task`s; their architectures may differ.
        regularizer: The teacher, a `Regularizer`, or `None`. Defaults to `None`.
        estimator: `"replay"`, `"full_tape"` or an `Estimator`. Defaults to `"replay"`.
        unroll: Optimizee steps in a meta-step. Defaults to `20`.
        horizon: Smallest and largest number of steps of an optimizee's run, drawn
            log-uniformly; or one number. Defaults to `(100, 1000)`.
        initializations: Optimizees of each task that run side by side. Defaults to `1`.
        initial_scale: Smallest and largest factor of the initial weights, drawn
            log-uniformly. Defaults to `(1.0, 1.0)`.
        meta_loss: `"log"` or `"loss"`. Defaults to `"log"`.
        meta_split: Split on whose batches the meta-loss is taken, `"train"` or
            `"validation"`. Defaults to `"train"`.
        meta_optimizer: Any Keras optimizer. Defaults to Adam with a learning rate of
            0.005 and the meta-gradient's norm clipped to 1.
        average: Decay of the moving average of `theta`. Defaults to `0.98`.
        validation_every: Meta-steps between meta-validations, or `None` for none.
            Defaults to `100`.
        validation_initializations: Optimizees of a meta-validation, over all tasks.
            Defaults to `8`.
        validation_steps: Their number of steps. Defaults to the geometric mean of
            `horizon`.
        loss_limit: Training loss above which an optimizee has diverged. Defaults to
            `100.0`.
        theta: Weights to start from. Defaults to `rule.init_theta(seed)`.
        seed: Integer seed of everything random. Defaults to `0`.
        strategy: A `tf.distribute.Strategy`; each replica runs optimizees of its own.
            Defaults to the current one.
        jit_compile: Whether to compile with XLA. Defaults to `False`.

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
        unroll=20,
        horizon=(100, 1000),
        initializations=1,
        initial_scale=(1.0, 1.0),
        meta_loss="log",
        meta_split="train",
        meta_optimizer=None,
        average=0.98,
        validation_every=100,
        validation_initializations=8,
        validation_steps=None,
        loss_limit=100.0,
        theta=None,
        seed=0,
        strategy=None,
        jit_compile=False,
    ):
        horizon = (horizon, horizon) if isinstance(horizon, int) else tuple(horizon)
        config = {
            "unroll": unroll,
            "horizon": horizon,
            "initializations": initializations,
            "initial_scale": initial_scale,
            "meta_loss": meta_loss,
            "meta_split": meta_split,
            "average": average,
            "validation_every": validation_every,
            "validation_initializations": validation_initializations,
            "validation_steps": validation_steps or round(np.sqrt(np.prod(horizon))),
            "loss_limit": loss_limit,
            "seed": seed,
        }
        _check(tasks, config)
        theta = rule.init_theta(seed) if theta is None else theta
        rule.check_theta(theta)
        estimator = estimators.get(estimator)
        meta_optimizer = meta_optimizer or keras.optimizers.Adam(
            5e-3, global_clipnorm=1.0
        )
        strategy = strategy or tf.distribute.get_strategy()
        problems = [Problem(t, regularizer, meta_loss, meta_split) for t in tasks]

        self.rule = rule
        self.history = MetaHistory()
        self.stop_training = False
        self._callbacks = None
        self._score = np.inf
        self._total_skipped = 0
        self._validation_every = validation_every
        self._worker = _worker_index(strategy)
        self._weights = MetaWeights(theta, meta_optimizer, average)
        self._population = Population(
            problems,
            rule,
            initializations=initializations,
            replicas=_replica_ids(strategy),
            horizon=horizon,
            unroll=unroll,
            initial_scale=initial_scale,
            seed=seed,
        )
        self._meta_step = MetaStep(
            problems * initializations,
            rule,
            estimator,
            unroll=unroll,
            loss_limit=loss_limit,
            seed=seed,
            apply=self._weights.apply,
            strategy=strategy,
            jit_compile=jit_compile,
        )
        self._validate = validation_every and MetaValidation(
            problems,
            rule,
            validation_initializations,
            config["validation_steps"],
            seed,
        )
        self.config = config | {
            "rule": keras.saving.serialize_keras_object(rule),
            "theta": _digest(theta.values()),
            "tasks": [_describe(task) for task in tasks],
            "regularizer": keras.saving.serialize_keras_object(regularizer),
            "estimator": {"name": estimator.name, **estimator.get_config()},
            "meta_optimizer": _optimizer_config(meta_optimizer),
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
        stopped.

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
            ValueError: If the directory belongs to another configuration.
            KeyboardInterrupt: On Ctrl-C, after a checkpoint at a whole meta-step.
        """
        store = self._open(checkpoint_dir)
        self._start_callbacks(
            steps, [*callbacks, *([ProgressBar()] if verbose else [])]
        )
        if self.step == 0:
            self._population.start()
        try:
            with deferred_interrupt() as interrupted:
                while (
                    self.step < steps and not self.stop_training and not interrupted()
                ):
                    self._train_step()
                    if store and self.step % checkpoint_every == 0:
                        self._save(store)
                if store:
                    self._save(store)
                if interrupted():
                    raise KeyboardInterrupt
        finally:
            self._callbacks.on_train_end()
        return self.history

    def _train_step(self):
        population, step = self._population, self.step
        self._callbacks.on_train_batch_begin(step)
        logs, optimizees, sound = self._meta_step(
            self._weights.theta,
            [[m.optimizee for m in members] for members in population.replicas],
            step,
        )
        skipped = population.advance(optimizees, sound)
        self._total_skipped += skipped
        row = {"step": float(step + 1), **logs, "skipped": float(skipped)}
        self.history.rows.append(row)
        self._callbacks.on_train_batch_end(
            step, {**row, "total_skipped": self._total_skipped}
        )
        if self._validation_every and self.step % self._validation_every == 0:
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
        self._total_skipped = int(sum(row["skipped"] for row in self.history.rows))
        self._score = state["score"]
        self._weights.restore(arrays)
        self._population.restore(arrays, state["members"])


def _check(tasks, config):
    if not tasks:
        raise ValueError(f"`tasks` must not be empty. Received: {tasks=}")
    for name in ("unroll", "initializations"):
        if config[name] < 1:
            raise ValueError(f"`{name}` must be positive. Received: {config[name]}")
    for name in ("horizon", "initial_scale"):
        low, high = config[name]
        if not 0 < low <= high:
            raise ValueError(
                f"`{name}` must be two positive numbers, the smaller first. "
                f"Received: {config[name]}"
            )
    if not 0 <= config["average"] < 1:
        raise ValueError(f"`average` must be in [0, 1). Received: {config['average']}")
    for name, valid in (("meta_loss", META_LOSSES), ("meta_split", META_SPLITS)):
        if config[name] not in valid:
            raise ValueError(
                f"`{name}` must be one of {valid}. Received: {config[name]!r}"
            )
    needs_validation = config["validation_every"] or config["meta_split"] != "train"
    if needs_validation and any(task.validation is None for task in tasks):
        raise ValueError(
            "`validation_every` and `meta_split='validation'` need validation data in "
            f"every task. Received: tasks={[task.name for task in tasks]}"
        )


def _describe(task):
    splits = {"train": task.train, "validation": task.validation}
    return {
        "name": task.name,
        "num_params": task.num_params,
        "batch_size": task.batch_size,
        "data": {
            name: _digest(arrays)
            for name, arrays in splits.items()
            if arrays is not None
        },
    }


def _digest(arrays):
    digest = 0
    for array in arrays:
        digest = zlib.crc32(np.ascontiguousarray(array).data, digest)
    return digest


def _optimizer_config(optimizer):
    # Keras numbers the names of optimizers made in one process.
    return {
        k: v
        for k, v in keras.optimizers.serialize(optimizer)["config"].items()
        if k != "name"
    } | {"class": type(optimizer).__name__}


def _replica_ids(strategy):
    ids = []

    def note(context):
        ids.append(int(context.replica_id_in_sync_group))
        return tf.zeros(())

    strategy.experimental_distribute_values_from_function(note)
    return ids


def _worker_index(strategy):
    resolver = strategy.cluster_resolver
    return 0 if resolver is None or resolver.task_id is None else resolver.task_id
