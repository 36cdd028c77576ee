"""The commands of README and of the documentation have flags that there are."""

import json
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
_BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
# Up to a quotation mark, as a command may be a shell variable's value.
_PROGRAM = re.compile(r"python -m (binaries\.\w+)([^\n\"]*)")
_PARSE = """
import importlib, json, sys
from absl import flags

importlib.import_module(sys.argv[1])
for arguments in json.loads(sys.argv[2]):
    flags.FLAGS.unparse_flags()
    rest = flags.FLAGS(["program", *arguments])
    assert not rest[1:], rest
"""


def _commands():
    """Returns the arguments of each command, lists by the program's name."""
    found = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        blocks = "".join(_BLOCK.findall(page.read_text())).replace("\\\n", " ")
        for program, line in _PROGRAM.findall(blocks):
            arguments = shlex.split(line, comments=True)
            found.setdefault(program, []).append(arguments)
    return found


@pytest.mark.parametrize("program", _commands())
def test_flags(program):
    """They are parsed, and nothing is run."""
    arguments = json.dumps(_commands()[program])
    command = [sys.executable, "-c", _PARSE, program, arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_programs_are_found():
    assert {"binaries.meta_train", "binaries.train"} <= _commands().keys()
