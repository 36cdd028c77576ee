"""Keys follow from all that determines a row; shards need nothing of each other."""

import collections
import dataclasses

import keras
import pytest

import lrlearn
from paper.grid import cells
from paper.grid.cells import Jobs
from paper.grid.grid import GRIDS, Grid, Measures, MetaTraining, TaskName
from paper.grid.optimizers import BASES, DEFAULT_RHO, LEARNED, OPTIMIZERS, TUNED
from tests.paper.small_grid import SMALL


def data(name, checksum=0):
    return {"name": name, "checksum": checksum}


def keys(grid, data=data):
    return {key for job in Jobs(grid, data).all() for key in job.keys}


@pytest.mark.parametrize("name", GRIDS)
def test_every_row_has_a_key_of_its_own(name):
    jobs = Jobs(GRIDS[name], data).all()
    found = [key for job in jobs for key in job.keys]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", ["full", "first_pass"])
def test_every_optimizer_runs_on_its_tasks_with_every_seed(name):
    grid = GRIDS[name]
    runs = collections.Counter(
        (cell["optimizer"], cell["dataset"], cell["network"], cell["regime"])
        for job in Jobs(grid, data).all()
        if job.kind == "run"
        for cell in job.cells
    )
    tasks = collections.Counter(optimizer for optimizer, *_ in runs)
    assert tasks.keys() == {name for name in OPTIMIZERS if grid.includes(name)}
    for optimizer, count in tasks.items():
        # Dials are turned, and learned optimizers tuned, on MLPs of two data sets.
        plain = optimizer in TUNED or optimizer == LEARNED[optimizer].source
        assert count == (18 if plain else 8)
    for (optimizer, *_), count in runs.items():
        assert count == grid.seeds * (grid.meta_seeds if optimizer in LEARNED else 1)


def test_horizons_of_the_full_grid_are_the_papers():
    jobs = Jobs(GRIDS["full"], data).all()
    steps = {
        (c["regime"], c["dataset"], c["steps"])
        for job in jobs
        if job.kind == "run"
        for c in job.cells
    }
    assert steps == {
        ("full", "mnist", 1000),
        ("full", "fashion_mnist", 1000),
        ("full", "cifar10", 2000),
        *(("small", name, 2000) for name in ("mnist", "fashion_mnist", "cifar10")),
    }


def test_optimizers_that_are_tuned_get_as_many_trials():
    assert {len(each.trials) for each in OPTIMIZERS.values()} == {1, 8}
    assert all(
        len(each.trials) == 8
        for each in OPTIMIZERS.values()
        if each.kind in ("baseline", "explicit")
    )
    trials = [tuple(map(str, each.trials)) for each in OPTIMIZERS.values()]
    assert all(len(set(t)) == len(t) for t in trials)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_are_parts_that_need_no_other(count):
    everything = Jobs(SMALL, data).all()
    shards = [Jobs(SMALL, data).shard(i + 1, count) for i in range(count)]
    found = [key for jobs in shards for job in jobs for key in job.keys]
    assert sorted(found) == sorted(key for job in everything for key in job.keys)
    for jobs in shards:
        done = set()
        for job in jobs:
            assert all(done >= set(needed.keys) for needed in job.needs.values())
            done |= set(job.keys)


CHANGES = {
    "horizon": {"horizons": (("*", (50,)),)},
    "seeds": {"seeds": 3},
    "records": {"measures": dataclasses.replace(SMALL.measures, records=5)},
    "examples": {"measures": dataclasses.replace(SMALL.measures, examples=(("*", 7),))},
}
KEPT = {"horizon": {"meta"}, "seeds": {"meta", "tuning"}}


@pytest.mark.parametrize("name", CHANGES)
def test_what_determines_a_row_changes_its_key_and_no_other(name):
    before = Jobs(SMALL, data).all()
    after = Jobs(dataclasses.replace(SMALL, **CHANGES[name]), data).all()
    kept = KEPT.get(name, {"meta", "tuning"})
    for kind in ("meta", "tuning", "run"):
        sides = [
            {key for job in jobs if job.kind == kind for key in job.keys}
            for jobs in (before, after)
        ]
        assert (sides[0] == sides[1]) == (kind in kept)
        assert kind in kept or not sides[0] & sides[1]


def test_a_change_of_the_recipe_changes_the_runs_of_learned_optimizers_only():
    changed = dataclasses.replace(SMALL.meta_training, steps=5)
    before = keys(SMALL)
    after = keys(dataclasses.replace(SMALL, meta_training=changed))
    learned = {
        key
        for job in Jobs(SMALL, data).all()
        if job.cell["optimizer"] in LEARNED
        for key in job.keys
    }
    assert before - after == learned


OTHERWISE = {
    "Adam-EMA": {"fixed": {"use_ema": True, "ema_momentum": 0.9}},
    "SGD-M": {"fixed": {"momentum": 0.5}},
    "RMSprop": {"optimizer": keras.optimizers.Adam},
    "GSAM": {"regularizer": lambda: lrlearn.regularizers.GSAM(alpha=0.1)},
    "late SAM": {"start_fraction": 0.5},
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_not_tuned_determines_the_keys_too(name, monkeypatch):
    def found():
        jobs = Jobs(GRIDS["full"], data)
        task = TaskName("mnist", "mlp", "full")
        return [
            {
                *jobs.tuning(optimizer, task, 10).keys,
                *jobs.run(optimizer, task, 10).keys,
            }
            for optimizer in (name, "Adam")
        ]

    own, others = found()
    changed = dataclasses.replace(TUNED[name], **OTHERWISE[name])
    monkeypatch.setitem(TUNED, name, changed)
    own_after, others_after = found()
    assert not own & own_after
    assert others == others_after


def test_rules_determine_the_keys_of_learned_optimizers(monkeypatch):
    before = keys(SMALL)
    rule = lrlearn.rules.PerParameterMLP(horizon=7)
    monkeypatch.setattr(cells, "make_rule", lambda learned: rule)
    learned = {
        key
        for job in Jobs(SMALL, data).all()
        if job.cell["optimizer"] in LEARNED
        for key in job.keys
    }
    assert not before & learned


def test_radii_determine_the_keys_of_runs(monkeypatch):
    before = keys(SMALL)
    monkeypatch.setattr(cells, "RADII", {"fixed": (0.1,)})
    runs = {
        key for job in Jobs(SMALL, data).all() if job.kind == "run" for key in job.keys
    }
    assert not before & runs


def test_optimizers_are_made_with_what_is_fixed_and_what_was_tuned():
    hyperparameters = {"base": "Adam", "learning_rate": 0.25, "rho": 0.1}
    ema = TUNED["Adam-EMA"].make(hyperparameters)
    assert (ema.use_ema, ema.ema_momentum, float(ema.learning_rate)) == (
        True,
        0.99,
        0.25,
    )
    assert TUNED["SGD-M"].make(hyperparameters).momentum == 0.9
    decayed = TUNED["AdamW"].make({"learning_rate": 0.25, "weight_decay": 0.5})
    assert decayed.weight_decay == 0.5


def test_other_data_change_every_key():
    assert not keys(SMALL) & keys(SMALL, lambda name: data(name, checksum=1))


def test_a_change_of_the_default_of_the_dial_changes_runs(monkeypatch):
    before = keys(SMALL)
    monkeypatch.setitem(DEFAULT_RHO, "SAM", 0.07)
    changed = {
        (job.kind, job.cell["teacher"])
        for job in Jobs(SMALL, data).all()
        if not before >= set(job.keys)
    }
    assert changed == {("run", "SAM")}


def test_settings_of_a_dial_share_their_meta_training():
    names = "MLP SAM 0", "MLP SAM 0.1", "MLP SAM tuned"
    grid = dataclasses.replace(SMALL, networks=("mlp",), optimizers=names)
    jobs = Jobs(grid, data).all()
    metas = [job for job in jobs if job.kind == "meta"]
    assert [job.cell["optimizer"] for job in metas] == ["MLP SAM"] * grid.meta_seeds
    runs = [job for job in jobs if job.kind == "run"]
    assert {job.needs["theta"].keys[0] for job in runs} == {m.keys[0] for m in metas}
    settings = [job.settings.get("hyperparameters") for job in runs]
    assert settings == [{"rho": 0.0}] * 2 + [{"rho": 0.1}] * 2 + [None] * 2
    tunings = [job for job in jobs if job.kind == "tuning"]
    assert [(job.cell["optimizer"], job.cell["meta_seed"]) for job in tunings] == [
        ("MLP SAM tuned", 0),
        ("MLP SAM tuned", 1),
    ]


def test_explicit_optimizers_need_all_bases():
    grid = dataclasses.replace(SMALL, networks=("mlp",), optimizers=("SAM",))
    jobs = Jobs(grid, data).all()
    tuned = [job.cell["optimizer"] for job in jobs if job.kind == "tuning"]
    assert tuned == [*BASES, "SAM"]
    assert [job.cell["optimizer"] for job in jobs if job.kind == "run"] == ["SAM"]


def test_tasks_whose_images_were_seen_are_marked():
    grid = Grid("g", datasets=("mnist", "cifar10"), meta_training=MetaTraining())
    marked = {
        (c["dataset"], c["network"])
        for job in Jobs(grid, data).all()
        if job.kind == "run" and job.settings["meta_trained"]
        for c in job.cells
    }
    assert marked == {("mnist", "mlp"), ("mnist", "mlp_relu"), ("mnist", "cnn")}


def test_digits_are_few_with_wrong_labels():
    jobs = Jobs(GRIDS["digits"], data).all()
    runs = [job for job in jobs if job.kind == "run"]
    learned = {job.cell["network"] for job in runs if job.settings["meta_trained"]}
    assert learned == {"mlp", "mlp_relu", "cnn"}
    others = [job for job in jobs if job.kind != "meta"]
    assert all(job.settings["regime"]["train_size"] == 500 for job in others)
    assert all(job.settings["regime"]["label_noise"] == 0.2 for job in others)
    hand = ["SGD-M", "Adam", "RMSprop", "Adam linear", "untrained"]
    names = [*hand, "MLP none", "MLP SAM", "MLP GAM"]
    assert [job.cell["optimizer"] for job in runs] == names * 3
    assert {len(job.cells) for job in runs} == {5}


def test_a_learning_rate_decays_to_zero():
    optimizer = TUNED["AdamW linear"].make({"learning_rate": 9.0, "weight_decay": 0.5})
    schedule = optimizer._learning_rate
    schedule.peak.assign(0.2)
    schedule.steps.assign(4.0)
    rates = [float(schedule(step)) for step in (0, 1, 3, 4)]
    assert rates == pytest.approx([0.2, 0.15, 0.05, 0.0])
    assert optimizer.weight_decay == 0.5


def test_a_task_without_a_pattern_is_refused():
    with pytest.raises(ValueError, match="must match 'small/mnist/mlp'. Received"):
        Grid("g", horizons=(("full/*", (10,)),)).horizons_of(
            TaskName("mnist", "mlp", "small")
        )


def test_late_sam_counts_its_gradients():
    late, gam = TUNED["late SAM"], TUNED["GAM"]
    assert [late.gradients(step, 80) for step in (0, 70, 80)] == [0, 70, 90]
    assert gam.gradients(80, 80) == 320
    assert LEARNED["MLP SAM"].gradients(80, 80) == 80


def test_measures_are_those_of_the_first_pattern_that_matches():
    measures = [
        Measures().of(TaskName("mnist", network, "small")) for network in ("mlp", "cnn")
    ]
    assert [m.landscape_points for m in measures] == [25, 0]
    assert [m.sharpness_at[-1] for m in measures] == [1.0, 1.0]
