"""Model cards, written from the metadata."""

import pytest

from lrlearn.optimizers import LearnedOptimizer, presets
from lrlearn.optimizers.preset_card import card, recipe
from lrlearn.rules import PerParameterMLP, ScheduledMLP

BUILT_IN = presets.built_in()
METADATA = {
    "description": "What it is.",
    "tasks": ["digits/mlp", "digits/cnn"],
    "horizon": [10, 30],
    "label_noise": 0.0,
    "estimator": "pes",
    "licence": "MIT",
    "results": {"about": "Accuracy.", "rows": [{"steps": 5, "accuracy": 0.25}] * 2},
    "limits": ["It is slow.", "It is small."],
    "loss": "keras.losses.MeanSquaredError()",
    "commit": "abc",
    "other": "not shown",
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_cards_are_those_of_the_code(name):
    """`python -m tools.make_cards` writes them."""
    rule, _, metadata = presets.load_preset(name)
    text = (BUILT_IN[name] / "README.md").read_text(encoding="utf-8")
    assert text == card(name, rule, metadata)
    for title in ("Rule", "Meta-training", "Results", "Cost", "Limits", "Origin"):
        assert f"\n## {title}\n" in text


def test_what_a_card_says():
    """What the metadata hold, and what follows from the rule."""
    lines = card("mine", PerParameterMLP(units=4), METADATA).splitlines()
    for line in (
        "license: mit",
        "# mine",
        "What it is.",
        'optimizer = lrlearn.LearnedOptimizer.from_preset("mine")',
        "loss = keras.losses.MeanSquaredError()",
        "- `units`: 4",
        # 4 x 13 + 4 + 3 x 4 + 3 weights; three momenta and a second moment.
        "- Weights: 71",
        "- State, floats a parameter: 4",
        "- Tasks: digits/mlp, digits/cnn",
        "- Fraction of wrong labels: 0",
        "- Horizon, least and most steps of a run: 10, 30",
        "- Estimator of the meta-gradient: pes",
        "| steps | accuracy |",
        "| 5 | 0.25 |",
        "- It is slow.",
        "- Commit, + if the tree was changed: abc",
    ):
        assert line in lines, line
    assert not any("not shown" in line for line in lines)
    assert "## Cost" not in lines and not any("RunLength" in line for line in lines)


def test_card_of_a_rule_with_a_schedule():
    """It says how the rule is told the length of the run."""
    lines = card("mine", ScheduledMLP(default_rho=0.05), METADATA).splitlines()
    for line in (
        "model.fit(x, y, epochs=10, callbacks=[lrlearn.RunLength()])",
        "- `default_rho`: 0.05",
        "- State, floats a parameter: 3",
    ):
        assert line in lines, line


def test_what_is_unknown_is_left_out():
    """No heading without content."""
    text = card("mine", PerParameterMLP(), {})
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# mine",
        "## Rule",
    ]
    assert "None" not in text and "license" not in text
    assert "\nloss = ...\n" in text


def _config(tasks, **changes):
    """Returns part of a `MetaTrainer.config`."""
    settings = {"unroll": 5, "horizon": [10, 30], "initial_scale": [1.0, 1.0]}
    choices = {"optimizees_per_task": 2, "tasks_per_step": 4, "meta_split": "train"}
    loss = {"meta_loss": "log", "loss_offset": 0.1, "late_weight": 0.25}
    return {
        **settings,
        **choices,
        **loss,
        "reparameterization": 2.0,
        "dial": [0.01, 0.1],
        "seed": 3,
        "tasks": [
            {"name": name, "loss": loss, "batch_size": 8, "examples": {"train": size}}
            for name, loss, size in tasks
        ],
        "regularizer": None,
        "estimator": {"name": "replay", "coordinates": 9},
        "meta_optimizer": {"class": "Adam", "config": {"learning_rate": 0.01}},
        **changes,
    }


CROSSENTROPY = {
    "class": "SparseCategoricalCrossentropy",
    "config": {"from_logits": True, "reduction": "sum_over_batch_size"},
}


@pytest.mark.parametrize(
    "warm_up",
    [
        {"initial_learning_rate": 0.02},
        {"initial_learning_rate": 0.02, "warmup_target": None},
        {"initial_learning_rate": 0.0, "warmup_target": 0.02},
    ],
)
def test_recipe(warm_up):
    """What a `MetaTrainer` did; the learning rate is that before it decays."""
    rate = {"class_name": "CosineDecay", "config": {**warm_up, "decay_steps": 9}}
    config = _config(
        [("a", CROSSENTROPY, 40), ("b", CROSSENTROPY, 50)],
        regularizer={"class_name": "SAM", "config": {"rho": 0.3}},
        meta_optimizer={
            "class": "Adam",
            "config": {"learning_rate": rate, "beta_1": 0.9, "beta_2": 0.9},
        },
    )
    expected = {
        "tasks": ["a", "b"],
        "loss": "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
        "train_size": None,
        "batch_size": 8,
        "regularizer": "sam",
        "regularizer_args": ["rho=0.3"],
        "estimator": "replay",
        "estimator_args": ["coordinates=9"],
        "meta_optimizer": "keras.optimizers.Adam(beta_2=0.9)",
        "horizon": [10, 30],
        "tasks_per_step": 4,
        "dial": [0.01, 0.1],
        "learning_rate": 0.02,
        "seed": 3,
    }
    assert expected.items() <= recipe(config).items()
    bare = recipe(_config([("a", CROSSENTROPY, 40)]))
    assert bare["regularizer"] == "none" and bare["regularizer_args"] == []
    assert (bare["learning_rate"], bare["train_size"]) == (0.01, 40)


@pytest.mark.parametrize(
    "losses, expected",
    [
        (["mean_squared_error"], "keras.losses.mean_squared_error"),
        (["my_loss"], "my_loss"),
        (["my_loss", "mean_squared_error"], None),
    ],
)
def test_recipe_of_other_losses(losses, expected):
    """Functions, one's own, and tasks that differ."""
    tasks = [(name, {"class": name, "config": {}}, 40) for name in losses]
    assert recipe(_config(tasks))["loss"] == expected


def test_rows_that_differ():
    """Each value stands in its column; what a row lacks is empty."""
    rows = [{"a": 1, "b": 2}, {"c": 3, "a": 4}]
    lines = card("mine", PerParameterMLP(), {"cost": {"about": "Time.", "rows": rows}})
    assert lines.splitlines()[-4:] == [
        "| a | b | c |",
        "| --- | --- | --- |",
        "| 1 | 2 |  |",
        "| 4 |  | 3 |",
    ]


@pytest.mark.parametrize(
    "results",
    [
        "good",
        0.5,
        ["a"],
        {"accuracy": 0.5},
        {},
        {"about": "a", "rows": [{"a": 1}, 3]},
        {"about": "a", "rows": []},
        {"about": "a", "rows": "b"},
    ],
)
def test_metadata_of_any_form(make_optimizer, tmp_path, results):
    """They are the user's: a card shows them as they are."""
    metadata = {key: results for key in ("results", "cost", "limits", "tasks")}
    make_optimizer().save_to_preset(tmp_path / "mine", **metadata)
    assert "# mine" in (tmp_path / "mine" / "README.md").read_text()
    assert presets.load_preset(tmp_path / "mine")[2]["results"] == results


def test_a_card_may_be_edited(directory):
    """It is not read; saving again writes it anew."""
    written = (directory / "README.md").read_text(encoding="utf-8")
    (directory / "README.md").write_bytes(b"\xff edited")
    optimizer = LearnedOptimizer.from_preset(directory)
    optimizer.save_to_preset(directory, **presets.load_preset(directory)[2])
    assert (directory / "README.md").read_text(encoding="utf-8") == written
