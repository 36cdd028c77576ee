"""Cases are distinct and can be measured; results are kept and shown."""

import json

import pytest

from benchmarks import cases, collect, networks, report, worker

TINY = {
    "meta_step": {"rule": "lstm_2x10", "estimator": "replay", "unroll": 1},
    "training_step": {"network": "mlp_20", "steps": 2, "optimizers": ["adam", "sam"]},
    "scaling": {"optimizer": "lstm_2x10", "num_params": 100, "steps": 1},
}
BASELINE = cases.Case("scaling", "a", {}, "a")


@pytest.fixture
def measured(monkeypatch):
    """A function that sets what the processes give, one after the other."""

    def measured(*rows):
        outcomes = iter(rows)
        monkeypatch.setattr(collect, "run", lambda case, repeats: [next(outcomes)])

    return measured


def test_cases_are_distinct_and_have_their_baselines():
    chosen = cases.select()
    names = [(case.group, case.name) for case in chosen]
    assert len(set(names)) == len(names)
    assert {case.group for case in chosen} == set(cases.GROUPS)
    assert all((c.group, c.baseline or c.name) in names for c in chosen)


def test_cases_are_selected():
    chosen = cases.select(["scaling"], "adam")
    assert {case.arguments["optimizer"] for case in chosen} == {"adam"}
    with pytest.raises(ValueError, match="No case has 'adam'"):
        cases.select(["meta_step"], "adam")
    with pytest.raises(ValueError, match=r"among .*\['speed'\]"):
        cases.select(["speed"])


@pytest.mark.parametrize("group", cases.GROUPS)
def test_a_tiny_case_gives_positive_numbers(group):
    rows = worker.measure(cases.Case(group, "tiny", TINY[group]), repeats=1)
    for row in json.loads(json.dumps(rows)):
        assert "error" not in row
        assert {"cpu_ms", "cpu_ms_min", "cpu_ms_max", "peak_mib"} < set(row)
        assert all(n > 0 for n in row.values() if not isinstance(n, str))


def test_a_failure_is_a_row():
    (row,) = worker.measure(cases.Case("scaling", "no", {"optimizer": "no"}), 1)
    assert set(row) == {"error"} and row["error"].startswith("TypeError: ")


def test_a_failed_optimizer_does_not_stop_the_others():
    arguments = {"network": "mlp_20", "steps": 1, "optimizers": ["adam", "no"]}
    rows = worker.measure(cases.Case("training_step", "", arguments), 1)
    assert [row.get("error") for row in rows] == [None, "KeyError: 'no'"]


def test_results_are_ratios_to_the_baseline(measured):
    measured({"tanh": 1.0}, {"cpu_ms": 2.0}, {"cpu_ms": 3.0}, {"tanh": 1.0})
    other = cases.Case("scaling", "b", {}, "a")
    *_, results = collect.collect([BASELINE, other], repeats=1)
    assert [row["ratio"] for row in results["rows"]] == [1.0, 1.5]
    assert len(results["yardsticks"]) == 2


def test_results_are_shown(measured):
    measured({"tanh": 1.0}, {"error": "broken"}, {"cpu_ms": 3.0}, {"tanh": 1.0})
    other = cases.Case("scaling", "b", {}, "a")
    *_, results = collect.collect([BASELINE, other], repeats=1)
    text = report.tables(results)
    assert "before" in text and "broken" in text and "ratio" not in text


def test_the_networks_have_their_sizes():
    names = ("mlp_20", "mlp_128_128", "resnet_20")
    sizes = [_size(networks.build(name)) for name in names]
    # He et al. (2016, table 6) say 0.27 million for ResNet-20.
    assert sizes == [15910, 118282, 269722]


def _size(model):
    return sum(v.numpy().size for v in model.trainable_variables)
