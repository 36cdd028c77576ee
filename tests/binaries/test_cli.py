"""Programs end on a mistake with one line, and sign their results."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import warnings

import pytest
from absl import flags

import lrlearn
from binaries import cli, shared_flags

PROGRAM = "binaries.cli"
PROGRAMS = (
    "evaluate_pga",
    "meta_train",
    "plot_landscape",
    "report",
    "reproduce",
    "train",
)


@pytest.fixture
def end(program, monkeypatch, run):
    """A function that returns the outcome of a main that raises."""

    def end(exception, *arguments):
        def main():
            raise exception

        monkeypatch.setattr(program, "main", main, raising=False)
        monkeypatch.setattr(program, "cli", program, raising=False)
        return run(*arguments)

    return end


@pytest.mark.parametrize(
    "kind", [ValueError, FileNotFoundError, PermissionError, NotImplementedError]
)
def test_a_mistake_ends_with_one_line(end, kind):
    outcome = end(kind("`rho` must be positive.\n\n  Received: -1"))
    assert outcome.code == "error: `rho` must be positive. Received: -1"
    assert "Traceback" not in outcome.err


def test_a_missing_package_ends_with_one_line(end):
    outcome = end(ModuleNotFoundError("No module named 'markdown'", name="markdown"))
    assert outcome.code == "error: markdown must be installed: pip install '.[paper]'"


def test_another_backend_ends_with_one_line(end):
    outcome = end(ImportError("Tasks need the TensorFlow backend.\nReceived: jax"))
    assert outcome.code == "error: Tasks need the TensorFlow backend. Received: jax"


def test_a_bug_is_not_hidden(end):
    with pytest.raises(TypeError, match="a bug"):
        end(TypeError("a bug"))


@pytest.mark.parametrize(
    "arguments, line", [((), "Interrupted."), (("At 3.",), "At 3.")]
)
def test_an_interrupt_ends_with_one_line(end, arguments, line):
    outcome = end(KeyboardInterrupt(*arguments))
    assert outcome.code == 130
    assert outcome.err.strip() == line


def test_warnings_take_one_line(program, monkeypatch, run):
    def main():
        print(warnings.formatwarning("passed\n over", UserWarning, "file.py", 3))

    monkeypatch.setattr(program, "main", main, raising=False)
    monkeypatch.setattr(program, "cli", program, raising=False)
    assert run().out.strip() == "warning: passed over"


def test_arguments_without_dashes_are_refused(end):
    assert "['steps=3']" in end(None, "steps=3").code


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_import_tensorflow_late(name):
    """So that --help and mistakes in flags take no seconds."""
    code = f"import sys, binaries.{name}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert f"binaries.{name}" in found.split()
    slow = {"tensorflow", "keras", "lrlearn", "matplotlib", "pandas", "jinja2"}
    assert not slow & set(found.split())


def test_names_of_flags_are_those_of_the_library():
    """They stand twice, for the library takes seconds to import."""
    assert list(shared_flags._REGULARIZERS) == lrlearn.regularizers.names()
    assert list(shared_flags._TASKS) == lrlearn.tasks.names()


def test_lines_are_held_back_but_for_notes(capfd):
    """Written by whatever code, also if it fails."""
    with pytest.raises(OSError, match="fails"), cli._held_back(cli._NOTES):
        os.write(2, b"I0000 00:00 a note\nE0000 failed call to cuInit: x\n")
        os.write(2, b"W0000 00:00 a warning\nE0000 an error\n")
        raise OSError("fails")
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "W0000 00:00 a warning\nE0000 an error\nlater\n"


def test_arguments_are_parsed():
    pairs = ["rho=0.05", "variant=released", "nesterov=True", "n=3", "x=a=b"]
    parsed = cli.parse_arguments(pairs)
    expected = {"rho": 0.05, "variant": "released", "nesterov": True, "n": 3}
    assert parsed == {**expected, "x": "a=b"}
    assert isinstance(parsed["n"], int)  # Keras refuses 3.0, of ema_overwrite_frequency


@pytest.mark.parametrize("pair", ["rho", "rho=", "=1", ""])
def test_arguments_need_a_name_and_a_value(pair):
    with pytest.raises(ValueError, match="must be name=value"):
        cli.parse_arguments([pair])


def test_numbers():
    values = flags.FlagValues()
    flag = flags.DEFINE_list("radii", ["1", "2.5"], "Help.", flag_values=values)
    values.mark_as_parsed()
    assert cli.numbers(flag) == (1.0, 2.5)
    with pytest.raises(ValueError, match="--radii must be integers.*1,2.5"):
        cli.numbers(flag, int)


def test_output_directory_is_made_and_left_empty(tmp_path):
    path = cli.output_directory(tmp_path / "a" / "b")
    assert path.is_dir() and not list(path.iterdir())


def test_output_directory_cannot_be_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        cli.output_directory(tmp_path / "file")


def test_provenance(monkeypatch):
    monkeypatch.setattr("sys.argv", ["x", "--output=my runs"])
    content = json.loads(json.dumps(cli.provenance()))
    assert content["command"].endswith("'--output=my runs'")
    assert set(content["versions"]) == {"lrlearn", "keras", "tensorflow", "numpy"}
    assert content["commit"] and content["date"]


def _commit_of(directory):
    """Returns the commit that a copy of the program in a directory reports."""
    (directory / "binaries").mkdir(parents=True)
    copied = shutil.copy(cli.__file__, directory / "binaries")
    spec = importlib.util.spec_from_file_location("copied_cli", copied)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.provenance()["commit"]


def _repository(path):
    path.mkdir(parents=True)
    commit = ["commit", "--allow-empty", "--quiet", "--message=first"]
    name = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "--quiet"], [*name, *commit]):
        subprocess.run(["git", "-C", str(path), *command], check=True)
    head = ["git", "-C", str(path), "rev-parse", "HEAD"]
    return subprocess.run(head, check=True, capture_output=True, text=True).stdout


def test_the_commit_is_that_of_its_own_checkout(tmp_path):
    """Not that of a repository around it, in which it is installed."""
    version = f"lrlearn {importlib.metadata.version('lrlearn')}"
    head = _repository(tmp_path / "own").strip()
    assert _commit_of(tmp_path / "own").removesuffix("+") == head
    _repository(tmp_path / "other")
    assert _commit_of(tmp_path / "other/.venv/site-packages") == version
    assert _commit_of(tmp_path / "none") == version


def test_without_git_it_is_the_version(monkeypatch, tmp_path):
    """The program is not installed everywhere."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.provenance()["commit"].startswith("lrlearn ")
