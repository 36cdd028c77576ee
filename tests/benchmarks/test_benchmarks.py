"""Cases are distinct and can be measured; results are kept and shown."""

import functools
import json
import math

import keras
import pytest

from benchmarks import backends, cases, collect, networks, report, subjects, worker
from lrlearn.tasks import networks as library
from tests import processes

TINY = {
    "meta_step": {"rule": "lstm_2x10", "estimator": "replay", "unroll": 1},
    "training_step": {"network": "mlp_20", "steps": 2, "optimizers": ["adam", "sam"]},
    "scaling": {"num_params": 100, "steps": 1, "optimizers": ["adam", "lstm_2x10"]},
    "memory": {"num_params": 10**6, "optimizers": ["scheduled_mlp"]},
}
BASELINE = cases.Case("scaling", "a", {}, "a")


@pytest.fixture
def measured(monkeypatch):
    """A function that sets what the processes give, one after the other."""

    def measured(*rows):
        outcomes = iter(rows)
        monkeypatch.setattr(collect, "run", lambda case, repeats: [next(outcomes)])

    return measured


@pytest.mark.parametrize("quick", [False, True])
def test_cases_are_distinct_and_have_their_baselines(quick):
    chosen = cases.select(quick=quick)
    names = [(case.group, case.backend, case.name) for case in chosen]
    assert len(set(names)) == len(names)
    groups = set(cases.GROUPS) - ({"meta_step", "memory"} if quick else set())
    assert {case.group for case in chosen} == groups
    assert all((c.group, c.backend, c.baseline or c.name) in names for c in chosen)


def test_each_backend_has_the_same_cases_but_for_meta_steps_and_xla():
    chosen = {
        backend: {
            (case.group, case.name): case.arguments
            for case in cases.select(on=[backend])
        }
        for backend in ("tensorflow", "jax", "torch")
    }
    assert chosen["jax"] == chosen["torch"]
    assert chosen["jax"].items() <= chosen["tensorflow"].items()
    more = chosen["tensorflow"].keys() - chosen["jax"].keys()
    assert all(group == "meta_step" or "jit_compile" in name for group, name in more)


def test_cases_are_selected():
    chosen = cases.select(["scaling"], "1e+07", ["adam", "lstm_2x20"], ["jax"])
    assert [case.arguments["optimizers"] for case in chosen] == [["adam"]]
    assert [case.backend for case in chosen] == ["jax"]
    with pytest.raises(ValueError, match="only='adam'"):
        cases.select(["meta_step"], "adam")
    with pytest.raises(ValueError, match="only='', .*quick=True"):
        cases.select(["meta_step"], quick=True)


@pytest.mark.parametrize("argument", ["groups", "optimizers", "on"])
def test_misspelt_names_are_refused(argument):
    with pytest.raises(ValueError, match=r"must be among .* Received: \['speed'\]"):
        cases.select(**{argument: ["speed"]})


def test_a_backend_that_is_not_installed_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(backends.importlib.util, "find_spec", {"jax": 1}.get)
    assert backends.without_missing(["torch", "jax", "cuda"]) == ["jax", "cuda"]
    assert capsys.readouterr().err == "torch is not installed: it is left out.\n"


@pytest.mark.parametrize("group", cases.GROUPS)
def test_a_tiny_case_gives_positive_numbers(group):
    _check(json.loads(json.dumps(_measure(group))))


@pytest.mark.backends
@pytest.mark.parametrize("backend", processes.BACKENDS[1:])
@pytest.mark.parametrize("group", ["training_step", "scaling", "memory"])
def test_a_tiny_case_on_another_backend(group, backend):
    """In a process of its own, as `collect` starts it."""
    case = cases.Case(group, "tiny", TINY[group], backend=backend)
    rows = collect.run(case, repeats=1)
    _check(rows)
    assert [row["optimizer"] for row in rows] == TINY[group]["optimizers"]


@pytest.mark.backends
@pytest.mark.parametrize("backend", processes.BACKENDS[1:])
def test_no_measurement_on_another_backend_imports_tensorflow(backend):
    output = processes.run("tests.benchmarks.run_worker", KERAS_BACKEND=backend)
    assert output.splitlines()[-1] == backend


@pytest.mark.backends
def test_a_step_on_jax_is_measured_to_its_end():
    """JAX returns before it has computed."""
    output = processes.run("tests.benchmarks.run_wait", KERAS_BACKEND="jax")
    assert output.splitlines()[-1] == "done"


@functools.cache
def _measure(group):
    return worker.measure(cases.Case(group, "tiny", TINY[group]), repeats=1)


def _check(rows):
    for row in rows:
        assert "error" not in row
        assert {"cpu_ms", "cpu_ms_min", "cpu_ms_max", "peak_mib"} < set(row)
        assert all(n > 0 for n in row.values() if not isinstance(n, str))


def test_the_start_takes_longer_than_a_step():
    """It builds the graph; SAM's has two passes, and the state is Adam's."""
    adam, sam = _measure("training_step")
    for row in (adam, sam):
        assert row["start_ms"] > 5 * row["cpu_ms"]
        assert row["state_per_parameter"] == 2
    assert adam["ratio"] == 1 and sam["ratio"] == sam["cpu_ms"] / adam["cpu_ms"]


def test_the_peak_of_memory_has_all_that_a_step_needs():
    """Three floats of state; parameters and gradients besides."""
    (row,) = _measure("memory")
    assert row["state_bytes_per_parameter"] == pytest.approx(12, 0.01)
    assert 8 + 12 < row["peak_bytes_per_parameter"] < 1000


def test_a_failure_is_a_row():
    (row,) = worker.measure(cases.Case("scaling", "no", {"optimizer": "no"}), 1)
    assert set(row) == {"error"} and row["error"].startswith("TypeError: ")


@pytest.mark.parametrize("group", ["training_step", "scaling"])
def test_a_failed_optimizer_does_not_stop_the_others(group):
    arguments = {**TINY[group], "optimizers": ["adam", "no"]}
    rows = worker.measure(cases.Case(group, "", arguments), 1)
    assert [row.get("error") for row in rows] == [None, "KeyError: 'no'"]


def test_names_have_their_parts():
    """Each is an optimizer, alone or in a regularizer."""
    parts = {name: subjects.parts(name) for name in subjects.trained_with()}
    assert parts["muon"] == ("none", "muon")
    assert parts["gam"] == ("gam", "adam")
    assert parts["sam+muon"] == ("sam", "muon")
    for regularizer, optimizer in parts.values():
        assert isinstance(subjects.optimizer(optimizer), keras.optimizers.Optimizer)
        assert (subjects.regularizer(regularizer) is None) == (regularizer == "none")


def test_results_are_ratios_to_the_baseline(measured):
    measured({"tanh": 1.0}, {"cpu_ms": 2.0}, {"cpu_ms": 3.0}, {"tanh": 1.0})
    other = cases.Case("scaling", "b", {}, "a")
    *_, results = collect.collect([BASELINE, other], repeats=1)
    assert [row["ratio"] for row in results["rows"]] == [1.0, 1.5]
    assert [row["backend"] for row in results["rows"]] == ["tensorflow"] * 2
    assert len(results["yardsticks"]) == 2


def test_results_are_shown(measured):
    measured({"tanh": 1.0}, {"error": "broken"}, {"cpu_ms": 3.0}, {"tanh": 1.0})
    other = cases.Case("scaling", "b", {}, "a")
    *_, results = collect.collect([BASELINE, other], repeats=1)
    text = report.tables(results)
    assert "before" in text and "broken" in text and "ratio" not in text


def test_the_networks_have_their_sizes():
    names = ("mlp_20", "mlp_128_128", "mlp_512_512", "frozen", "resnet_20")
    sizes = [_size(networks.build(name)) for name in names]
    # A head of 2048-128-10 units is trained. He et al. (2016, table 6) say 0.27 million
    # for ResNet-20.
    assert sizes == [15910, 118282, 669706, 263562, 269722]


@pytest.mark.parametrize("name, in_library", [("mlp_20", "mlp"), ("cnn", "cnn")])
def test_two_networks_are_the_library_s(name, in_library):
    model = networks.build(name)
    other = library.build(in_library, model.input_shape[1:])
    assert _layers(model) == _layers(other)


def _layers(model):
    """Returns the classes of layers and their settings, without their names."""
    return [
        (type(layer), {k: v for k, v in layer.get_config().items() if k != "name"})
        for layer in model.layers
    ]


def _size(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)
