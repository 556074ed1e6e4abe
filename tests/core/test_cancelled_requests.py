"""Requests that are cancelled in the middle of a trip: the pool's next one gets its own answers."""

import asyncio
import random
from contextlib import suppress
from uuid import uuid4

import anyio
import psycopg.waiting
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.db import Database, close_engine, open_database, open_engine
from core.sql import run, run_each
from core.tenancy import open_org_transaction
from tests.world.databases import FreshDatabase

pytestmark = pytest.mark.anyio
HANG_UPS = 200
TRIP_S = 0.02  # about as long as one takes: each of its waits is hit
ANSWER = text("SELECT CAST(:wanted AS int)")


async def ask(database: Database) -> None:
    """Ask as a request does: into the organisation, one statement, and two in one trip."""
    async with open_org_transaction(database, uuid4()) as session:
        await run(session, ANSWER, {"wanted": 1})
        await run_each(session, (ANSWER, {"wanted": 2}), (ANSWER, {"wanted": 3}))


async def hang_up(database: Database, how: str, after_s: float) -> None:
    """Cancel a request: once, twice, or again and again, as the server does with a stream."""
    if how == "stream":
        with suppress(ExceptionGroup):
            async with anyio.create_task_group() as group:
                group.start_soon(ask, database)
                await asyncio.sleep(after_s)
                group.cancel_scope.cancel()
        return
    request = asyncio.create_task(ask(database))
    await asyncio.sleep(after_s)
    request.cancel()
    if how == "twice":
        await asyncio.sleep(0)
        request.cancel()
    with suppress(asyncio.CancelledError, DBAPIError):  # the trip was cut: the driver may say so
        await request


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the driver
@pytest.mark.parametrize("how", ["once", "twice", "stream"])
async def test_who_hangs_up_leaves_no_answer_for_the_next(
    fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    # On a busy machine the driver lets others have their turn after each answer; whoever is
    # cancelled in that moment has sent a part of its trip, and read less.
    monkeypatch.setattr(psycopg.waiting, "MAX_BUSY_TIME", 0.0)
    engine = open_engine(fresh_database.app_url, fresh_database.settings, pool_size=1)
    database = open_database(engine)
    instants = random.Random(0)
    try:
        for number in range(HANG_UPS):
            await hang_up(database, how, instants.random() * TRIP_S)
            async with database.begin() as session:
                assert await session.scalar(ANSWER, {"wanted": number}) == number
            async with open_org_transaction(database, uuid4()) as session:
                assert await run(session, ANSWER, {"wanted": -number}) == [(-number,)]
    finally:
        await close_engine(engine)
