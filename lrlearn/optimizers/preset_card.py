"""A preset's model card, as on Hugging Face, and the recipe in it."""

import inspect
import math
from pathlib import Path

import keras

# Of a `MetaTrainer.config`; all others are its settings.
_PARTS = (
    "rule",
    "tasks",
    "regularizer",
    "estimator",
    "theta",
    "meta_optimizer",
    "replicas",
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
    tasks, estimator = config["tasks"], dict(config["estimator"])
    teacher = config["regularizer"] or {"class_name": "none", "config": {}}
    optimizer = config["meta_optimizer"]
    rate = optimizer["config"].get("learning_rate")
    own = {k: v for k, v in optimizer["config"].items() if k != "learning_rate"}
    return {
        "tasks": [task["name"] for task in tasks],
        "loss": _common([_call("losses", task["loss"]) for task in tasks]),
        "train_size": _common([task["examples"]["train"] for task in tasks]),
        "batch_size": _common([task["batch_size"] for task in tasks]),
        "regularizer": teacher["class_name"].lower(),
        "regularizer_args": _arguments(teacher["config"]),
        "estimator": estimator.pop("name"),
        "estimator_args": _arguments(estimator),
        **{name: value for name, value in config.items() if name not in _PARTS},
        "meta_optimizer": _call("optimizers", {**optimizer, "config": own}),
        "learning_rate": _largest(rate),
    }


def _common(values):
    """Returns the value if all are the same, else `None`."""
    return values[0] if all(value == values[0] for value in values) else None


def _arguments(config):
    return [f"{name}={_expression(value)}" for name, value in config.items()]


def _expression(value):
    """Returns the Python expression of an argument, serialized or not."""
    match value:
        case {"class_name": name, "config": dict(config)}:
            return f"{name}({', '.join(_arguments(config))})"
        case list():
            return f"[{', '.join(map(_expression, value))}]"
    return str(value)


def _call(module, part):
    """Returns the Python expression of a part of Keras, the name of another one.

    Args:
        module: `"losses"` or `"optimizers"`.
        part: A dict of its `class` and `config`.
    """
    name, config = part["class"], part["config"]
    known = getattr(getattr(keras, module), name, None)
    if known is None:
        return name
    if not inspect.isclass(known):
        return f"keras.{module}.{name}"
    parameters = inspect.signature(known).parameters
    arguments = ", ".join(
        f"{key}={value!r}"
        for key, value in config.items()
        if key in parameters and value != parameters[key].default
    )
    return f"keras.{module}.{name}({arguments})"


def _largest(rate):
    """Returns a learning rate before it decays, if it is known."""
    if isinstance(rate, dict):
        config = rate["config"]
        return config.get("warmup_target") or config.get("initial_learning_rate")
    return rate


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
