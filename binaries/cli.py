"""What all programs share: how they start, end on a mistake, and sign their results."""

import datetime
import importlib.metadata
import pathlib
import shlex
import subprocess
import sys

from absl import app, logging


def run(main):
    """Runs an absl program; a mistake of the user's ends it with one line.

    Args:
        main: Function without arguments. `ValueError`, `OSError` and Ctrl-C end the
            program with a line on stderr; `--verbosity=1` shows where they came from.
    """

    def start(arguments):
        if len(arguments) > 1:
            sys.exit(f"error: unknown arguments {arguments[1:]}; flags begin with --")
        try:
            main()
        except (ValueError, OSError, NotImplementedError) as error:
            logging.debug("", exc_info=True)
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            sys.exit(130)

    app.run(start)


def parse_arguments(pairs):
    """Returns a dict of `name=value` strings, numbers as floats.

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
        try:
            arguments[name] = float(value)
        except ValueError:
            arguments[name] = value
    return arguments


def provenance(module):
    """Returns where a result came from, a JSON-able dict.

    Args:
        module: Full name of the module that was run with `python -m`.
    """
    packages = ("lrlearn", "keras", "tensorflow", "numpy")
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "commit": _commit(),
        "date": datetime.date.today().isoformat(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def _commit():
    """The commit that this file is of; with a "+" where the tree has changed since."""
    git = ["git", "-C", str(pathlib.Path(__file__).parent), "describe"]
    try:
        done = subprocess.run(
            [*git, "--always", "--dirty=+", "--abbrev=40"],
            capture_output=True,
            text=True,
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
