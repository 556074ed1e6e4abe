"""The command line, ./phopay. Commands import what they need only when they run."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ops.cli.database import add_database
from ops.cli.development import add_development
from ops.cli.ledger import add_ledger
from ops.cli.options import ROOT, add_command
from ops.cli.running import add_running
from ops.cli.tools import add_tools
from ops.console import say
from ops.errors import CannotStart

if TYPE_CHECKING:
    from ops.cli.options import Options

INTERRUPTED = 130  # what a shell answers for Ctrl-C
DESCRIPTION = "PhoPay, a city's own cashless payment hub: VietQR codes that confirm themselves."
EPILOG = """\
start here:  ./phopay demo    a whole city on this machine, with a sandbox bank to pay from
data:        PostgreSQL of its own in .phopay/, or the one that DATABASE_URL names
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a failure is one message."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    options, rest = parser.parse_known_args(given)
    if rest and not getattr(options, "takes_rest", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    try:
        code: int = options.run(options)
    except CannotStart as problem:
        for line in str(problem).splitlines():
            say(line)
        return 1
    except KeyboardInterrupt:
        say("Stopped")
        return INTERRUPTED
    except OSError as problem:
        if problem.errno != 28:  # ENOSPC
            raise
        say(f"The disk is full ({problem.filename or 'while writing'}): free some space first")
        return 1
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="./phopay",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_running(commands)
    add_database(commands)
    add_ledger(commands)
    add_development(commands)
    add_tools(commands)
    add_command(commands, "version", _version, "print the version")
    return parser


def _version(options: "Options") -> int:
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        print(tomllib.load(file)["project"]["version"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
