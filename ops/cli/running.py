"""Commands that run something: the demo city, the hub, the worker, the sandbox."""

import importlib
import os
from typing import TYPE_CHECKING

from ops.cli.options import (
    SANDBOX_PORT,
    SYMMETRY,
    add_command,
    add_data,
    add_no_browser,
    add_port,
    add_sandbox_port,
    read_port,
    read_processes,
    read_speed,
)
from ops.console import say

if TYPE_CHECKING:
    from ops.cli.options import Options, Parsers

LAN_PORT = 8443


def add_running(commands: "Parsers") -> None:
    demo = add_command(
        commands, "demo", _demo, "run a whole demo city: hub, worker, sandbox, PostgreSQL"
    )
    add_port(demo)
    add_sandbox_port(demo)
    add_data(demo)
    add_no_browser(demo)
    demo.add_argument(
        "--lan", metavar="ADDRESS", nargs="?", const="", default=None,
        help="serve phones of the local network, too, by HTTPS with a certificate made here",
    )  # fmt: skip
    demo.add_argument(
        "--lan-port", type=read_port, default=LAN_PORT,
        help="for phones, and the next one for the certificate's page (%(default)s)",
    )  # fmt: skip

    demo.add_argument(
        "--simulate", metavar="SPEED", nargs="?", type=read_speed, const=1, default=None,
        help="let vehicles come, go and pay; SPEED times faster than in life (1 to 120)",
    )  # fmt: skip

    serve = add_command(commands, "serve", _serve, "run the hub")
    add_port(serve)
    add_sandbox_port(serve, help_=SYMMETRY)
    add_data(serve)
    add_no_browser(serve, help_=SYMMETRY)
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--workers", type=read_processes, default=1, help="processes (%(default)s)")

    worker = add_command(
        commands, "worker", _worker, "run the worker: backlog, late credits, expiry, retention"
    )
    add_data(worker)
    worker.add_argument(
        "--alpr", action="store_true", dest="reads_plates",
        help="read plates from photos of entries, for people to confirm; brings what it needs",
    )  # fmt: skip

    sandbox = add_command(
        commands, "sandbox", _sandbox, "run the sandbox: a fake bank and providers"
    )
    sandbox.add_argument(
        "--port", "--sandbox-port", dest="sandbox_port", type=read_port, default=SANDBOX_PORT,
        help="port of the sandbox (%(default)s)",
    )  # fmt: skip
    add_data(sandbox)
    add_no_browser(sandbox, help_=SYMMETRY)
    sandbox.set_defaults(takes_rest=True)  # --seed, --time-scale, … are the sandbox's own


def _demo(options: "Options") -> int:
    from ops.demo.lan import check_address, find_address
    from ops.demo.run import Lan, run_demo
    from ops.processes import stop_on_signals

    lan = None
    if options.lan is not None:
        address = check_address(options.lan) if options.lan else find_address()
        lan = Lan(address=address, port=options.lan_port)
    stop_on_signals()
    run_demo(
        port=options.port,
        sandbox_port=options.sandbox_port,
        data_dir=options.data,
        postgres_port=options.postgres_port,
        is_browser_wanted=options.is_browser_wanted,
        lan=lan,
        simulated_speed=options.simulate,
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
    plate_weights = None
    if options.reads_plates:
        from ops.plate_reading import ensure_plate_reading

        plate_weights = ensure_plate_reading()
    with open_database(
        options.data, may_prepare=False, postgres_port=options.postgres_port
    ) as environment:
        os.environ.update({"PHOPAY_PROCESS_NAME": "worker", **environment})
        from worker.app import main as run_worker

        run_worker(plate_weights=plate_weights)
    return 0


def _sandbox(options: "Options") -> int:
    from ops.serving import bind

    bind("127.0.0.1", options.sandbox_port, used_for="the sandbox", option="--port").close()
    say(f"The sandbox listens on http://127.0.0.1:{options.sandbox_port}; Ctrl-C stops it")
    data = options.data.resolve() / "sandbox"
    known = ["--port", str(options.sandbox_port), "--data", str(data)]
    # By name: the sandbox is a program of its own, and no layer of ours may import it.
    importlib.import_module("sandbox.__main__").main([*known, *options.rest])
    return 0
