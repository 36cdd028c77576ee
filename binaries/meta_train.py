r"""Meta-trains an update rule and saves it as a preset.

    python -m binaries.meta_train --tasks=digits/mlp,digits/mlp_relu \
        --regularizer=sam --regularizer_args=rho=0.1 --steps=300 --output=runs/my_sam

The output directory then holds `preset/`, for
`LearnedOptimizer.from_preset("runs/my_sam/preset")`, `history.csv`, TensorBoard logs
and checkpoints: the same command started again goes on where it stopped.
"""

import pathlib
import warnings

from absl import flags

from binaries import cli, shared_flags

_TASKS = flags.DEFINE_list(
    "tasks", ["digits/mlp"], "Tasks to train on: <data set>/<network>, comma-separated."
)
shared_flags.define_data()
shared_flags.define_batch_size()
shared_flags.define_regularizer("Teacher of the update rule")
_RULE = flags.DEFINE_enum("rule", "lstm", ["lstm", "mlp"], "Kind of update rule.")
_UNITS = flags.DEFINE_list(
    "units", None, "Sizes of its hidden layers; default: 20,20, or 8 with mlp."
)
_FEATURES = flags.DEFINE_enum(
    "features", None, ["log", "normalized"], "Inputs of lstm; default: normalized."
)
_RULE_OUTPUT = flags.DEFINE_enum(
    "rule_output", None, ["scaled", "adam"], "Output layer of lstm; default: adam."
)
_ESTIMATOR = flags.DEFINE_enum(
    "estimator",
    "replay",
    ["es", "full_tape", "pes", "replay"],
    "Estimator of the meta-gradient.",
)
_COORDINATES = flags.DEFINE_integer(
    "coordinates", None, "Coordinates in a replay; default: all.", lower_bound=1
)
_SIGMA = flags.DEFINE_float(
    "sigma", None, "Deviation of the perturbations of es and pes; default: 0.01."
)
_STEPS = flags.DEFINE_integer("steps", 300, "Number of meta-steps.", lower_bound=1)
flags.DEFINE_integer("unroll", 20, "Optimizee steps in a meta-step.", lower_bound=1)
_HORIZON = flags.DEFINE_list(
    "horizon",
    ["100", "1000"],
    "Least and most steps of an optimizee's run, or one number.",
)
flags.DEFINE_integer(
    "optimizees_per_task", 2, "Optimizees of each task, side by side.", lower_bound=1
)
_INITIAL_SCALE = flags.DEFINE_list(
    "initial_scale", ["0.5", "2.0"], "Least and most factor of the initial weights."
)
flags.DEFINE_enum("meta_loss", "log", ["log", "loss"], "The meta-loss.")
flags.DEFINE_enum(
    "meta_split", "train", ["train", "validation"], "Split that the meta-loss is of."
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", 5e-3, "Adam's first learning rate; decays as a cosine to 2 %."
)
flags.DEFINE_integer(
    "validation_every", 50, "Meta-steps between meta-validations.", lower_bound=1
)
flags.DEFINE_integer(
    "validation_steps",
    None,
    "Optimizee steps of a meta-validation; default: the geometric mean of --horizon.",
    lower_bound=1,
)
flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", "runs/meta_train", "Output directory.")
_DESCRIPTION = flags.DEFINE_string("description", "", "A line for the preset's users.")
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution",
    "none",
    ["none", "mirrored", "multiworker", "tpu"],
    "How to spread optimizees over devices; multiworker reads TF_CONFIG.",
)

# Flags with the names of `MetaSettings`.
_SETTINGS = (
    "unroll",
    "optimizees_per_task",
    "meta_loss",
    "meta_split",
    "validation_every",
    "validation_steps",
    "seed",
)


def main():
    """Meta-trains by the flags."""
    import tensorflow as tf

    import lrlearn

    # Before anything else touches a device, as TensorFlow demands.
    strategy = _strategy(_DISTRIBUTION.value)
    # It joins additions, w + a + b, to sums whose order depends on how threads happen
    # to run: a run that was stopped would not go on to the same bits.
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
    trainer, output = _trainer(strategy), pathlib.Path(_OUTPUT.value)
    try:
        trainer.fit(
            _STEPS.value,
            checkpoint_dir=output,
            callbacks=[lrlearn.meta.TensorBoard(output / "tensorboard")],
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted at meta-step {trainer.step}. The same command goes on from "
            f"the newest checkpoint in {output}."
        ) from None
    _warn_if_diverged(trainer)
    trainer.save_preset(
        output / "preset",
        description=_DESCRIPTION.value,
        label_noise=flags.FLAGS.label_noise,
        licence="Apache-2.0",
        **cli.provenance(),
    )
    print(f"Saved the preset {output / 'preset'}.")


def _strategy(name):
    import tensorflow as tf

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


def _trainer(strategy):
    import keras

    import lrlearn

    horizon = cli.numbers(_HORIZON, int)
    rate = keras.optimizers.schedules.CosineDecay(
        _LEARNING_RATE.value, _STEPS.value, alpha=0.02
    )
    return lrlearn.MetaTrainer(
        _rule(max(horizon, default=1)),
        [shared_flags.load(name) for name in _TASKS.value],
        shared_flags.regularizer(),
        _estimator(),
        horizon=horizon[0] if len(horizon) == 1 else horizon,
        initial_scale=cli.numbers(_INITIAL_SCALE),
        meta_optimizer=keras.optimizers.Adam(rate, global_clipnorm=1.0),
        strategy=strategy,
        **{name: flags.FLAGS[name].value for name in _SETTINGS},
    )


def _rule(horizon):
    """Returns the update rule of the flags, for runs of at most `horizon` steps."""
    from lrlearn.rules import CoordinatewiseLSTM, PerParameterMLP

    units = cli.numbers(_UNITS, int) if _UNITS.present else None
    if _RULE.value == "lstm":
        return CoordinatewiseLSTM(
            units or (20, 20),
            _FEATURES.value or "normalized",
            _RULE_OUTPUT.value or "adam",
        )
    for flag in (_FEATURES, _RULE_OUTPUT):
        if flag.value is not None:
            raise ValueError(f"--{flag.name} needs --rule=lstm. Received: --rule=mlp")
    if units is not None and len(units) != 1:
        raise ValueError(f"--units must be one integer for mlp. Received: {units}")
    return PerParameterMLP(*(units or ()), horizon=horizon)


def _estimator():
    from lrlearn.meta import estimators

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


def _warn_if_diverged(trainer):
    loss = trainer.history.rows[-1]["loss"]
    if not loss < trainer.settings.loss_limit:
        warnings.warn(
            f"Meta-training diverged, to a training loss of {loss:.4g}; try a smaller "
            "--learning_rate or --unroll.",
            stacklevel=1,
        )


if __name__ == "__main__":
    cli.run(main)
