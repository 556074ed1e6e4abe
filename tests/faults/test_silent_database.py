"""F18, the silent kind: the database vanishes without a word, and nobody waits for ever."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import psycopg
import pytest

from core.clock import read_clock
from core.db import Database
from core.settings import Settings
from ops.postgres.supervisor import Cluster
from tests.faults.silent_proxy import SilentProxy, silent_proxy
from tests.world.callbacks import sepay_callback
from tests.world.constants import CALLBACK_SECRET
from tests.world.databases import FreshDatabase
from tests.world.installation import Installation, new_client, wait_until_up
from tests.world.notices import sepay_body
from tests.world.reads import count_rows
from tests.world.stalls import CallableStall, a_callable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

SENDERS = 12
CONNECTIONS_MAX = 10  # more than the pool of the hub has
# 6 s for a write, the connections made anew, and a machine that has other work too.
ANSWERED_WITHIN_S = 15.0
READY_WITHIN_S = 30.0
IMPATIENT = {
    "PHOPAY_LOCK_TIMEOUT_MS": "1000",
    "PHOPAY_DATABASE_WRITE_TIMEOUT_S": "2",
    "PHOPAY_STATEMENT_TIMEOUT_MS": "3000",
    "PHOPAY_DATABASE_RESPONSE_TIMEOUT_S": "4",
    "PHOPAY_DATABASE_CONNECT_TIMEOUT_S": "2",
    "PHOPAY_READY_TIMEOUT_S": "1",
}


@pytest.fixture
async def stalls(app_database: Database, settings: Settings) -> list[CallableStall]:
    """Three organisations, more than one wave of a small pool."""
    return [await a_callable_stall(app_database, settings, code=code) for code in next(CODES)]


CODES = iter([("HKXA", "HKXB", "HKXC"), ("HKXD", "HKXE", "HKXF")])


async def send(
    client: httpx.AsyncClient, to: CallableStall, url: str, number: int
) -> tuple[int, float, str]:
    """Send one callback once; return (status, seconds, Retry-After)."""
    body = sepay_body(to, amount_vnd=10_000 + number, memo="x", occurred_at=read_clock())
    headers = dict(sepay_callback(body, key=CALLBACK_SECRET, at=read_clock()).headers)
    began = time.monotonic()
    answer = await client.post(f"{url}{to.path}", content=body, headers=headers)
    return answer.status_code, time.monotonic() - began, answer.headers.get("Retry-After", "")


async def send_many(
    client: httpx.AsyncClient, stalls: list[CallableStall], url: str
) -> list[tuple[int, float, str]]:
    """Send at once, for all organisations."""
    return await asyncio.gather(
        *(send(client, stalls[n % len(stalls)], url, n) for n in range(SENDERS))
    )


async def read_health(client: httpx.AsyncClient, url: str) -> tuple[int, int, float]:
    """Return the statuses of live and ready, and how long ready took."""
    live = await client.get(f"{url}/health/live")
    began = time.monotonic()
    ready = await client.get(f"{url}/health/ready")
    return live.status_code, ready.status_code, time.monotonic() - began


async def wait_until_ready(client: httpx.AsyncClient, url: str, *, within_s: float) -> None:
    end = time.monotonic() + within_s
    while (await client.get(f"{url}/health/ready")).status_code != 200:
        assert time.monotonic() < end, "it never gets ready again"
        await asyncio.sleep(0.2)


class Backends:
    """The hub's backends, stopped as on a machine that hangs; new ones are made all the same."""

    def __init__(self, superuser: psycopg.Connection) -> None:
        self._superuser = superuser  # nobody else sees who is at work
        self._stopped: set[int] = set()

    def freeze(self) -> None:
        """Stop those at rest: one at work may hold what new ones need, and all would hang."""
        for pid in self._list_idle() - self._stopped:
            os.kill(pid, signal.SIGSTOP)
            self._stopped.add(pid)
        for pid in self._stopped - self._list_idle():  # it began to work meanwhile
            os.kill(pid, signal.SIGCONT)
            self._stopped.remove(pid)

    def thaw(self) -> None:
        for pid in self._stopped:
            os.kill(pid, signal.SIGCONT)

    def _list_idle(self) -> set[int]:
        query = (
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle'"
            " AND (application_name LIKE 'phopay-hub-%' OR application_name = 'phopay-live')"
        )
        return {row[0] for row in self._superuser.execute(query)}


@contextmanager
def backends_of(cluster: Cluster, fresh_database: FreshDatabase) -> Iterator[Backends]:
    url = cluster.dsn(dbname=fresh_database.name)
    with psycopg.connect(url, autocommit=True) as superuser:
        backends = Backends(superuser)
        try:
            yield backends
        finally:
            backends.thaw()


async def test_senders_get_an_answer_in_seconds_when_all_backends_hang(
    installation: Installation,
    stalls: list[CallableStall],
    app_database: Database,
    cluster: Cluster,
    fresh_database: FreshDatabase,
) -> None:
    hub = installation.start_hub(**IMPATIENT)
    await wait_until_up(hub)
    async with new_client() as client:
        await wait_until_ready(client, hub.url, within_s=READY_WITHIN_S)
        before = await send_many(client, stalls, hub.url)
        assert {status for status, *_ in before} == {200}

        with backends_of(cluster, fresh_database) as backends:
            frozen: list[tuple[int, float, str]] = []
            # Who is at work keeps its connection, and others get new ones: until all are frozen.
            for _ in range(CONNECTIONS_MAX):
                backends.freeze()
                answers = await send_many(client, stalls, hub.url)
                assert max(took_s for _, took_s, _ in answers) < ANSWERED_WITHIN_S, answers
                assert {status for status, *_ in answers} <= {200, 503}, hub.read_log()
                assert all(after for status, _, after in answers if status == 503), hub.read_log()
                frozen += answers
                if 503 in {status for status, *_ in frozen}:
                    break
            assert 503 in {status for status, *_ in frozen}, "the freeze hit nothing"

            # New connections work, so all goes on while the old ones still hang.
            await wait_until_ready(client, hub.url, within_s=READY_WITHIN_S)
            again = await send_many(client, stalls, hub.url)
            assert {status for status, *_ in again} == {200}, again

    acknowledged = [s for s, *_ in (*before, *frozen, *again) if s == 200]
    stored = sum([await count_rows(app_database, to, "notices") for to in stalls])
    assert stored >= len(acknowledged)
    installation.stop(hub)


@asynccontextmanager
async def behind_a_proxy(
    fresh_database: FreshDatabase,
) -> AsyncIterator[tuple[SilentProxy, dict[str, str]]]:
    async with silent_proxy(fresh_database.app_url) as (proxy, url):
        yield proxy, {"PHOPAY_APP_DATABASE_URL": url}


async def test_a_hub_whose_wire_is_silent_answers_503_and_says_that_it_is_not_ready(
    installation: Installation, stalls: list[CallableStall], fresh_database: FreshDatabase
) -> None:
    async with behind_a_proxy(fresh_database) as (proxy, address), new_client() as client:
        hub = installation.start_hub(**IMPATIENT, **address)
        await wait_until_up(hub)
        assert {status for status, *_ in await send_many(client, stalls, hub.url)} == {200}

        proxy.fall_silent()
        answers = await send_many(client, stalls, hub.url)
        assert {status for status, *_ in answers} == {503}, hub.read_log()
        assert max(took_s for _, took_s, _ in answers) < ANSWERED_WITHIN_S, answers
        live, ready, took_s = await read_health(client, hub.url)
        assert (live, ready) == (200, 503)
        assert took_s < ANSWERED_WITHIN_S

        proxy.come_back()
        await wait_until_ready(client, hub.url, within_s=READY_WITHIN_S)
        again = await send_many(client, stalls, hub.url)
        assert {status for status, *_ in again} == {200}, again
        installation.stop(hub)
