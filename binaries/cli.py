"""What all programs share: how they start, and how they end on a user's mistake."""

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
