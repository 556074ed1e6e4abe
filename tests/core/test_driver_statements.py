"""Statements that travel together: their rows, their order, and whose error is raised."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database, has_timed_out
from core.ids import new_id
from core.sql import run, send, sent_together
from core.tenancy import open_org_transaction
from tests.world.constants import NOON
from tests.world.stalls import a_payable_stall

pytestmark = pytest.mark.anyio

OPEN = text("""
    INSERT INTO ledger_accounts (org_id, code, subject_id, opened_at)
    VALUES (:org_id, 'takings', :subject_id, :now)
""")
COUNT = text("SELECT count(*) FROM ledger_accounts WHERE subject_id = :subject_id")
SLEEP = text("SELECT pg_sleep(:s)")
SHORT = text("SELECT set_config('statement_timeout', '50ms', true)")


async def _open(session: AsyncSession, org_id: UUID, subject_id: UUID) -> None:
    await send(session, OPEN, {"org_id": org_id, "subject_id": subject_id, "now": NOON})


async def test_what_is_sent_together_is_committed_with_the_transaction(
    app_database: Database,
) -> None:
    stall, ids = await a_payable_stall(app_database), [new_id() for _ in range(3)]

    async with open_org_transaction(app_database, stall.org.id) as session:
        async with sent_together(session):
            for subject_id in ids:
                await _open(session, stall.org.id, subject_id)
        assert await run(session, COUNT, {"subject_id": ids[-1]}) == [(1,)]

    async with open_org_transaction(app_database, stall.org.id) as session:
        assert [await run(session, COUNT, {"subject_id": one}) for one in ids] == [[(1,)]] * 3


async def test_the_first_failure_is_the_error_and_nothing_of_the_trip_stays(
    app_database: Database,
) -> None:
    stall, first, twice = await a_payable_stall(app_database), new_id(), new_id()

    async def send_four() -> None:
        in_org = open_org_transaction(app_database, stall.org.id)
        async with in_org as session, sent_together(session):
            for subject_id in (first, twice, twice, new_id()):
                await _open(session, stall.org.id, subject_id)

    with pytest.raises(IntegrityError) as refused:
        await send_four()

    assert refused.value.orig is not None
    assert getattr(refused.value.orig, "sqlstate", None) == "23505"
    async with open_org_transaction(app_database, stall.org.id) as session:
        assert await run(session, COUNT, {"subject_id": first}) == [(0,)]


@pytest.mark.parametrize("at", [0, 1])
async def test_a_timeout_in_a_trip_is_known_for_one(app_database: Database, at: int) -> None:
    stall = await a_payable_stall(app_database)
    trip: list[tuple[TextClause, dict[str, Any]]] = [(COUNT, {"subject_id": new_id()})] * 2
    trip.insert(at, (SLEEP, {"s": 1}))

    async def send_three() -> None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await run(session, SHORT, {})
            async with sent_together(session):
                for statement, values in trip:
                    await send(session, statement, values)

    with pytest.raises(DBAPIError) as sent:
        await send_three()

    assert has_timed_out(sent.value)


async def test_rows_cannot_be_asked_for_inside_a_trip(app_database: Database) -> None:
    stall = await a_payable_stall(app_database)

    async def ask() -> None:
        in_org = open_org_transaction(app_database, stall.org.id)
        async with in_org as session, sent_together(session):
            await run(session, COUNT, {"subject_id": new_id()})

    with pytest.raises(AssertionError, match="use send"):
        await ask()

    async with open_org_transaction(app_database, stall.org.id) as session:
        assert await run(session, COUNT, {"subject_id": new_id()}) == [(0,)]
