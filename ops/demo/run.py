"""A whole city on one machine: PostgreSQL, a seeded hub, its worker and the sandbox bank."""

import contextlib
import os
import sys
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.clock import read_clock
from ops.console import say
from ops.database import open_database
from ops.demo.lan import ensure_certificate, serving_authority, welcome
from ops.demo.simulation import write_plan
from ops.frontend import ensure_frontend
from ops.processes import Family, family
from ops.serving import bind, start_hub, wait_until_ready

HOST = "127.0.0.1"
RUN_WORKER = "from worker.app import main; main()"


@dataclass(frozen=True, kw_only=True)
class Lan:
    """Where phones of the local network reach the hub: by TLS, and on the next port in clear the
    page with the certificate."""

    address: str
    port: int

    @property
    def url(self) -> str:
        """What a phone opens."""
        return f"https://{self.address}:{self.port}"


def run_demo(
    *,
    port: int,
    sandbox_port: int,
    data_dir: Path,
    postgres_port: int | None,
    is_browser_wanted: bool,
    lan: Lan | None = None,
    simulated_speed: int | None = None,
) -> None:
    """Start everything, print where it is, and run until Ctrl-C or until a process ends.

    Args:
        lan: where phones of the local network reach the hub, too; None: nowhere.
        simulated_speed: how many times faster than in life vehicles come, go and pay; None: none.

    Raises:
        CannotStart: a busy port, a database that does not start, a process that ended by itself.
    """
    hub_url = f"http://{HOST}:{port}"
    sandbox_url = f"http://{HOST}:{sandbox_port}"
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(bind(HOST, port, used_for="the hub", option="--port"))
        bind(HOST, sandbox_port, used_for="the sandbox", option="--sandbox-port").close()
        ensure_frontend()
        say("Starting PostgreSQL")
        environment = stack.enter_context(
            open_database(
                data_dir,
                may_prepare=True,
                postgres_port=postgres_port,
                public_url=hub_url if lan is None else lan.url,
            )
        )
        environment = {
            "PHOPAY_LOG_FORMAT": "console",
            "PHOPAY_SANDBOX_ORIGINS": sandbox_url,
            **environment,
        }
        running = stack.enter_context(family(data_dir / "logs"))
        sandbox_data = str(data_dir.resolve() / "sandbox")
        sandbox = [sys.executable, "-m", "sandbox", "--port", str(sandbox_port)]
        running.start("sandbox", [*sandbox, "--data", sandbox_data, "--hub-url", hub_url], {})
        wait_until_ready(sandbox_url, running, is_any_answer_enough=True)
        start_hub(running, listener, environment)
        worker = {**environment, "PHOPAY_PROCESS_NAME": "worker"}
        running.start("worker", [sys.executable, "-c", RUN_WORKER], worker)
        wait_until_ready(f"{hub_url}/health/ready", running)
        phones = []
        if lan is not None:
            phones = stack.enter_context(_serving_phones(lan, running, environment, data_dir))
        lines = seed_city(environment, hub_url=hub_url, sandbox_url=sandbox_url)
        if simulated_speed is not None:
            plan = write_plan(
                data_dir, hub_url=hub_url, sandbox_url=sandbox_url, speed=simulated_speed
            )
            running.start("traffic", [sys.executable, "-m", "sandbox.traffic", str(plan)], {})
            lines = [*lines, "", "Vehicles come, go and pay by themselves, and stalls are paid."]
        print(_welcome(hub_url, sandbox_url, [*lines, "", *phones]), flush=True)
        if is_browser_wanted:
            with contextlib.suppress(webbrowser.Error):
                webbrowser.open(hub_url)
        running.watch()


@contextlib.contextmanager
def _serving_phones(
    lan: Lan, running: Family, environment: dict[str, str], data_dir: Path
) -> Iterator[list[str]]:
    """Serve the local network by TLS, beside the hub of this machine; yield what to print."""
    tls = ensure_certificate(data_dir / "lan", lan.address, now=read_clock())
    with bind(lan.address, lan.port, used_for="phones", option="--lan-port") as listener:
        start_hub(
            running, listener, environment, name="hub-lan", number=2, tls=(tls.certificate, tls.key)
        )
        page = serving_authority(tls, address=lan.address, port=lan.port + 1, url=lan.url)
        with page as phone_url:
            yield welcome(phone_url, lan.url)


def seed_city(
    environment: dict[str, str],
    *,
    hub_url: str,
    sandbox_url: str,
    has_new_passwords: bool = False,
) -> list[str]:
    """Fill the demo city, unless it is there; return what to show the person (logins)."""
    from ops.demo import city

    os.environ.update(environment)
    say("Seeding the demo city")
    return city.seed(hub_url=hub_url, sandbox_url=sandbox_url, has_new_passwords=has_new_passwords)


def _welcome(hub_url: str, sandbox_url: str, lines: list[str]) -> str:
    welcome = [
        "",
        f"  PhoPay        {hub_url}",
        f"  Sandbox bank  {sandbox_url}",
        "",
        *(f"  {line}".rstrip() for line in lines),
        "",
        "  Ctrl-C stops everything.",
        "",
    ]
    return "\n".join(welcome)
