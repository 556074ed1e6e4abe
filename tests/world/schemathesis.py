"""Schemathesis, which tries the whole OpenAPI of a running hub: no 5xx, nothing undeclared."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.settings import Settings
from tests.world.hubs import Hub, running_hub
from tests.world.markets import CODE, TILL_SCOPES, set_up_market

SEED = 20_261_120
# Phases, inputs that are made up for each operation, seconds. The drill tries more of them, and
# every boundary of every field: 2,300 requests, some minutes.
PHASES = [
    pytest.param("examples,fuzzing", 2, 240, marks=pytest.mark.timeout(300)),
    pytest.param(
        "examples,coverage,fuzzing", 3, 1_500, marks=[pytest.mark.drill, pytest.mark.timeout(1_560)]
    ),
]
# What is left out, and why.
EXCLUDED = (
    "/v1/events",  # a stream that does not end; tests/api/v1/test_credits.py listens to it
    "/v1/sign-ins",  # signing out would end the run's own session; tests/api/v1/test_sign_in.py
    "/v1/me/password",  # and so would a new password
    "/v1/callbacks/{provider}/{address}",  # answers in the provider's form; test_callbacks.py
)
# Bodies may be wrong in ways that a schema does not say (an unknown BIN, another's id), so what
# is refused is judged by declared status and shape, not by whether the schema had allowed it.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "missing_required_header",
    "negative_data_rejection",
)
# A made-up key beside a person's valid cookie is let in, by the cookie: only machines are tried.
MACHINE_CHECKS = (*CHECKS, "ignored_auth")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A hub to be tried, and two ways in."""

    url: str
    machine: dict[str, str]  # headers of an API key with every scope
    person: dict[str, str]  # headers of an administrator's browser


@contextmanager
def a_target(settings: Settings) -> Iterator[Target]:
    """A hub in a thread of its own, with a market in it: schemathesis is a program of its own."""
    ready: list[Target | BaseException] = []
    is_ready = threading.Event()
    loop = asyncio.new_event_loop()
    done = asyncio.Event()

    async def serve() -> None:
        async with running_hub(settings) as hub:
            ready.append(await _furnish(hub))
            is_ready.set()
            await done.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            ready.append(error)
            is_ready.set()
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="hub")
    thread.start()
    assert is_ready.wait(60)
    try:
        if not isinstance(ready[0], Target):
            raise ready[0]
        yield ready[0]
    finally:
        with _still_open(loop):
            loop.call_soon_threadsafe(done.set)
        thread.join(30)


@contextmanager
def _still_open(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    if not loop.is_closed():
        yield


async def _furnish(hub: Hub) -> Target:
    market = await set_up_market(hub)
    await market.open_bill()
    key = await hub.machine(market.admin, *TILL_SCOPES, org=CODE)
    admin = await hub.browser("admin")
    cookies = "; ".join(f"{name}={value}" for name, value in admin.cookies.items())
    return Target(
        url=hub.url,
        machine={"Authorization": key.headers["authorization"]},
        person={"Cookie": cookies, "Sec-Fetch-Site": "same-origin"},
    )


def try_everything(
    url: str,
    headers: dict[str, str],
    folder: Path,
    *,
    checks: Sequence[str],
    phases: str,
    examples_max: int,
    within_s: float,
) -> None:
    """Run schemathesis over every operation; what it wrote is shown when it found something."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{url}/openapi.json",
        f"--phases={phases}",
        f"--max-examples={examples_max}",
        f"--seed={SEED}",
        f"--checks={','.join(checks)}",
        "--suppress-health-check=all",
        "--warnings=off",
        "--continue-on-failure",
        "--no-color",
    ]
    command += [f"--exclude-path={path}" for path in EXCLUDED]
    command += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    ended = subprocess.run(
        command,
        cwd=folder,  # it keeps a folder of failures where it runs
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-2_000:]
