"""Late wake-ups: screens are woken for what was written quietly, a few times a second at most."""

import asyncio
from uuid import UUID

import psycopg
import pytest

from core.db import Database
from core.ids import new_id
from payments.outbox.wake_ups import CHANNEL, read_wake_up
from payments.outbox.waker import EVERY_S, Waker
from tests.world.databases import FreshDatabase

pytestmark = pytest.mark.anyio


async def hear(
    fresh_database: FreshDatabase,
    is_listening: asyncio.Event,
    *,
    wanted: int,
    within_s: float = 5.0,
) -> list[UUID]:
    """Listen until so many wake-ups came or the time is over; return their organisations."""
    heard: list[UUID] = []
    url = fresh_database.app_url.replace("postgresql+psycopg://", "postgresql://", 1)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        is_listening.set()
        async for notice in connection.notifies(timeout=within_s, stop_after=wanted):
            org_id, events = read_wake_up(notice.payload)
            assert events == []
            heard.append(org_id)
    return heard


async def test_a_thousand_commits_are_one_wake_up_of_their_organisation(
    fresh_database: FreshDatabase, app_database: Database
) -> None:
    waker, org_id, is_listening = Waker(app_database), new_id(), asyncio.Event()
    hearing = asyncio.create_task(
        hear(fresh_database, is_listening, wanted=5, within_s=4 * EVERY_S)
    )
    await is_listening.wait()

    for _ in range(1_000):
        waker.wake(org_id)

    assert await hearing == [org_id]
    await waker.close()


async def test_what_is_written_while_one_goes_out_is_told_by_the_next(
    fresh_database: FreshDatabase, app_database: Database
) -> None:
    waker, first, second = Waker(app_database), new_id(), new_id()
    is_listening = asyncio.Event()
    hearing = asyncio.create_task(hear(fresh_database, is_listening, wanted=2))
    await is_listening.wait()

    waker.wake(first)
    await asyncio.sleep(0)
    waker.wake(second)

    assert await hearing == [first, second]
    await waker.close()
