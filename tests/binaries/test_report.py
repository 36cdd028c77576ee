"""`report` writes the report of a store."""

from paper.grid import store
from tests.paper.grid_rows import make_rows

PROGRAM = "binaries.report"


def write_store(directory):
    axes = {"datasets": ("mnist",), "networks": ("mlp",), "regimes": ("full",)}
    rows = make_rows(**axes, baselines=("Adam",), explicit=(), rules=(), seeds=1)
    store.begin(directory, {"name": "made_up", "digest": "0"})
    store.append(directory, rows)
    return rows


def test_help(check_help):
    check_help()


def test_it_writes_the_report(run, tmp_path):
    rows = write_store(tmp_path / "store")
    output = tmp_path / "out"
    export = tmp_path / "rows.jsonl.gz"
    arguments = f"--store={tmp_path / 'store'}", f"--output={output}"
    outcome = run(*arguments, f"--export={export}")
    assert outcome.code == 0 and f"{len(rows)} rows" in outcome.out
    figures = list((output / "figures").iterdir())
    assert f"{len(figures)} figures" in outcome.out and len(figures) > 2
    for name in ("REPORT.md", "report.html"):
        assert name in outcome.out
        text = (output / name).read_text()
        assert "results of the grid made_up" in text and " ".join(arguments) in text
    again = run(f"--store={export}", f"--output={tmp_path / 'again'}")
    assert again.code == 0 and f"{len(rows)} rows" in again.out


def test_it_writes_to_runs_by_default(program):
    assert program._OUTPUT.default == "runs/report"


def test_no_store(error, tmp_path):
    assert "nowhere" in error(f"--store={tmp_path / 'nowhere'}", f"--output={tmp_path}")
