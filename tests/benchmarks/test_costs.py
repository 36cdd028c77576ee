"""The page of costs says what the results say."""

import json
import pathlib

import pytest

from benchmarks import cost_page

ROOT = pathlib.Path(__file__).parents[2]
RATIOS = {
    ("tensorflow", "mlp_20"): {"sam": 1.5, "scheduled_mlp": 1.51, "lstm_2x20": 6.125},
    ("tensorflow", "cnn"): {"sam": 1.9, "scheduled_mlp": 1.04, "lstm_2x20": 2.0},
    ("tensorflow", "resnet_20"): {"sam": 2.0, "scheduled_mlp": 1.0, "lstm_2x20": 1.2},
    ("torch", "mlp_20"): {"sam": 2.5, "scheduled_mlp": 2.5},
    ("torch", "cnn"): {"sam": 2.125, "scheduled_mlp": 1.25},
}
STATES = {"adam": 2, "sam": 2, "scheduled_mlp": 3.004, "lstm_2x20": 80.2}
NS = {"adam": 1.04, "scheduled_mlp": 20.06}
MEMORY = {
    "command": "python -m benchmarks.run --memory=made_up",
    "commit": "fedcba9876543210",
    "rows": [
        {
            **{"group": "memory", "backend": backend, "optimizer": name},
            **{"arguments": {"num_params": n}, "peak_bytes_per_parameter": 5.0 * n},
        }
        for backend, name, n in [("jax", "adam", 100), ("tensorflow", "adam", 1000)]
    ],
}


def _step(backend, case, optimizer, ratio):
    return {
        "group": "training_step",
        **{"backend": backend, "case": case, "optimizer": optimizer, "ratio": ratio},
        "start_ms": 1234.0 * ratio,
        "state_per_parameter": STATES[optimizer],
    }


@pytest.fixture
def results():
    """Results that were made up."""
    steps = [
        _step(*case, optimizer, ratio)
        for case, ratios in RATIOS.items()
        for optimizer, ratio in {"adam": 1.0, **ratios}.items()
    ]
    # Compiled variants, meta-steps and failures are not on the page.
    other = _step("tensorflow", "mlp_20, jit_compile", "sam", 77.0)
    meta = {"group": "meta_step", "backend": "tensorflow", "case": "es", "cpu_ms": 77.0}
    failed = {**meta, "group": "training_step", "case": "cnn", "optimizer": "lion"}
    alone = [
        {
            **{"group": "scaling", "backend": backend, "case": f"{n:.0e}"},
            **{"optimizer": name, "ns_per_parameter": ns * n / 10**4},
            "arguments": {"num_params": n},
        }
        for backend in ("torch", "tensorflow")
        for n in (10**6, 10**4)
        for name, ns in NS.items()
    ]
    return {
        "command": "python -m benchmarks.run --made=up",
        "commit": "0123456789abcdef",
        "date": "2030-01-31",
        "processor": "Abacus",
        "versions": {"tensorflow": "2.1", "torch": "3.1", "jax": "4.1"},
        "rows": [*steps, other, meta, {**failed, "error": "no"}, *alone],
    }


def test_ratios_are_marked_where_a_rule_is_dearer_than_sam(results):
    """Not where it is level with it."""
    tensorflow, torch = _parts(
        cost_page.page(results, MEMORY), "### TensorFlow", "### PyTorch"
    )
    assert "| | state | MLP 784-20-10 | CNN | ResNet-20 |" in tensorflow
    assert "| Adam | 2 | 1.00 | 1.00 | 1.00 |" in tensorflow
    assert "| SAM around Adam | 2 | 1.50 | 1.90 | 2.00 |" in tensorflow
    assert "| Lion | – | – | – | – |" in tensorflow
    assert "`lo_*` | 3 | **1.51** | 1.04 | 1.00 |" in tensorflow
    assert "`lstm_paper_*` | 80 | **6.12** | **2.00** | 1.20 |" in tensorflow
    assert "`lo_*` | 3 | 2.50 | 1.25 |" in torch


def test_a_sentence_says_where_a_rule_is_dearer_than_sam(results):
    """For each backend and each rule that was measured on it."""
    tensorflow, torch = _parts(
        cost_page.page(results, MEMORY), "### TensorFlow", "### PyTorch"
    )
    assert "`lo_*`: MLP 784-20-10.\n" in tensorflow
    assert "`lstm_paper_*`: MLP 784-20-10 and CNN.\n" in tensorflow
    assert "`lo_*`: on none of these networks.\n" in torch
    assert "lstm_paper" not in torch.split("##")[0]


def test_sentences_have_the_ranges_of_all_backends(results):
    page = " ".join(cost_page.page(results, MEMORY).split())
    mlps = (
        "MLP rules 1.51 to 2.50, LSTM rules 6.12 to 6.12, SAM around Adam 1.50 to 2.50"
    )
    assert f"work shows: {mlps}." in page
    cnns = (
        "MLP rules 1.00 to 1.25, LSTM rules 1.20 to 2.00, SAM around Adam 1.90 to 2.12"
    )
    assert f"it does much: {cnns}." in page
    assert "the rules keep 3 to 80 floats a parameter, Adam 2." in page
    assert "frozen" not in page and "77" not in page


def test_other_tables_and_the_origin(results):
    page = cost_page.page(results, MEMORY)
    titles = [f"{b}, {n}" for b in ("TensorFlow", "PyTorch") for n in ("10,000", "1,0")]
    places = [page.index(title) for title in titles]
    assert places == sorted(places)
    assert "`lo_*` | 20.1 | 2006.0 | 20.1 | 2006.0 |" in page
    start = "| TensorFlow, CNN | 1.23 | 2.34 (+1.11) | 1.28 (+0.05) | 2.47 (+1.23) |"
    assert start in page
    assert "| PyTorch, CNN | 1.23 | 2.62 (+1.39) | 1.54 (+0.31) | – |" in page
    for part in ("2030-01-31", "Abacus", "`0123456789`", "`python -m benchmarks.run"):
        assert part in page
    assert "TensorFlow 2.1 and PyTorch 3.1" in page


def test_results_without_sam_make_no_page(results):
    rows = [row for row in results["rows"] if row.get("optimizer") != "sam"]
    with pytest.raises(ValueError, match="with adam and sam. Received: "):
        cost_page.page({**results, "rows": rows}, MEMORY)


def test_the_documentation_has_the_page_of_its_results():
    """As if `benchmarks.costs` had just been run."""
    results, memory = (
        json.loads((ROOT / "benchmarks/results" / name).read_text(encoding="utf-8"))
        for name in ("costs.json", "memory.json")
    )
    page = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")
    assert page == cost_page.page(results, memory)


def test_memory(results):
    memory = cost_page.page(results, MEMORY).split("## Memory")[1].split("##")[0]
    assert "| | TensorFlow, 1,000 | JAX, 100 |" in memory
    assert "| Adam | 5000 | 500 |" in memory


def _parts(page, *titles):
    """Returns what follows each title, up to the next one."""
    starts = [page.index(title) for title in titles]
    return [page[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
