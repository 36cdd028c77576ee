"""A preset's model card, as on Hugging Face, and the recipe in it."""

import inspect
import math
from pathlib import Path

import keras

_SETTINGS = (
    "unroll",
    "horizon",
    "optimizees_per_task",
    "tasks_per_step",
    "initial_scale",
    "reparameterization",
    "dial",
    "meta_loss",
    "loss_offset",
    "late_weight",
    "meta_split",
    "seed",
)


def card(name, rule, metadata):
    """Returns the model card, Markdown, of a rule and a dict of metadata."""
    import jinja2  # only needed when a preset is written

    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["text"] = _text
    environment.tests["table"] = _is_table
    template = (Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8")
    state = rule.initial_state(1)
    state = keras.tree.flatten((state["accumulators"], state["memory"]))
    text = environment.from_string(template).render(
        name=name,
        rule=rule,
        class_name=type(rule).__name__,
        weights=sum(map(math.prod, rule.theta_shapes().values())),
        state=sum(leaf.shape[0] for leaf in state),
        metadata=metadata,
    )
    return f"{text.rstrip()}\n"


def recipe(config):
    """Returns how a rule was meta-trained, as metadata of a preset.

    Args:
        config: A `MetaTrainer`'s `config`.
    """
    tasks, estimator = config["tasks"], config["estimator"]
    teacher = config["regularizer"] or {"class_name": "none", "config": {}}
    return {
        "tasks": [task["name"] for task in tasks],
        "loss": _common([_loss(**task["loss"]) for task in tasks]),
        "train_size": _common([task["examples"]["train"] for task in tasks]),
        "batch_size": _common([task["batch_size"] for task in tasks]),
        "regularizer": teacher["class_name"].lower(),
        "regularizer_args": [f"{k}={v}" for k, v in teacher["config"].items()],
        "estimator": estimator["name"],
        "coordinates": estimator.get("coordinates"),
        "sigma": estimator.get("sigma"),
        **{name: config[name] for name in _SETTINGS},
        "learning_rate": _largest_rate(**config["meta_optimizer"]["config"]),
    }


def _common(values):
    """Returns the value if all are the same, else `None`."""
    return values[0] if all(value == values[0] for value in values) else None


def _loss(**loss):
    """Returns the Python expression of a Keras loss, the name of another one."""
    name, config = loss["class"], loss["config"]
    known = getattr(keras.losses, name, None)
    if known is None:
        return name
    if not inspect.isclass(known):
        return f"keras.losses.{name}"
    parameters = inspect.signature(known).parameters
    arguments = ", ".join(
        f"{key}={value!r}"
        for key, value in config.items()
        if key in parameters and value != parameters[key].default
    )
    return f"keras.losses.{name}({arguments})"


def _largest_rate(learning_rate=None, **_):
    """Returns a Keras optimizer's learning rate before it decays, if it is known."""
    if isinstance(learning_rate, dict):
        config = learning_rate["config"]
        return config.get("warmup_target") or config.get("initial_learning_rate")
    return learning_rate


def _is_table(value):
    match value:
        case {"about": _, "rows": [_, *_] as rows}:
            return all(isinstance(row, dict) for row in rows)
    return False


def _text(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
