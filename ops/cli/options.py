"""Options that several commands share, and how their values are read."""

import argparse
import contextlib
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ops.errors import CannotStart

if TYPE_CHECKING:
    from core.settings import Settings

    Options = argparse.Namespace
    Command = Callable[[argparse.Namespace], int]
    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (no public name)

ROOT = Path(__file__).parents[2]
HUB_PORT = 8000
SANDBOX_PORT = 8001
SYMMETRY = "accepted for symmetry with demo, and without effect"


def add_command(
    commands: "Parsers", name: str, run: "Command", text: str
) -> argparse.ArgumentParser:
    added = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    added.set_defaults(run=run)
    return added


def add_group(commands: "Parsers", name: str, text: str) -> "Parsers":
    group = commands.add_parser(name, help=text, description=text)
    return group.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_port(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--port", type=read_port, default=HUB_PORT, help="port of the hub (%(default)s)"
    )


def add_sandbox_port(
    command: argparse.ArgumentParser, *, help_: str = "port of the sandbox (%(default)s)"
) -> None:
    command.add_argument("--sandbox-port", type=read_port, default=SANDBOX_PORT, help=help_)


def add_data(command: argparse.ArgumentParser) -> None:
    default = ROOT / ".phopay"
    command.add_argument(
        "--data", type=Path, default=default, metavar="DIR", help="folder of all data (.phopay)"
    )
    command.add_argument(
        "--postgres-port", type=read_port, metavar="PORT", help="of our own PostgreSQL (a free one)"
    )


def add_no_browser(command: argparse.ArgumentParser, *, help_: str = "open no browser") -> None:
    command.add_argument("--no-browser", action="store_false", dest="is_browser_wanted", help=help_)


def read_port(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 1 <= int(text) <= 65_535:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")


def read_instant(text: str) -> datetime:
    with contextlib.suppress(ValueError):
        if (instant := datetime.fromisoformat(text)).tzinfo is not None:
            return instant
    raise argparse.ArgumentTypeError(
        f"{text!r} is not an instant such as 2026-11-28T09:30:00+07:00"
    )


def read_processes(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 1 <= int(text) <= 64:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 64")


def read_speed(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 1 <= int(text) <= 120:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 120")


def read_settings_as(process_name: str, environment: Mapping[str, str]) -> "Settings":
    """Read the settings of a process of this command, on the database that it has opened."""
    from core.settings import WrongSettings, read_settings

    os.environ.update({"PHOPAY_PROCESS_NAME": process_name, **environment})
    try:
        return read_settings()
    except WrongSettings as problem:
        raise CannotStart(str(problem)) from problem
