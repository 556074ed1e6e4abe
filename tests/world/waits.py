"""Waiting, with an end, for what other threads, processes and transactions do."""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

import psycopg
from sqlalchemy import text

from core.db import Database

DEADLINE_S = 8.0
LOOKS_EVERY_S = 0.01
COUNT_BLOCKED = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()
""")
IS_HANDLED = """
    SELECT 1 FROM organisations o
    JOIN notices n ON n.org_id = o.id AND n.id = %s AND n.handled_at IS NOT NULL
"""


def becomes(is_so: Callable[[], object], *, within_s: float) -> bool:
    """Look again every 10 ms; return whether it became so in time."""
    end = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(LOOKS_EVERY_S)
    return True


def wait_until(is_so: Callable[[], object]) -> None:
    """Wait until it is so, at most for the deadline."""
    assert becomes(is_so, within_s=DEADLINE_S), "not so within the deadline"


async def wait_until_blocked(database: Database, count: int = 1) -> None:
    """Wait until this many transactions of this database wait for a lock."""
    end = time.monotonic() + DEADLINE_S
    while True:
        async with database.begin() as session:
            if int(await session.scalar(COUNT_BLOCKED) or 0) >= count:
                return
        assert time.monotonic() < end, "nobody waits for a lock"
        await asyncio.sleep(LOOKS_EVERY_S)


async def wait_until_handled(owner_url: str, *notice_ids: UUID) -> None:
    """Wait until these notices are handled. They are read by their key: tests count reads."""
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as owner:
        async with asyncio.timeout(DEADLINE_S):
            for notice_id in notice_ids:
                while not (await (await owner.execute(IS_HANDLED, [notice_id])).fetchone()):  # noqa: ASYNC110
                    await asyncio.sleep(LOOKS_EVERY_S)
