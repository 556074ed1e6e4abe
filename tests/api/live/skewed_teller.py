"""Another process whose clock is off, which reports events as a hub does: by the outbox.

Run as `python -m tests.api.live.skewed_teller DATABASE_URL SKEW_S ORG_ID`; for each number on
standard input it records that many events, each in a transaction of its own, or "burst N" in one.
"""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import core.clock

SKEW = timedelta(seconds=float(sys.argv[2]))
_time_ns = time.time_ns
time.time_ns = lambda: _time_ns() + int(SKEW.total_seconds() * 1e9)
core.clock.read_clock = lambda: datetime.now(UTC) + SKEW  # before anybody imports it

from pydantic import SecretStr  # noqa: E402

from core import db  # noqa: E402
from core.settings import Settings  # noqa: E402
from core.tenancy import open_org_transaction  # noqa: E402
from payments.outbox import service as outbox  # noqa: E402
from payments.outbox.rules import EventKind, NewEvent  # noqa: E402
from tests.world.databases import TEST_SECRET_KEY  # noqa: E402


async def main(url: str, org_id: UUID) -> None:
    secret = SecretStr(url)
    key = SecretStr(TEST_SECRET_KEY)
    settings = Settings(
        database_url=secret,
        app_database_url=secret,
        worker_database_url=secret,
        gate_database_url=secret,
        secret_key=key,
    )
    engine = db.open_engine(url, settings)
    database = db.open_database(engine)
    measure: Any = getattr(db, "measure_shared_clock", None)  # as a hub or a worker at its start
    if measure is not None:
        await measure(database)
    event = NewEvent(kind=EventKind.BILL_PAID)
    for line in sys.stdin:
        word, _, number = line.strip().rpartition(" ")
        batches = [[event] * int(number)] if word == "burst" else [[event]] * int(number)
        for batch in batches:
            async with open_org_transaction(database, org_id) as session:
                await outbox.record(session, org_id, batch, now=core.clock.read_clock())
        print("told", flush=True)
    await engine.dispose()


asyncio.run(main(sys.argv[1], UUID(sys.argv[3])))
