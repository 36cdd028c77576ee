r"""Meta-trains an update rule and saves it as a preset.

    python -m binaries.meta_train --tasks=digits/mlp,digits/mlp_relu \
        --regularizer=sam --regularizer_args=rho=0.1 --steps=300 --output=runs/my_sam

The output directory then holds `preset/`, for
`LearnedOptimizer.from_preset("runs/my_sam/preset")`, `history.csv`, TensorBoard logs
and checkpoints: the same command started again goes on where it stopped.
"""

import pathlib
import warnings

import numpy as np
from absl import flags

from binaries import cli, shared_flags

_TASKS = flags.DEFINE_list(
    "tasks",
    ["digits/mlp"],
    "Tasks to train on: <data set>/<network>, comma-separated; or a collection of "
    "varied ones: small_images (needs MNIST) or digits.",
)
shared_flags.define_data()
shared_flags.define_batch_size()
shared_flags.define_regularizer("Teacher of the update rule")
_TEACHER = flags.DEFINE_enum(
    "teacher",
    "fixed",
    ["fixed", "gap_feedback", "learned_mixture"],
    "How the teacher changes: not at all; --regularizer is stronger while the "
    "generalization gap grows; or a mixture of --members, with learned weights.",
)
_MEMBERS = flags.DEFINE_list(
    "members", None, "Members of a learned mixture; default: none,sam,gsam,gam,l2."
)
_RULES = ("lstm", "mlp", "scheduled_lstm", "scheduled_mlp")
_RULE = flags.DEFINE_enum(
    "rule",
    "lstm",
    _RULES,
    "Update rule: CoordinatewiseLSTM, PerParameterMLP, ScheduledLSTM or ScheduledMLP, "
    "which is the best one to start with.",
)
_UNITS = flags.DEFINE_list(
    "units", None, "Sizes of its hidden layers; default: 20,20, or 8 with an MLP."
)
_FEATURES = flags.DEFINE_enum(
    "features", None, ["log", "normalized"], "Inputs of lstm; default: normalized."
)
_RULE_OUTPUT = flags.DEFINE_enum(
    "rule_output", None, ["scaled", "adam"], "Output layer of lstm; default: adam."
)
_DIAL = flags.DEFINE_list(
    "dial",
    None,
    "Least and most setting of a scheduled rule's dial: a factor of the teacher's "
    "strength; default: no dial.",
)
_DEFAULT_RHO = flags.DEFINE_float(
    "default_rho", None, "The dial's setting unless a user sets it; default: 0.05."
)
_ESTIMATOR = flags.DEFINE_enum(
    "estimator",
    None,
    ["es", "full_tape", "nres", "pes", "replay"],
    "Estimator of the meta-gradient; default: the recipe's, as of all that follows.",
)
_COORDINATES = flags.DEFINE_integer(
    "coordinates", None, "Coordinates in a replay; default: all.", lower_bound=1
)
_SIGMA = flags.DEFINE_float(
    "sigma", None, "Deviation of the perturbations of es, nres and pes."
)
_STEPS = flags.DEFINE_integer(
    "steps",
    None,
    "Number of meta-steps; it can't be changed later, as the learning rate decays over "
    "them.",
    lower_bound=1,
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", None, "Adam's largest learning rate; it decays as a cosine."
)
_OUTPUT = flags.DEFINE_string("output", "runs/meta_train", "Output directory.")
_DESCRIPTION = flags.DEFINE_string("description", "", "A line for the preset's users.")
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution",
    "none",
    ["none", "mirrored", "multiworker", "tpu"],
    "How to spread optimizees over devices; multiworker reads TF_CONFIG.",
)
# Flags with the names of `MetaSettings`; their defaults are the recipe's.
_HORIZON = flags.DEFINE_list(
    "horizon", None, "Least and most steps of an optimizee's run, or one number."
)
_INITIAL_SCALE = flags.DEFINE_list(
    "initial_scale", None, "Least and most factor of the initial weights."
)
_SETTINGS = [
    flags.DEFINE_integer("unroll", None, "Optimizee steps in a meta-step."),
    flags.DEFINE_integer(
        "optimizees_per_task", None, "Optimizees of each task, side by side."
    ),
    flags.DEFINE_enum(
        "meta_split", None, ["train", "validation"], "Split that the meta-loss is of."
    ),
    flags.DEFINE_integer(
        "validation_every", None, "Meta-steps between meta-validations; 0: none."
    ),
    flags.DEFINE_integer(
        "validation_steps",
        None,
        "Optimizee steps of a meta-validation; default with --horizon: the geometric "
        "mean of both.",
    ),
    flags.DEFINE_integer("seed", 0, "Seed of everything random.", lower_bound=0),
]


def main():
    """Meta-trains by the flags."""
    import lrlearn

    # Before anything else touches a device, as TensorFlow demands.
    strategy = _strategy(_DISTRIBUTION.value)
    trainer, steps = _trainer(strategy)
    output = pathlib.Path(_OUTPUT.value)
    try:
        trainer.fit(
            steps,
            checkpoint_dir=output,
            callbacks=[lrlearn.meta.TensorBoard(output / "tensorboard")]
            if trainer.worker == 0
            else [],
        )
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)(
            f"Interrupted at meta-step {trainer.step}. The same command goes on from "
            f"the newest checkpoint in {output}."
        ) from None
    _warn_if_diverged(trainer)
    _tell_if_not_better(trainer.history)
    if trainer.worker > 0:
        return  # the first one writes the preset, which is the same
    trainer.save_to_preset(
        output / "preset",
        description=_DESCRIPTION.value,
        # A collection's tasks have their own, in their names.
        label_noise=None if _is_collection() else flags.FLAGS.label_noise,
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
    """Returns the `MetaTrainer` of the flags, and its number of meta-steps."""
    import lrlearn

    settings = _settings()
    rule = _rule(settings)
    recipe = lrlearn.meta.Recipe.of(rule)
    steps = _STEPS.value or recipe.steps
    trainer = lrlearn.MetaTrainer(
        rule,
        _tasks(),
        _teacher(),
        _estimator(recipe),
        meta_optimizer=recipe.meta_optimizer(steps, _LEARNING_RATE.value),
        strategy=strategy,
        **settings,
    )
    return trainer, steps


def _teacher():
    """Returns the teacher of the flags."""
    import lrlearn

    teacher, members = _TEACHER.value, _MEMBERS.value
    regularizer = shared_flags.regularizer()
    if members is not None and teacher != "learned_mixture":
        raise ValueError(
            f"--members needs --teacher=learned_mixture. Received: --teacher={teacher}"
        )
    if teacher == "fixed":
        return regularizer
    if teacher == "gap_feedback":
        return lrlearn.meta.GapFeedback(regularizer)
    if regularizer is not None:
        raise ValueError(
            "--teacher=learned_mixture needs --members in place of --regularizer. "
            f"Received: --regularizer={flags.FLAGS.regularizer}"
        )
    return lrlearn.meta.LearnedMixture(**({"members": members} if members else {}))


def _settings():
    """Returns the `MetaSettings` that the flags give, a dict."""
    settings = {flag.name: flag.value for flag in _SETTINGS if flag.value is not None}
    for flag, kind in ((_HORIZON, int), (_INITIAL_SCALE, float), (_DIAL, float)):
        if flag.value is not None:
            settings[flag.name] = cli.numbers(flag, kind)
    if settings.get("validation_every") == 0:
        settings["validation_every"] = None
    if len(settings.get("horizon", ())) == 1:
        (settings["horizon"],) = settings["horizon"]
    return settings


def _tasks():
    import lrlearn

    names = _TASKS.value
    if not _is_collection():
        return [shared_flags.load(name) for name in names]
    for name in ("train_size", "label_noise", "batch_size"):
        if flags.FLAGS[name].present:
            raise ValueError(
                f"--{name} needs --tasks=<data set>/<network>. Received: {names[0]}"
            )
    return lrlearn.tasks.load_collection(names[0], data_dir=flags.FLAGS.data_dir)


def _is_collection():
    return _TASKS.value in (["small_images"], ["digits"])


def _rule(settings):
    """Returns the update rule of the flags, given the settings."""
    from lrlearn import rules

    units = cli.numbers(_UNITS, int) if _UNITS.present else None
    name = _RULE.value
    _refuse(name, "lstm", _FEATURES, _RULE_OUTPUT)
    _refuse(name, "scheduled", _DIAL)
    if name == "lstm":
        return rules.CoordinatewiseLSTM(
            units or (20, 20),
            _FEATURES.value or "normalized",
            _RULE_OUTPUT.value or "adam",
        )
    default_rho = _default_rho(settings)
    if name == "scheduled_lstm":
        return rules.ScheduledLSTM(units or (20, 20), default_rho)
    if units is not None and len(units) != 1:
        raise ValueError(f"--units must be one integer for {name}. Received: {units}")
    if name == "scheduled_mlp":
        return rules.ScheduledMLP(*(units or (8,)), default_rho)
    horizon = settings.get("horizon", rules.PerParameterMLP().horizon)
    return rules.PerParameterMLP(*(units or (8,)), horizon=max(np.atleast_1d(horizon)))


def _default_rho(settings):
    """Returns the setting of the rule's dial; `None` if it has none."""
    value = _DEFAULT_RHO.value
    if "dial" in settings:
        return 0.05 if value is None else value
    if value is not None:
        raise ValueError(f"--default_rho needs --dial. Received: {value}")
    return None


def _refuse(name, prefix, *only):
    """Raises a `ValueError` if a flag is given that only some rules have."""
    for flag in only:
        if flag.value is not None and not name.startswith(prefix):
            rules = [each for each in _RULES if each.startswith(prefix)]
            raise ValueError(
                f"--{flag.name} needs --rule={' or '.join(rules)}. Received: "
                f"--rule={name}"
            )


def _estimator(recipe):
    name, arguments = _ESTIMATOR.value or recipe.estimator.name, {}
    for flag, of in ((_COORDINATES, ("replay",)), (_SIGMA, ("es", "nres", "pes"))):
        if flag.value is None:
            continue
        if name not in of:
            raise ValueError(
                f"--{flag.name} needs --estimator={' or '.join(of)}. Received: "
                f"--estimator={name}"
            )
        arguments[flag.name] = flag.value
    return recipe.get_estimator(name, **arguments)


def _warn_if_diverged(trainer):
    loss = trainer.history.rows[-1]["loss"]
    if not loss < trainer.settings.loss_limit:
        warnings.warn(
            f"Meta-training diverged, to a training loss of {loss:.4g}; try a smaller "
            "--learning_rate or --unroll.",
            stacklevel=1,
        )


def _tell_if_not_better(history):
    """Untrained rules may be useful: meta-training then has to better them."""
    if history.best and history.best["score"] >= history.untrained_score:
        print(
            "No meta-validation was better than that of the untrained rule: "
            f"{history.best['score']:.4g} is not below {history.untrained_score:.4g}."
        )


if __name__ == "__main__":
    cli.run(main)
