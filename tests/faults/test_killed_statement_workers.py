"""A worker is killed while it reads a statement, and another while it writes it: no line is lost.

The file is long enough that the kill comes between two of its transactions.
"""

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from core.audit import SYSTEM
from core.clock import hanoi_day, read_clock
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.closing.queries_opening import find_opening_day
from payments.statements import service
from payments.statements.files import ReceivedFile
from tests.world.databases import FreshDatabase
from tests.world.installation import Installation, Process, running_installation
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall
from tests.world.statement_files import FileLine, write_csv

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

LINES = 40_000
WITHIN_S = 120.0
STAGED = "SELECT count(*) FROM staged_lines"
WRITTEN = "SELECT count(*) FROM statement_lines"
STATUS = "SELECT status FROM statements"


@pytest.fixture
def installation(fresh_database: FreshDatabase, tmp_path: Path) -> Iterator[Installation]:
    with running_installation(fresh_database.environment, tmp_path) as running:
        yield running


async def read_one(database: Database, query: str) -> object:
    async with database.begin() as session:
        return await session.scalar(text(query))


async def wait_until(
    database: Database, query: str, is_so: Callable[[Any], bool], *workers: Process
) -> object:
    """Wait until a query answers what is looked for."""
    end = time.monotonic() + WITHIN_S
    while True:
        found = await read_one(database, query)
        if is_so(found):
            return found
        assert time.monotonic() < end, found
        assert all(worker.is_running for worker in workers)
        await asyncio.sleep(0.01)


async def make_due(database: Database) -> None:
    """Let the dead worker's lease end now."""
    async with database.begin() as session:
        await session.execute(text("UPDATE jobs SET due_at = now() WHERE finished_at IS NULL"))


def write_long_file(stall: PayableStall) -> bytes:
    day = hanoi_day(read_clock()) - timedelta(days=2)
    lines = [
        FileLine(day=day + timedelta(days=n % 2), amount_vnd=1_000 + n, reference=f"FT{n}")
        for n in sorted(range(LINES), key=lambda n: n % 2)
    ]
    return write_csv(stall.account_number, lines)


async def test_a_worker_killed_while_it_reads_or_writes_leaves_no_line_out_and_none_twice(
    installation: Installation, app_database: Database, owner_database: Database
) -> None:
    stall = await a_payable_stall(app_database, code=next_code())
    org_id, statement_id = stall.org.id, new_id()
    content = write_long_file(stall)
    file = ReceivedFile(
        content=io.BytesIO(content), sha256=sha256(content).digest(), bytes=len(content)
    )
    async with open_org_transaction(app_database, org_id) as session:
        await service.add_statement(
            session,
            org_id,
            statement_id,
            file,
            receiving_account_id=None,
            file_name="sao-ke.csv",
            kept_bytes_max=1024**3,
            actor=SYSTEM,
            now=read_clock(),
        )

    reading = installation.start_worker()
    await wait_until(owner_database, STAGED, lambda count: count > 0, reading)
    reading.kill()
    staged = await read_one(owner_database, STAGED)
    assert isinstance(staged, int)
    assert 0 < staged < LINES
    assert await read_one(owner_database, STATUS) == "uploaded"
    await make_due(owner_database)
    workers = [installation.start_worker() for _ in range(2)]
    await wait_until(owner_database, STATUS, lambda status: status != "uploaded", *workers)
    assert await read_one(owner_database, STATUS) == "staged"
    assert await read_one(owner_database, STAGED) == LINES
    sums = "SELECT sum(in_vnd) FROM statement_day_sums"
    in_vnd = sum(1_000 + n for n in range(LINES))
    assert await read_one(owner_database, sums) == in_vnd
    for worker in workers:
        installation.stop(worker)

    async with open_org_transaction(app_database, org_id) as session:
        await service.accept_statement(
            session,
            org_id,
            statement_id,
            find_opening_day=find_opening_day,
            actor=SYSTEM,
            now=read_clock(),
        )
    writing = installation.start_worker()
    await wait_until(owner_database, WRITTEN, lambda count: count > 0, writing)
    writing.kill()
    written = await read_one(owner_database, WRITTEN)
    assert isinstance(written, int)
    assert 0 < written < LINES
    await make_due(owner_database)
    again = installation.start_worker()
    await wait_until(owner_database, STATUS, lambda status: status == "visible", again)
    assert await read_one(owner_database, WRITTEN) == LINES
    assert await read_one(owner_database, "SELECT sum(amount_vnd) FROM statement_lines") == in_vnd
    distinct = "SELECT count(DISTINCT line_no) FROM statement_lines"
    assert await read_one(owner_database, distinct) == LINES
