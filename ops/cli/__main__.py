"""The command line, ./phopay. Commands import what they need only when they run."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ops.console import say
from ops.errors import CannotStart

if TYPE_CHECKING:
    Options = argparse.Namespace
    Command = Callable[[argparse.Namespace], int]
    Parsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (no public name)

ROOT = Path(__file__).parents[2]
HUB_PORT = 8000
SANDBOX_PORT = 8001
SYMMETRY = "accepted for symmetry with demo, and without effect"
INTERRUPTED = 130  # what a shell answers for Ctrl-C
DESCRIPTION = "PhoPay, a city's own cashless payment hub: VietQR codes that confirm themselves."
EPILOG = """\
start here:  ./phopay demo    a whole city on this machine, with a sandbox bank to pay from
data:        PostgreSQL of its own in .phopay/, or the one that DATABASE_URL names
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; failures are told in one message."""
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
    _add_running(commands)
    _add_database(commands)
    _add_development(commands)
    _add_tools(commands)
    _add(commands, "version", _version, "print the version")
    return parser


# Commands that run something


def _add_running(commands: "Parsers") -> None:
    demo = _add(commands, "demo", _demo, "run a whole demo city: hub, worker, sandbox, PostgreSQL")
    _add_port(demo)
    _add_sandbox_port(demo)
    _add_data(demo)
    _add_no_browser(demo)

    serve = _add(commands, "serve", _serve, "run the hub")
    _add_port(serve)
    _add_sandbox_port(serve, help_=SYMMETRY)
    _add_data(serve)
    _add_no_browser(serve, help_=SYMMETRY)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--workers", type=_positive, default=1, help="processes (%(default)s)")

    worker = _add(
        commands, "worker", _worker, "run the worker: backlog, late credits, expiry, retention"
    )
    _add_data(worker)

    sandbox = _add(commands, "sandbox", _sandbox, "run the sandbox: a fake bank and providers")
    sandbox.add_argument(
        "--port", "--sandbox-port", dest="sandbox_port", type=_port, default=SANDBOX_PORT,
        help="port of the sandbox (%(default)s)",
    )  # fmt: skip
    _add_data(sandbox)
    _add_no_browser(sandbox, help_=SYMMETRY)
    sandbox.set_defaults(takes_rest=True)  # --seed, --time-scale, … are the sandbox's own


def _demo(options: "Options") -> int:
    from ops.demo.run import run_demo
    from ops.processes import stop_on_signals

    stop_on_signals()
    run_demo(
        port=options.port,
        sandbox_port=options.sandbox_port,
        data_dir=options.data,
        postgres_port=options.postgres_port,
        is_browser_wanted=options.is_browser_wanted,
    )
    return 0


def _serve(options: "Options") -> int:
    from ops.processes import stop_on_signals
    from ops.serving import serve

    stop_on_signals()
    serve(
        host=options.host,
        port=options.port,
        workers=options.workers,
        data_dir=options.data,
        postgres_port=options.postgres_port,
    )
    return 0


def _worker(options: "Options") -> int:
    from ops.database import open_database
    from ops.processes import stop_on_signals

    stop_on_signals()
    with open_database(
        options.data, may_prepare=False, postgres_port=options.postgres_port
    ) as environment:
        os.environ.update({"PHOPAY_PROCESS_NAME": "worker", **environment})
        from worker.app import main as run_worker

        run_worker()
    return 0


def _sandbox(options: "Options") -> int:
    import importlib

    from ops.serving import bind

    bind("127.0.0.1", options.sandbox_port, used_for="the sandbox", option="--port").close()
    say(f"The sandbox listens on http://127.0.0.1:{options.sandbox_port}; Ctrl-C stops it")
    data = options.data.resolve() / "sandbox"
    known = ["--port", str(options.sandbox_port), "--data", str(data)]
    # By name: the sandbox is a program of its own, and no layer of ours may import it.
    importlib.import_module("sandbox.__main__").main([*known, *options.rest])
    return 0


# Commands on the database


def _add_database(commands: "Parsers") -> None:
    migrate = _add(commands, "migrate", _migrate, "make the roles and migrate the database")
    migrate.add_argument("--to", metavar="REVISION", help="an older or newer revision, or base")
    migrate.add_argument("--show", action="store_true", help="print the revision, change nothing")
    _add_data(migrate)

    _add_backups(commands)
    code = _add(commands, "add-code", _add_code, "give an organisation one more code")
    code.add_argument("organisation", metavar="CODE", help="a code that it has")
    code.add_argument("code", metavar="NEWCODE", help="four letters and digits of a reference")
    _add_data(code)
    seed = _add(commands, "seed", _seed, "fill a database with the demo city")
    _add_data(seed)
    _add_port(seed)
    _add_sandbox_port(seed)
    seed.add_argument(
        "--new-passwords", action="store_true", help="give everybody of the city a new one"
    )


def _add_backups(commands: "Parsers") -> None:
    backup = _add(commands, "backup", _backup, "back up the database into a new folder")
    backup.add_argument("folder", metavar="DIR", type=Path, help="where backups are collected")
    backup.add_argument(
        "--with-key", action="store_true", help="put the secret key into it: keep it like the key"
    )
    _add_data(backup)

    restore = _add(commands, "restore", _restore, "restore a backup; no reference comes twice")
    restore.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="one backup")
    restore.add_argument(
        "--replace", action="store_true", help="even if the database is not empty: all of it goes"
    )
    restore.add_argument(
        "--advance-serials", action="store_true",
        help="restore nothing: the database came back by other means (standby, volume, WAL)",
    )  # fmt: skip
    restore.add_argument(
        "--lost-since", metavar="INSTANT", type=_instant,
        help="with --advance-serials: from when on changes are missing (the newest that is there)",
    )  # fmt: skip
    restore.add_argument(
        "--sign-out", action="store_true", help="with --advance-serials: end all sessions too"
    )
    _add_data(restore)


def _migrate(options: "Options") -> int:
    from ops import migrate
    from ops.database import keep_trying, open_database

    is_change_wanted = not options.show and options.to is None
    with open_database(
        options.data,
        may_prepare=is_change_wanted,
        is_migration_wanted=is_change_wanted,
        postgres_port=options.postgres_port,
    ) as environment:
        owner_url = environment["PHOPAY_DATABASE_URL"]
        if options.to is not None:
            migrate.move_to(owner_url, options.to)
        print(keep_trying(lambda: migrate.read_current(owner_url)) or "empty")
    return 0


def _add_code(options: "Options") -> int:
    import asyncio

    from core.settings import WrongSettings, read_settings
    from ops.database import open_database
    from ops.organisation_codes import add_organisation_code

    with open_database(
        options.data,
        may_prepare=False,
        is_migration_wanted=False,
        postgres_port=options.postgres_port,
    ) as environment:
        os.environ.update({"PHOPAY_PROCESS_NAME": "add-code", **environment})
        try:
            settings = read_settings()
        except WrongSettings as problem:
            raise CannotStart(str(problem)) from problem
        name = asyncio.run(add_organisation_code(settings, options.organisation, options.code))
        say(f"{options.code} is a code of {name} now; references go on with it.")
    return 0


def _backup(options: "Options") -> int:
    from ops.backup.backup import make_backup
    from ops.database import open_database

    with open_database(
        options.data,
        may_prepare=False,
        is_migration_wanted=False,
        postgres_port=options.postgres_port,
    ) as environment:
        owner_url, key = environment["PHOPAY_DATABASE_URL"], environment["PHOPAY_SECRET_KEY"]
        print(make_backup(owner_url, key, options.folder, has_key=options.with_key))
    return 0


def _restore(options: "Options") -> int:
    from ops.backup.restore import advance_serials, restore_backup, word_restored
    from ops.database import open_database, restore_key

    if (options.folder is None) != options.advance_serials:
        raise CannotStart("Name one backup to restore, or give --advance-serials.")
    if options.folder is not None:
        restore_key(options.folder, options.data)
    with open_database(
        options.data,
        may_prepare=True,
        is_migration_wanted=False,
        postgres_port=options.postgres_port,
    ) as environment:
        owner_url, key = environment["PHOPAY_DATABASE_URL"], environment["PHOPAY_SECRET_KEY"]
        if options.folder is None:
            restored = advance_serials(
                owner_url, lost_since=options.lost_since, is_sign_out_wanted=options.sign_out
            )
        else:
            restored = restore_backup(owner_url, key, options.folder, may_replace=options.replace)
        for line in word_restored(restored):
            say(line)
    return 1 if restored.violations else 0


def _seed(options: "Options") -> int:
    from ops.database import open_database
    from ops.demo.run import seed_city

    with open_database(
        options.data, may_prepare=True, postgres_port=options.postgres_port
    ) as environment:
        hub_url = f"http://127.0.0.1:{options.port}"
        sandbox_url = f"http://127.0.0.1:{options.sandbox_port}"
        lines = seed_city(
            environment,
            hub_url=hub_url,
            sandbox_url=sandbox_url,
            has_new_passwords=options.new_passwords,
        )
        print("\n".join(lines))
    return 0


# Commands for those who change PhoPay


def _add_development(commands: "Parsers") -> None:
    test = _add(commands, "test", _test, "run the tests; further arguments go to pytest")
    length = test.add_mutually_exclusive_group()
    length.add_argument(
        "--quick", action="store_true", help="without browser, killed processes and slow tests"
    )
    length.add_argument(
        "--drills", action="store_true", help="only what is too long for every day: kill floods, …"
    )
    test.add_argument(
        "--postgres",
        metavar="MAJOR",
        type=_read_major,
        help="what stands on a database, with Debian's PostgreSQL of this version, such as 15",
    )
    test.set_defaults(takes_rest=True)
    _add(commands, "check", _check, "check format, lint, types and imports")
    bench = _add(commands, "bench", _bench, "measure, and fail where a bar does not hold")
    bench.add_argument("name", metavar="NAME", help="what to measure, such as payments")
    bench.add_argument("--quick", action="store_true", help="within two minutes")
    bench.add_argument(
        "--history",
        metavar="N",
        type=_read_count,
        default=0,
        help="measure also with so many past payments (%(default)s)",
    )
    bench.add_argument("--json", metavar="FILE", type=Path, required=True, dest="json_path")


def _test(options: "Options") -> int:
    from ops.checks import run_tests
    from ops.frontend import ensure_frontend

    ensure_frontend()
    return run_tests(
        options.rest, quick=options.quick, drills=options.drills, postgres=options.postgres
    )


def _read_major(text: str) -> str:
    if not text.isdecimal() or not text.isascii():
        raise argparse.ArgumentTypeError(f"{text!r} is not a major version, such as 15")
    return text


def _read_count(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of payments, such as 1000000")
    return int(text)


def _check(options: "Options") -> int:
    from ops.checks import run_checks

    return 1 if run_checks() else 0


def _bench(options: "Options") -> int:
    import importlib

    from ops.frontend import ensure_frontend
    from ops.processes import stop_on_signals

    stop_on_signals()
    ensure_frontend()
    bench = importlib.import_module("loadtests.bench")
    said = {"history": options.history}
    return int(bench.main(options.name, options.quick, options.json_path, **said) or 0)


# Tools for integrators: lines in, one JSON object a line out, nothing else on standard output


def _add_tools(commands: "Parsers") -> None:
    vietqr = _add_group(commands, "vietqr", "read and write VietQR payloads")
    _add(vietqr, "decode", _vietqr_decode, "payloads in, their fields out as JSON lines")
    _add(vietqr, "build", _vietqr_build, "JSON lines in, payloads out as JSON lines")

    reference = _add_group(commands, "reference", "make references of bills")
    make = _add(reference, "make", _reference_make, "print references of one organisation")
    make.add_argument("--org", metavar="CODE", required=True, help="its four characters")
    make.add_argument("-n", metavar="N", type=int, default=1, help="how many (%(default)s)")

    memo = _add_group(commands, "memo", "find references in what banks write")
    _add(memo, "find", _memo_find, "memos in, references out as JSON lines")

    callback = _add_group(commands, "callback", "check callbacks of banks and providers")
    verify = _add(callback, "verify", _callback_verify, "a raw body in, the verdict out as JSON")
    verify.add_argument("--provider", metavar="P", required=True, help="payos, sepay, casso, …")
    verify.add_argument("--secret", metavar="S", required=True, help="the endpoint's key")
    verify.add_argument(
        "--header", metavar="'Name: value'", action="append", default=[], dest="headers"
    )
    verify.add_argument("--at", metavar="UNIX", type=int, help="the clock at arrival (now)")


def _vietqr_decode(options: "Options") -> int:
    from ops.cli.tools_vietqr import run_vietqr_decode

    return run_vietqr_decode(sys.stdin.buffer, sys.stdout)


def _vietqr_build(options: "Options") -> int:
    from ops.cli.tools_vietqr import run_vietqr_build

    return run_vietqr_build(sys.stdin.buffer, sys.stdout)


def _reference_make(options: "Options") -> int:
    from ops.cli.tools_vietqr import run_reference_make

    return run_reference_make(options.org, options.n, sys.stdout)


def _memo_find(options: "Options") -> int:
    from ops.cli.tools_vietqr import run_memo_find

    return run_memo_find(sys.stdin.buffer, sys.stdout)


def _callback_verify(options: "Options") -> int:
    from ops.cli.tools_callback import run_callback_verify

    return run_callback_verify(
        options.provider,
        options.secret,
        options.headers,
        options.at,
        sys.stdin.buffer.read(),
        sys.stdout,
    )


def _version(options: "Options") -> int:
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        print(tomllib.load(file)["project"]["version"])
    return 0


# Options that several commands share


def _add(commands: "Parsers", name: str, run: "Command", text: str) -> argparse.ArgumentParser:
    added = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    added.set_defaults(run=run)
    return added


def _add_group(commands: "Parsers", name: str, text: str) -> "Parsers":
    group = commands.add_parser(name, help=text, description=text)
    return group.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _add_port(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--port", type=_port, default=HUB_PORT, help="port of the hub (%(default)s)"
    )


def _add_sandbox_port(
    command: argparse.ArgumentParser, *, help_: str = "port of the sandbox (%(default)s)"
) -> None:
    command.add_argument("--sandbox-port", type=_port, default=SANDBOX_PORT, help=help_)


def _add_data(command: argparse.ArgumentParser) -> None:
    default = ROOT / ".phopay"
    command.add_argument(
        "--data", type=Path, default=default, metavar="DIR", help="folder of all data (.phopay)"
    )
    command.add_argument(
        "--postgres-port", type=_port, metavar="PORT", help="of our own PostgreSQL (a free one)"
    )


def _add_no_browser(command: argparse.ArgumentParser, *, help_: str = "open no browser") -> None:
    command.add_argument("--no-browser", action="store_false", dest="is_browser_wanted", help=help_)


def _port(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 1 <= int(text) <= 65_535:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")


def _instant(text: str) -> datetime:
    with contextlib.suppress(ValueError):
        if (instant := datetime.fromisoformat(text)).tzinfo is not None:
            return instant
    raise argparse.ArgumentTypeError(
        f"{text!r} is not an instant such as 2026-11-28T09:30:00+07:00"
    )


def _positive(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 1 <= int(text) <= 64:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 64")


if __name__ == "__main__":
    sys.exit(main())
