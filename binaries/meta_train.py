r"""Meta-trains an update rule and saves it as a preset.

    python -m binaries.meta_train --tasks=digits/mlp,digits/mlp_relu \
        --regularizer=sam --regularizer_args=rho=0.1 --steps=300 --output=runs/my_sam

The output directory then holds `preset/`, for
`LearnedOptimizer.from_preset("runs/my_sam/preset")`, `history.csv`, TensorBoard logs
and checkpoints: the same command started again goes on where it stopped.
"""

import pathlib

import keras
import tensorflow as tf
from absl import flags

import lrlearn
from binaries import cli, regularizer_flags, rule_flags, task_flags
from lrlearn.meta import estimators

_TASKS = flags.DEFINE_list(
    "tasks", ["digits/mlp"], "Tasks to train on: <data set>/<network>, comma-separated."
)
task_flags.define_data()
_BATCH_SIZE = task_flags.define_batch_size()
regularizer_flags.define("Teacher of the update rule")
rule_flags.define()
_ESTIMATOR = flags.DEFINE_enum(
    "estimator", "replay", estimators.names(), "Estimator of the meta-gradient."
)
_COORDINATES = flags.DEFINE_integer(
    "coordinates", None, "Coordinates in a replay; default: all.", lower_bound=1
)
_SIGMA = flags.DEFINE_float(
    "sigma", None, "Deviation of the perturbations of es and pes; default: 0.01."
)
_STEPS = flags.DEFINE_integer("steps", 300, "Number of meta-steps.", lower_bound=1)
_UNROLL = flags.DEFINE_integer(
    "unroll", 20, "Optimizee steps in a meta-step.", lower_bound=1
)
_HORIZON = flags.DEFINE_list(
    "horizon", ["100", "1000"], "Least and most steps of an optimizee's run."
)
_OPTIMIZEES_PER_TASK = flags.DEFINE_integer(
    "optimizees_per_task", 2, "Optimizees of each task, side by side.", lower_bound=1
)
_INITIAL_SCALE = flags.DEFINE_list(
    "initial_scale", ["0.5", "2.0"], "Least and most factor of the initial weights."
)
_META_LOSS = flags.DEFINE_enum("meta_loss", "log", ["log", "loss"], "The meta-loss.")
_META_SPLIT = flags.DEFINE_enum(
    "meta_split", "train", ["train", "validation"], "Split that the meta-loss is of."
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", 5e-3, "Adam's first learning rate; decays as a cosine to 2 %."
)
_VALIDATION_EVERY = flags.DEFINE_integer(
    "validation_every", 50, "Meta-steps between meta-validations.", lower_bound=1
)
_VALIDATION_STEPS = flags.DEFINE_integer(
    "validation_steps",
    None,
    "Optimizee steps of a meta-validation; default: the geometric mean of --horizon.",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", "runs/meta_train", "Output directory.")
_DESCRIPTION = flags.DEFINE_string("description", "", "A line for the preset's users.")
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution",
    "none",
    ["none", "mirrored", "multiworker", "tpu"],
    "How to spread optimizees over devices; multiworker reads TF_CONFIG.",
)


def main():
    """Meta-trains by the flags."""
    # Before anything else touches a device, as TensorFlow demands.
    strategy = _strategy(_DISTRIBUTION.value)
    # It joins additions, w + a + b, to sums whose order depends on how threads happen
    # to run: a run that was stopped would not go on to the same bits.
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    horizon = cli.numbers(_HORIZON, int)
    rule = rule_flags.get(max(horizon, default=1))
    trainer = lrlearn.MetaTrainer(
        rule,
        [_load(name) for name in _TASKS.value],
        regularizer_flags.get(),
        _estimator(),
        unroll=_UNROLL.value,
        horizon=horizon,
        optimizees_per_task=_OPTIMIZEES_PER_TASK.value,
        initial_scale=cli.numbers(_INITIAL_SCALE),
        meta_loss=_META_LOSS.value,
        meta_split=_META_SPLIT.value,
        meta_optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(
                _LEARNING_RATE.value, _STEPS.value, alpha=0.02
            ),
            global_clipnorm=1.0,
        ),
        validation_every=_VALIDATION_EVERY.value,
        validation_steps=_VALIDATION_STEPS.value,
        seed=_SEED.value,
        strategy=strategy,
    )
    output = pathlib.Path(_OUTPUT.value)
    try:
        history = trainer.fit(
            _STEPS.value,
            checkpoint_dir=output,
            callbacks=[lrlearn.meta.TensorBoard(output / "tensorboard")],
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted at meta-step {trainer.step}; a checkpoint is in {output}. "
            "The same command goes on from there."
        ) from None
    optimizer = lrlearn.LearnedOptimizer(rule, theta=trainer.theta)
    optimizer.save_to_preset(output / "preset", _metadata(history))
    print(f"Saved the preset {output / 'preset'}.")


def _strategy(name):
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multiworker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    return None


def _load(name):
    options = task_flags.data_options()
    return lrlearn.tasks.load(name, batch_size=_BATCH_SIZE.value, **options)


def _estimator():
    name = _ESTIMATOR.value
    arguments = {}
    for flag, of in ((_COORDINATES, ("replay",)), (_SIGMA, ("es", "pes"))):
        if flag.value is None:
            continue
        if name not in of:
            raise ValueError(
                f"--{flag.name} needs --estimator={' or '.join(of)}. Received: "
                f"--estimator={name}"
            )
        arguments[flag.name] = flag.value
    return estimators.get(name, **arguments)


def _metadata(history):
    scores = history.frame()["score"].dropna()
    return {
        "description": _DESCRIPTION.value,
        **_recipe(),
        "meta_steps": len(history.rows),
        "meta_validation_score": float(scores.min()) if len(scores) else None,
        "licence": "Apache-2.0",
        **cli.provenance(),
    }


def _recipe():
    return {
        "tasks": _TASKS.value,
        "train_size": flags.FLAGS.train_size,
        "label_noise": flags.FLAGS.label_noise,
        "batch_size": _BATCH_SIZE.value,
        "regularizer": flags.FLAGS.regularizer,
        "regularizer_args": flags.FLAGS.regularizer_args,
        "estimator": _ESTIMATOR.value,
        "coordinates": _COORDINATES.value,
        "sigma": _SIGMA.value,
        "unroll": _UNROLL.value,
        "horizon": list(cli.numbers(_HORIZON, int)),
        "optimizees_per_task": _OPTIMIZEES_PER_TASK.value,
        "initial_scale": list(cli.numbers(_INITIAL_SCALE)),
        "meta_loss": _META_LOSS.value,
        "meta_split": _META_SPLIT.value,
        "learning_rate": _LEARNING_RATE.value,
        "seed": _SEED.value,
    }


if __name__ == "__main__":
    cli.run(main)
