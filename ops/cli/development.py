"""Commands for those who change PhoPay: tests, checks, measurements."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ops.cli.options import add_command

if TYPE_CHECKING:
    from ops.cli.options import Options, Parsers


def add_development(commands: "Parsers") -> None:
    test = add_command(commands, "test", _test, "run the tests; further arguments go to pytest")
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
    add_command(commands, "check", _check, "check format, lint, types and imports")
    bench = add_command(commands, "bench", _bench, "measure, and fail where a bar does not hold")
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

    loadtest = add_command(
        commands,
        "loadtest",
        _loadtest,
        "run a journey under load, then check that all of it is there",
    )
    loadtest.add_argument(
        "name", metavar="NAME", help="morning-peak, evening-exits, offline-return or mixed-day"
    )
    loadtest.add_argument("--quick", action="store_true", help="60 users, within two minutes")
    loadtest.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        help="where the HTML report goes (.phopay/loadtests/NAME.html)",
    )
    loadtest.add_argument(
        "--json", metavar="FILE", type=Path, dest="json_path", help="the summary, also in a file"
    )

    simulate = add_command(
        commands,
        "simulate",
        _simulate,
        "simulate days of a town from a seed, with faults, and hold a model against the hub",
    )
    simulate.add_argument(
        "--seed", metavar="N", type=_read_whole, default=1, help="of all choices (%(default)s)"
    )
    simulate.add_argument(
        "--seeds", metavar="COUNT", type=_read_whole, default=1, help="so many seeds from N on"
    )
    simulate.add_argument(
        "--days", metavar="D", type=_read_whole, default=3, help="that are over (%(default)s)"
    )
    simulate.add_argument(
        "--bills", metavar="N", type=_read_whole, default=500, help="of all days (%(default)s)"
    )
    simulate.add_argument(
        "--orgs", metavar="N", type=_read_whole, default=2, help="organisations (%(default)s)"
    )
    simulate.add_argument(
        "--until", metavar="STEP", type=_read_whole, help="stop after this step, showing the last"
    )


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


def _read_whole(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
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


def _loadtest(options: "Options") -> int:
    import importlib

    from ops.frontend import ensure_frontend
    from ops.processes import ROOT, stop_on_signals

    stop_on_signals()
    ensure_frontend()
    report = options.report or ROOT / ".phopay" / "loadtests" / f"{options.name}.html"
    loadtest = importlib.import_module("loadtests.loadtest")
    return int(loadtest.main(options.name, options.quick, report, options.json_path))


def _simulate(options: "Options") -> int:
    import importlib

    from ops.frontend import ensure_frontend
    from ops.processes import stop_on_signals

    stop_on_signals()
    ensure_frontend()
    run = importlib.import_module("loadtests.simulation.run")
    plans = [
        run.Plan(
            seed=seed,
            days=options.days,
            bills=options.bills,
            orgs=options.orgs,
            until=options.until,
        )
        for seed in range(options.seed, options.seed + options.seeds)
    ]
    command = importlib.import_module("loadtests.simulation.command")
    return int(command.main(plans))
