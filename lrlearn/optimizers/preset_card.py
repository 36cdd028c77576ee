"""A preset's model card, as on Hugging Face."""

import math

import keras

_RECIPE = {
    "tasks": "Tasks",
    "train_size": "Training examples of each",
    "label_noise": "Fraction of wrong labels",
    "batch_size": "Batch size",
    "regularizer": "Teacher",
    "regularizer_args": "Its arguments",
    "estimator": "Estimator of the meta-gradient",
    "coordinates": "Coordinates that it replays",
    "sigma": "Deviation of its perturbations",
    "unroll": "Unroll, steps",
    "horizon": "Horizon, least and most steps of a run",
    "optimizees_per_task": "Optimizees of each task",
    "initial_scale": "Least and most factor of the initial weights",
    "meta_loss": "Meta-loss",
    "meta_split": "Split that it is of",
    "learning_rate": "First learning rate",
    "meta_steps": "Meta-steps",
    "meta_validation_score": "Meta-validation score",
    "seed": "Meta-seed",
}
_ORIGIN = {
    "command": "Command",
    "commit": "Commit, + if the tree was changed",
    "date": "Date",
    "versions": "Versions",
    "licence": "Licence",
}


def card(name, rule, metadata):
    """Returns the model card, Markdown.

    Args:
        name: The preset's name.
        rule: Its `UpdateRule`.
        metadata: A dict; what it lacks, the card lacks. It knows `"description"`, the
            recipe as in `binaries.meta_train`, `"results"` and `"cost"`, each a dict of
            a sentence `"about"` and `"rows"`, a list of dicts from columns to values,
            `"limits"`, a list of sentences, and the provenance.

    Example:
        >>> import lrlearn
        >>> from lrlearn.optimizers.preset_card import card
        >>> rule = lrlearn.rules.PerParameterMLP()
        >>> text = card("mine", rule, {"description": "My rule.", "seed": 3})
        >>> text.splitlines()[5:8]
        ['# mine', '', 'My rule.']
        >>> "- Meta-seed: 3" in text
        True
    """
    blocks = [
        _front_matter(metadata),
        f"# {name}",
        metadata.get("description"),
        _usage(name),
        _section("Rule", _facts(_rule_facts(rule))),
        _section("Meta-training", _known_facts(metadata, _RECIPE)),
        _section("Results", _measured(metadata.get("results"))),
        _section("Cost", _measured(metadata.get("cost"))),
        _section("Limits", _listed(metadata.get("limits"))),
        _section("Origin", _known_facts(metadata, _ORIGIN)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _front_matter(metadata):
    lines = ["library_name: keras", "tags: [lrlearn, learned-optimizer]"]
    if metadata.get("licence"):
        lines.append(f"license: {str(metadata['licence']).lower()}")
    return "\n".join(["---", *lines, "---"])


def _usage(name):
    return f"""```python
import lrlearn

optimizer = lrlearn.LearnedOptimizer.from_preset("{name}")
model.compile(optimizer, loss="sparse_categorical_crossentropy")
```"""


def _section(title, text):
    return f"## {title}\n\n{text}" if text else ""


def _rule_facts(rule):
    state = keras.tree.flatten((rule.init_accumulators(1), rule.init_memory(1)))
    return {
        "Class": f"`{type(rule).__name__}`",
        **{f"`{name}`": value for name, value in rule.get_config().items()},
        "Weights": sum(math.prod(shape) for shape in rule.theta_shapes().values()),
        "State, floats a parameter": sum(part.shape[0] for part in state),
    }


def _known_facts(metadata, labels):
    return _facts({label: metadata.get(key) for key, label in labels.items()})


def _facts(facts):
    absent = (None, "", [], {})
    return _bullets(
        f"{label}: {_text(value)}"
        for label, value in facts.items()
        if value not in absent
    )


def _measured(result):
    match result:
        case None:
            return ""
        case {"about": about, "rows": [*rows]} if _are_dicts(rows):
            return f"{about}\n\n{_table(rows)}"
        case _:
            return _text(result)


def _listed(value):
    return _bullets(value) if isinstance(value, list) else _text(value or "")


def _are_dicts(rows):
    return bool(rows) and all(isinstance(row, dict) for row in rows)


def _table(rows):
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[row.get(column, "") for column in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(map(_text, line))} |" for line in lines)


def _bullets(lines):
    return "\n".join(f"- {line}" for line in lines)


def _text(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
