"""Metrics: read at a port of their own, on this machine only, with few labels and nobody's data."""

import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

import payments.callbacks.receiver
from core.clock import read_clock
from core.db import Database
from core.jobs.periodic import JobDatabases
from core.settings import Settings
from ops.serving import METRICS_PORT, find_metrics_port
from payments.invariants.jobs import run_checks
from payments.invariants.queries import CHECKS
from payments.providers import PROVIDERS
from payments.providers.types import BODY_BYTES_MAX, RawCallback
from tests.world.callbacks import SEPAY_NOTICE, sepay_callback
from tests.world.hubs import TLS, Hub, running_hub
from tests.world.markets import ENDPOINT_SECRET, Market
from worker.metrics import measure

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SAMPLE = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
async def hub(settings: Settings) -> AsyncIterator[Hub]:
    """A hub that shows its metrics."""
    async with running_hub(settings.model_copy(update={"metrics_port": a_free_port()})) as running:
        yield running


async def read_metrics(port: int | None) -> str:
    async with httpx.AsyncClient(verify=TLS) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/metrics")
    assert answer.status_code == 200
    return answer.text


async def read_samples(port: int | None) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Read the series that have labels, by their names."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for name, labels, value in SAMPLE.findall(await read_metrics(port)):
        found.setdefault(name, []).append((dict(LABEL.findall(labels)), float(value)))
    return found


def list_listening(port: int | None) -> set[str]:
    """List where this machine listens on a port, as Linux writes addresses."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return {
        line.split()[1]
        for line in lines
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    }


async def test_metrics_have_a_port_of_their_own_on_this_machine_only(hub: Hub) -> None:
    port = hub.services.settings.metrics_port

    await read_metrics(port)

    assert (await hub.client.get("/metrics")).status_code == 404
    assert list_listening(port) == {f"0100007F:{port:04X}"}


async def test_none_are_shown_unless_a_port_is_set(settings: Settings) -> None:
    assert settings.metrics_port is None
    async with running_hub(settings) as hub:
        assert (await hub.client.get("/metrics")).status_code == 404


async def test_a_port_that_cannot_be_had_stops_nobody(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        unlucky = settings.model_copy(update={"metrics_port": taken.getsockname()[1]})
        async with running_hub(unlucky) as hub:
            assert (await hub.client.get("/health/live")).status_code == 200


def test_each_process_of_a_hub_has_the_next_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(METRICS_PORT, raising=False)
    assert find_metrics_port(1) == {}
    monkeypatch.setenv(METRICS_PORT, "9400")
    assert [find_metrics_port(number)[METRICS_PORT] for number in (1, 2)] == ["9401", "9402"]


async def test_requests_are_counted_by_the_template_of_their_route(market: Market) -> None:
    port = market.hub.services.settings.metrics_port
    bill = await market.open_bill()
    endpoint = await market.add_endpoint("sepay")
    for _ in range(3):
        assert (await market.admin.get(f"/v1/bills/{bill['id']}")).status_code in (200, 404)
    for guess in range(5):
        await market.hub.client.get(f"/nowhere/{guess}")
        await market.hub.client.post(f"/v1/callbacks/sepay/HKXM-{guess}", content=b"{}")
    unsigned = RawCallback(headers={}, body=b"{}", subpath="")
    assert (await market.call_back(endpoint, unsigned)).status_code in (400, 401, 403)
    signed = sepay_callback(SEPAY_NOTICE, key=ENDPOINT_SECRET, at=read_clock())
    assert (await market.call_back(endpoint, signed)).status_code == 200

    samples = await read_samples(port)

    counts = {
        (labels["method"], labels["route"], labels["status"]): count
        for labels, count in samples["phopay_request_seconds_count"]
    }
    assert counts["POST", "/v1/callbacks/{provider}/{address}", "4xx"] >= 6
    assert counts["GET", "none", "4xx"] >= 5
    routes = {route for _, route, _ in counts}
    assert "/v1/bills/{bill_id}" in routes
    assert not [route for route in routes if re.search(r"\d{3}|nowhere|HKXM", route)]
    results = {
        (labels["provider"], labels["result"]): count
        for labels, count in samples["phopay_callbacks_total"]
    }
    assert results["sepay", "unknown"] >= 5
    assert results["sepay", "refused"] >= 1
    assert results["sepay", "stored"] >= 1
    assert {provider for provider, _ in results} <= set(PROVIDERS)
    used = {labels["role"]: value for labels, value in samples["phopay_db_connections_max"]}
    assert set(used) == {"app", "gate"}


async def test_callbacks_that_were_too_large_or_came_too_many_at_once_are_counted(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def post(size: int) -> int:
        address = "/v1/callbacks/casso/HKXM-guess"
        return (await market.hub.client.post(address, content=b"x" * size)).status_code

    async def count(result: str) -> float:
        samples = await read_samples(market.hub.services.settings.metrics_port)
        return sum(
            value
            for labels, value in samples["phopay_callbacks_total"]
            if labels == {"provider": "casso", "result": result}
        )

    before = await count("too_large"), await count("busy")
    for size in (PROVIDERS["casso"].body_bytes_max + 1, BODY_BYTES_MAX + 1):
        assert await post(size) == 413
    monkeypatch.setattr(payments.callbacks.receiver, "STRANGERS_WAITING_MAX", 0)
    assert await post(2) == 503

    assert (await count("too_large"), await count("busy")) == (before[0] + 2, before[1] + 1)


async def test_the_worker_shows_what_waits_and_how_the_checks_went(
    market: Market, worker_database: Database
) -> None:
    databases = JobDatabases(app=market.database, worker=worker_database)
    now = read_clock()
    async for _ in run_checks(databases, now=now):
        pass
    await measure(databases, now=now)

    samples = await read_samples(market.hub.services.settings.metrics_port)

    ran = {labels["check"] for labels, _ in samples["phopay_check_run_timestamp_seconds"]}
    assert ran == set(CHECKS)
    assert sum(value for _, value in samples["phopay_check_violations"]) == 0
    waiting = {labels["what"]: value for labels, value in samples["phopay_waiting"]}
    assert waiting == {"notices": 0, "bill_changes": 0, "movements": 0}
    assert {labels["status"] for labels, _ in samples["phopay_jobs"]} == {
        "queued",
        "running",
        "failed",
    }


async def test_nobody_is_named_in_any_metric(market: Market) -> None:
    bill = await market.open_bill()
    await market.pay(await market.add_bill())

    told = await read_metrics(market.hub.services.settings.metrics_port)

    for secret in (bill["reference"], bill["id"], market.stall.account_number, "HKXM", "Hoàn"):
        assert secret not in told
    labels = {name for _, given, _ in SAMPLE.findall(told) for name, _ in LABEL.findall(given)}
    assert labels <= {
        *("method", "route", "status", "le", "provider", "result", "role", "what", "check"),
        *("job", "generation"),
    }
