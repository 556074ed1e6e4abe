"""Outages of the hub, and the polls that catch up with them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.jobs.periodic import JobDatabases
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.credits.processor import NoticeProcessor
from payments.outages.heartbeat import Heartbeat
from payments.outages.jobs import plan_polls, plan_replays, report_outages
from payments.outages.views import OutageRead, list_outages
from payments.polling.jobs import poll_due
from payments.polling.scheduled import ScheduledPoller
from sandbox.main import create_app
from sandbox.settings import Settings
from tests.world.clocks import SetClock
from tests.world.constants import VCB
from tests.world.sandboxes import SECRET
from tests.world.servers import serve
from tests.world.stalls import PayableStall

ROUNDS_MAX = 200
PROCESSED_WITHIN_S = 30.0
TOKEN = "t0ken-of-the-test"


@dataclass(kw_only=True)
class TimedSandbox:
    """A sandbox whose clock a test sets."""

    client: httpx.Client
    clock: SetClock

    @property
    def url(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def introduce(self, stall: PayableStall, *, callbacks: str = "") -> str:
        """Tell it of a stall's account, and whom to call back; return the subscription."""
        known = {"bin": VCB, "number": stall.account_number}
        holder = {**known, "holder": "HO KINH DOANH QUAY 7"}
        self.client.post("/control/accounts", json=holder).raise_for_status()
        subscription = {
            "provider": stall.provider,
            "url": callbacks,
            "secret": SECRET,
            "api_key": TOKEN,
            "accounts": [known],
        }
        made = self.client.post("/control/subscriptions", json=subscription)
        return str(made.raise_for_status().json()["id"])

    def pay(self, stall: PayableStall, memo: str, *, at: datetime) -> dict[str, Any]:
        """Transfer 20.000 ₫ at an instant; return the line."""
        self.clock.now = at
        body = {
            "bin": VCB,
            "number": stall.account_number,
            "amount_vnd": 20_000,
            "memo": memo,
        }
        answer = self.client.post("/control/transfer", json=body).raise_for_status()
        line: dict[str, Any] = answer.json()["line"]
        return line

    def fail(self, subscription: str, **faults: object) -> None:
        """Let its lists go wrong."""
        body = {"subscription": subscription, "profile": faults}
        self.client.post("/control/faults", json=body).raise_for_status()


@contextmanager
def a_timed_sandbox() -> Iterator[TimedSandbox]:
    clock = SetClock(read_clock())
    app = create_app(Settings(time_scale=0.0001))
    app.state.world.clock = clock.read
    with serve(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=5) as client:
        client.post("/control/pace", json={"memo_style": "as_typed"}).raise_for_status()
        yield TimedSandbox(client=client, clock=clock)


@dataclass(kw_only=True)
class OutageWorker:
    """What a worker does about outages, a round at a time."""

    databases: JobDatabases
    owner: Database
    poller: ScheduledPoller

    async def plan(self) -> int:
        return await plan_replays(self.databases, now=read_clock())

    async def plan_regular(self) -> int:
        return await plan_polls(self.databases, self.poller.every_s, now=read_clock())

    async def poll(self) -> int:
        """Poll what is due; return how many transactions were new."""
        return await poll_due(self.databases, self.poller, now=read_clock())

    async def let_time_pass(self) -> None:
        """Let every wait be over."""
        async with self.owner.begin() as session:
            await session.execute(text("UPDATE endpoint_polls SET next_request_at = now()"))
            await session.execute(
                text("UPDATE poll_windows SET next_attempt_at = now() WHERE finished_at IS NULL")
            )

    async def catch_up(self) -> int:
        """Plan, and poll until every outage's window is read; return how many pages it took."""
        await self.plan()
        for pages in range(ROUNDS_MAX):
            if not await self.count_unread():
                await self.process()
                await report_outages(self.databases, now=read_clock())
                return pages
            await self.let_time_pass()
            await self.poll()
        msg = "the outage's windows are not read"
        raise AssertionError(msg)

    async def count_unread(self) -> int:
        query = (
            "SELECT count(*) FROM poll_windows WHERE outage_id IS NOT NULL AND finished_at IS NULL"
        )
        async with self.owner.begin() as session:
            return int(await session.scalar(text(query)) or 0)

    async def process(self) -> None:
        """Wait until what was polled is processed."""
        query = "SELECT count(*) FROM notices WHERE handled_at IS NULL AND attempts = 0"
        end = time.monotonic() + PROCESSED_WITHIN_S
        while True:
            async with self.owner.begin() as session:
                if not await session.scalar(text(query)):
                    return
            assert time.monotonic() < end, "what was polled is not processed"
            await asyncio.sleep(0.02)


def an_outage_worker(
    app: Database,
    worker: Database,
    owner: Database,
    sealer: Sealer,
    client: httpx.AsyncClient,
    *,
    every_s: int = 0,
    draw: Callable[[], int] = lambda: 50,
) -> OutageWorker:
    poller = ScheduledPoller(
        database=app,
        processor=NoticeProcessor(app, read_clock=read_clock),
        sealer=sealer,
        client=client,
        read_clock=read_clock,
        every_s=every_s,
        draw=draw,
    )
    return OutageWorker(databases=JobDatabases(app=app, worker=worker), owner=owner, poller=poller)


async def an_outage(
    app: Database, owner: Database, *, lasting: timedelta = timedelta(minutes=45)
) -> tuple[datetime, datetime]:
    """Let all hubs be silent for so long, until now; return the window."""
    heartbeat = Heartbeat(app)
    await heartbeat.beat()
    await let_hubs_be_silent(owner, lasting)
    silence = await heartbeat.beat()
    assert silence is not None
    return silence.from_at, silence.until_at


async def let_hubs_be_silent(owner: Database, lasting: timedelta) -> None:
    """Make the last beat so much older."""
    query = "UPDATE hub_heartbeats SET beat_at = beat_at - CAST(:by AS interval)"
    async with owner.begin() as session:
        await session.execute(text(query), {"by": lasting})


async def read_outages(database: Database, stall: PayableStall) -> list[OutageRead]:
    async with open_org_transaction(database, stall.org.id) as session:
        return await list_outages(session, stall.org.id, limit=20)
