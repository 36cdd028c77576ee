"""Runs a program in this process, as if from the command line."""

import dataclasses
import importlib
import sys
import warnings

import pytest
from absl import app, flags
from absl.testing import flagsaver


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a program ended: `code` is 0, a number, or the error's line."""

    code: object
    out: str
    err: str


@pytest.fixture(scope="module")
def program(request):
    """The module that the test module names as `PROGRAM`.

    All flags are in one global registry, and programs share names: what the program
    defines is taken back.
    """
    app.define_help_flags()
    before = set(flags.FLAGS)
    yield importlib.import_module(request.module.PROGRAM)
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)
    programs = "binaries.", "tools.", "paper.checks."
    for name in [name for name in sys.modules if name.startswith(programs)]:
        del sys.modules[name]


@pytest.fixture
def run(program, monkeypatch, capfd):
    """A function of command-line arguments that returns an `Outcome`."""

    def run(*arguments):
        monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
        monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, arguments)])
        with flagsaver.flagsaver(), pytest.raises(SystemExit) as end:
            program.cli.run(program.main)
        return Outcome(end.value.code or 0, *capfd.readouterr())

    return run


@pytest.fixture
def error(run):
    """Like `run`, for a mistake: returns the line that it ended with."""

    def error(*arguments):
        outcome = run(*arguments)
        assert isinstance(outcome.code, str), outcome
        assert outcome.code.startswith("error: ") and "\n" not in outcome.code
        return outcome.code

    return error


@pytest.fixture
def check_help(program):
    """A function that checks --help."""

    def check():
        assert len(program.__doc__.splitlines()) < 15
        assert f"python -m {program.__name__}" in program.__doc__
        own = flags.FLAGS.get_flags_for_module(program.__name__)
        assert flags.FLAGS.get_key_flags_for_module(program.__name__) == own
        assert len(own) < 32
        for flag in own:
            assert flag.help.endswith((".", ".,")), flag.name
            assert 5 < len(flag.help) < 300, flag.name

    return check
