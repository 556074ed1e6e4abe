"""Waiting, with an end, for what other threads, processes and transactions do."""

import asyncio
import time
from collections.abc import Callable

from sqlalchemy import text

from core.db import Database

DEADLINE_S = 8.0
LOOKS_EVERY_S = 0.01
COUNT_BLOCKED = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()
""")


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
