"""The whole idea, end to end: meta-train rules, use them, measure their flatness."""

import dataclasses

import keras
import pandas as pd
import tensorflow as tf
from tqdm.auto import tqdm

import lrlearn
from lrlearn.evaluation import SharpnessEvaluator, Training, tune_learning_rate

_TUNING_SEED = 1000  # apart from the seeds of the comparison
RADII = (0.001, 0.005, 0.05, 0.1)
# Learning rates are chosen on validation data, for each network; learned optimizers
# are never tuned.
BASELINES = {
    "SGD-M": (lambda: keras.optimizers.SGD(momentum=0.9), (0.01, 0.03, 0.1, 0.3)),
    "RMSprop": (keras.optimizers.RMSprop, (0.001, 0.003, 0.01, 0.03)),
    "Adam": (keras.optimizers.Adam, (0.001, 0.003, 0.01, 0.03)),
}


@dataclasses.dataclass(frozen=True)
class MainJob:
    """Settings of the main job.

    Attributes:
        dataset: Data set of every task.
        train_size: Training examples; few, so that there is a generalization gap.
        label_noise: Fraction of wrong training labels, for the same reason.
        batch_size: Batch size.
        networks: Networks of the comparison.
        meta_networks: Networks that the rules are meta-trained on; others are unseen.
        meta_steps: Meta-steps of each rule.
        horizon: Least and most optimizee steps in meta-training.
        rho: Radius of the teachers SAM and GSAM.
        gam_rho: Both radii of the teacher GAM, in its released form.
        steps: Steps of each optimizee in the comparison.
        record_every: Steps between records of its losses.
        seeds: Number of seeds of each optimizee.
        tuning_seeds: Number of seeds of each trial of a learning rate.
        sharpness_examples: Training examples that flatness is measured on.
        seed: Seed of everything random.
    """

    dataset: str = "digits"
    train_size: int = 500
    label_noise: float = 0.2
    batch_size: int = 64
    networks: tuple = ("mlp", "mlp_relu", "cnn")
    meta_networks: tuple = ("mlp", "mlp_relu")
    meta_steps: int = 200
    horizon: tuple = (100, 500)
    rho: float = 0.3
    gam_rho: float = 0.1
    steps: int = 500
    record_every: int = 50
    seeds: int = 5
    tuning_seeds: int = 2
    sharpness_examples: int = 128
    seed: int = 0

    def load(self, network):
        """Returns the task of a network."""
        return lrlearn.tasks.load(
            f"{self.dataset}/{network}",
            train_size=self.train_size,
            label_noise=self.label_noise,
            batch_size=self.batch_size,
            seed=self.seed,
        )

    def teachers(self):
        """Returns the regularizers by the name of the rule that they teach."""
        return {
            "LO": None,
            "LO-SAM": lrlearn.regularizers.SAM(self.rho),
            "LO-GSAM": lrlearn.regularizers.GSAM(self.rho),
            "LO-GAM": lrlearn.regularizers.GAM(
                self.gam_rho, self.gam_rho, variant="released"
            ),
        }


@dataclasses.dataclass(frozen=True)
class Results:
    """What the main job found.

    Attributes:
        meta: One row for each meta-step: `rule` and the columns of `MetaHistory`.
        trials: One row for each trial of a learning rate.
        trajectories: One row for each record of a run: `network`, `optimizer`,
            `learning_rate`, `seed`, `step`, and loss and accuracy on each split.
        sharpness: One row for each run and radius: the columns of
            `evaluation.sharpness`.
    """

    meta: pd.DataFrame
    trials: pd.DataFrame
    trajectories: pd.DataFrame
    sharpness: pd.DataFrame


def run(job, verbose=1):
    """Returns the `Results` of a `MainJob`.

    Args:
        job: A `MainJob`.
        verbose: `1` for progress bars, `0` for none. Defaults to `1`.
    """
    rule = lrlearn.rules.CoordinatewiseLSTM(
        units=(10, 10), features="normalized", output="adam"
    )
    trainers = {}
    for name, teacher in job.teachers().items():
        trainers[name] = _meta_train(job, rule, name, teacher, verbose)
    comparison = _Comparison(job, verbose)
    for network in job.networks:
        comparison.add_network(
            network, {name: (rule, t.theta) for name, t in trainers.items()}
        )
    meta = [t.history.frame().assign(rule=name) for name, t in trainers.items()]
    return comparison.results(pd.concat(meta, ignore_index=True))


def _meta_train(job, rule, name, teacher, verbose):
    schedule = keras.optimizers.schedules.CosineDecay(5e-3, job.meta_steps, alpha=0.02)
    trainer = lrlearn.MetaTrainer(
        rule,
        [job.load(network) for network in job.meta_networks],
        teacher,
        estimator=lrlearn.meta.Replay(coordinates=500),
        horizon=job.horizon,
        optimizees_per_task=2,
        initial_scale=(0.5, 2.0),
        meta_optimizer=keras.optimizers.Adam(schedule, global_clipnorm=1.0),
        validation_every=max(1, job.meta_steps // 4),
        seed=job.seed,
    )
    progress = [lrlearn.meta.ProgressBar(f"Meta-training {name:7}")] if verbose else []
    trainer.fit(job.meta_steps, callbacks=progress, verbose=0)
    return trainer


class _Comparison:
    """Trains networks with every optimizer and collects the rows."""

    def __init__(self, job, verbose):
        self._job = job
        self._trials, self._trajectories, self._sharpness = [], [], []
        trials = sum(len(rates) for _, rates in BASELINES.values()) * job.tuning_seeds
        runs = (len(BASELINES) + len(job.teachers())) * job.seeds
        self._bar = tqdm(
            desc="Training networks   ",
            total=len(job.networks) * (trials + runs),
            unit="run",
            disable=not verbose,
        )

    def add_network(self, network, learned):
        task = self._job.load(network)
        x, y = (a[: self._job.sharpness_examples] for a in task.train)
        sharpness = SharpnessEvaluator(
            lambda params, state: task.evaluate_loss(params, state, x, y)[0]
        )
        for name in [*BASELINES, *learned]:
            if name in BASELINES:
                make, rates = BASELINES[name]
                training = Training(task, make())
                rate = self._tune(network, name, training, rates)
            else:
                training = Training(task, lrlearn.LearnedOptimizer(*learned[name]))
                rate = None
            for seed in range(self._job.seeds):
                keys = {"network": network, "optimizer": name, "seed": seed}
                self._add_run(keys, training, rate, sharpness)

    def results(self, meta):
        self._bar.close()
        rows = (self._trials, self._trajectories, self._sharpness)
        return Results(meta, *(pd.concat(r, ignore_index=True) for r in rows))

    def _tune(self, network, name, training, rates):
        seeds = range(_TUNING_SEED, _TUNING_SEED + self._job.tuning_seeds)
        rate, trials = tune_learning_rate(training, rates, self._job.steps, seeds)
        self._trials.append(trials.assign(network=network, optimizer=name))
        self._bar.update(len(trials))
        return rate

    def _add_run(self, keys, training, rate, sharpness):
        trajectory = training.run(
            self._job.steps, [keys["seed"]], rate, self._job.record_every
        )
        self._trajectories.append(trajectory.assign(learning_rate=rate, **keys))
        params, state = training.task.variables(training.model)
        measured = sharpness(
            params,
            [tf.convert_to_tensor(v) for v in state],
            radii=RADII,
        )
        self._sharpness.append(measured.assign(**keys))
        self._bar.update()
