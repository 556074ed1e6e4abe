"""Screens of one process receive what another reports, however far apart their clocks are (F17)."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from core.settings import Settings
from tests.api.live.live_screens import Screen, org_of, watching, with_streams
from tests.world.cities import set_up_city
from tests.world.databases import FreshDatabase
from tests.world.hubs import Hub, running_hub

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
RECEIVED_WITHIN_S = 30.0  # a busy machine; what is lost never comes


@pytest.fixture
async def hub(settings: Settings) -> AsyncIterator[Hub]:
    async with running_hub(settings, with_streams(settings)) as running:
        yield running


class Teller:
    """Another process, whose clock is off."""

    def __init__(self, url: str, skew_s: float, org_id: UUID) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.api.live.skewed_teller", url, str(skew_s), str(org_id)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def tell(self, what: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        while (line := await asyncio.to_thread(self._process.stdout.readline)) != "told\n":
            assert line, "it ended"  # its log is on the same output

    def close(self) -> None:
        self._process.communicate(timeout=20)


async def receive_many(screen: Screen, count: int) -> set[str]:
    """Receive so many different events; ticks do not count."""
    received: set[str] = set()
    while len(received) < count:
        event = await screen.receive(within_s=RECEIVED_WITHIN_S)
        if event["event"] == "bill.paid":
            received.add(event["id"])
    return received


async def receive_until_cut_off(screen: Screen, received: set[str], count: int) -> None:
    """Receive until there are so many, or until the hub ends the stream.

    A screen that is further behind than the hub queues for it (QUEUE_MAX) is cut off; a page opens
    another line and replays.
    """
    with suppress(EOFError):
        while len(received) < count:
            event = await screen.receive(within_s=RECEIVED_WITHIN_S)
            if event["event"] == "bill.paid":
                received.add(event["id"])


@pytest.mark.parametrize("skew_s", [0, -10, -45, 90, -600, 600])
async def test_all_is_received_however_far_the_clocks_are_apart(
    hub: Hub, fresh_database: FreshDatabase, skew_s: float
) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    teller = Teller(fresh_database.app_url, skew_s, org_id)
    try:
        await teller.tell("0")  # it is up
        async with watching(admin) as screen:
            await teller.tell("10")
            first = await receive_many(screen, 10)
        await teller.tell("10")
        async with watching(admin, **{"Last-Event-ID": max(first)}) as screen:
            received = await receive_many(screen, 20)  # ten anew, ten by the overlap
            assert len(received - first) == 10
            await teller.tell("burst 200")
            await teller.tell("burst 200")
            await receive_until_cut_off(screen, received, 420)
        while len(received) < 420:
            async with watching(admin, **{"Last-Event-ID": max(received)}) as screen:
                await receive_until_cut_off(screen, received, 420)
        assert len(received) == 420
    finally:
        teller.close()
