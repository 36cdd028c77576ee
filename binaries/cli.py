"""How all programs start, end on a mistake, and sign their results.

Programs run from a checkout; `pip install .` installs the library alone. They import
TensorFlow, and what needs it, in their functions: --help takes no seconds.
"""

import contextlib
import datetime
import importlib.metadata
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import warnings

from absl import app, logging

# What TensorFlow writes on a machine without a GPU, or whose instructions it could use.
_NOTES = re.compile(
    r"WARNING: All log messages before absl|I\d{4} |To enable the following instruc"
    r"|E\d{4} .*failed call to cuInit"
)


def run(main):
    """Runs an absl program; a mistake of the user's ends it with one line.

    Args:
        main: Function without arguments. `ValueError`, `OSError`, a missing package and
            Ctrl-C end the program with a line on stderr; `--verbosity=1` shows the
            traceback. The line of Ctrl-C is the message of the `KeyboardInterrupt`, if
            it has one; the exit status is 130, or 143 after SIGTERM. Warnings take one
            line, too.
    """

    def start(arguments):
        warnings.formatwarning = _one_line
        if len(arguments) > 1:
            sys.exit(f"error: unknown arguments {arguments[1:]}; flags begin with --")
        os.environ["MPLBACKEND"] = "Agg"  # figures go to files
        try:
            _start_tensorflow()
            main()
        except (ValueError, OSError, NotImplementedError, ArithmeticError) as error:
            logging.debug("", exc_info=True)
            sys.exit(f"error: {' '.join(str(error).split())}")
        except ModuleNotFoundError as error:
            logging.debug("", exc_info=True)
            sys.exit(f"error: {error.name} must be installed: pip install '.[paper]'")
        except ImportError as error:  # of another backend than TensorFlow, say
            logging.debug("", exc_info=True)
            sys.exit(f"error: {' '.join(str(error).split())}")
        except KeyboardInterrupt as interrupt:
            print(f"\n{str(interrupt) or 'Interrupted.'}", file=sys.stderr)
            sys.exit(128 + getattr(interrupt, "signal", signal.SIGINT))

    app.run(start)


def parse_arguments(pairs):
    """Returns a dict of `name=value` strings: numbers, and true and false, as such.

    Args:
        pairs: A list of strings such as `"rho=0.05"` or `"variant=released"`.

    Example:
        >>> from binaries import cli
        >>> cli.parse_arguments(["rho=0.05", "variant=released"])
        {'rho': 0.05, 'variant': 'released'}
    """
    arguments = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise ValueError(f"Arguments must be name=value. Received: {pair!r}")
        arguments[name] = _parse(value)
    return arguments


def numbers(flag, kind=float):
    """Returns the value of a list flag as a tuple of numbers.

    Args:
        flag: What `flags.DEFINE_list` returned.
        kind: `float` (the default) or `int`.
    """
    try:
        return tuple(map(kind, flag.value))
    except ValueError:
        names = {float: "numbers", int: "integers"}
        raise ValueError(
            f"--{flag.name} must be {names[kind]}, comma-separated. Received: "
            f"{','.join(flag.value)}"
        ) from None


def output_directory(path):
    """Returns a directory, made if need be, that files can be written to."""
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path):
        return path


def write_json(path, content):
    """Writes a JSON-able dict to a file."""
    from lrlearn.files import write_atomically

    write_atomically(path, json.dumps(content, indent=2) + "\n")


def write_table(path, frame, origin, float_format=None):
    """Writes a frame as a CSV file, and its origin as the JSON file of that name.

    Args:
        path: Path of the CSV file, a `pathlib.Path`.
        frame: A `pandas.DataFrame`; its index is not written.
        origin: What `provenance` returned before anything was written, which would make
            the tree look changed.
        float_format: As of `pandas.DataFrame.to_csv`.
    """
    from lrlearn.files import write_atomically

    write_json(path.with_suffix(".json"), origin)
    write_atomically(path, frame.to_csv(index=False, float_format=float_format))


def provenance():
    """Returns the origin of a result, a JSON-able dict."""
    packages = ("lrlearn", "keras", "tensorflow", "numpy")
    module = sys.modules["__main__"].__spec__
    program = ["-m", module.name] if module else [sys.argv[0]]
    return {
        "command": shlex.join(["python", *program, *sys.argv[1:]]),
        "commit": _commit(),
        "date": datetime.date.today().isoformat(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def _start_tensorflow():
    """Imports TensorFlow, which looks for GPUs, without its notes on what it finds."""
    if "tensorflow" in sys.modules:
        return
    # No notes and warnings of its C++ code later on: it warns of its own estimates of
    # costs, "PredictCost()". Python's warnings, and errors, are shown.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _held_back(_NOTES):
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _held_back(notes):
    """Writes the lines for stderr at the end, but for those that match a pattern."""
    stderr = os.dup(2)  # C++ code knows no `sys.stderr`
    with tempfile.TemporaryFile("w+", errors="replace") as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            sys.stderr.writelines(line for line in held if not notes.match(line))


def _one_line(message, *_):
    """See `warnings.formatwarning`, which also shows a line of code."""
    return f"warning: {' '.join(str(message).split())}\n"


def _parse(value):
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    return value


def _commit():
    """Returns the commit, with a "+" if files have changed since; or the version."""
    root = pathlib.Path(__file__).resolve().parents[1]
    command = ["describe", "--always", "--dirty=+", "--abbrev=40"]
    commit = ""
    if (root / ".git").exists():  # not that of a repository around it
        with contextlib.suppress(OSError):
            git = subprocess.run(["git", "-C", root, *command], capture_output=True)
            commit = git.stdout.decode().strip()
    return commit or f"lrlearn {importlib.metadata.version('lrlearn')}"
