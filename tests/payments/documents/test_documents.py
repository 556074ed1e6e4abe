"""Numbered documents have no gaps and no doubles, whoever asks at once and whatever fails."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.documents.rules import DocumentKind, NewDocument
from payments.documents.service import cancel, issue
from tests.world.constants import NOON
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio

LAST_SECOND = datetime(2026, 12, 31, 16, 59, 59, tzinfo=UTC)  # of the year in Hà Nội
NEXT_YEAR = datetime(2026, 12, 31, 17, 0, tzinfo=UTC)


def a_receipt(scope_id: UUID) -> NewDocument:
    return NewDocument(
        kind=DocumentKind.CASH_RECEIPT,
        scope_id=scope_id,
        subject_kind="collection",
        subject_id=new_id(),
        content={"amount_vnd": 5_000},
    )


async def issue_alone(
    database: Database, stall: PayableStall, *documents: NewDocument, now: datetime = NOON
) -> list[str]:
    async with open_org_transaction(database, stall.org.id) as session:
        return await issue(session, stall.org.id, documents, now=now)


async def test_numbers_follow_one_another_in_each_series(
    app_database: Database, stall: PayableStall
) -> None:
    one, other = new_id(), new_id()

    first = await issue_alone(app_database, stall, a_receipt(one), a_receipt(other), a_receipt(one))
    second = await issue_alone(app_database, stall, a_receipt(one))

    prefixes = {number.rpartition("-")[0] for number in first}
    assert prefixes == {"PT26-01", "PT26-02"}
    own = first[0].rpartition("-")[0]
    assert [first[0], first[2], *second] == [f"{own}-{n:06}" for n in (1, 2, 3)]
    assert first[1].endswith("-000001")


async def test_a_number_that_is_rolled_back_is_the_next_ones(
    app_database: Database, stall: PayableStall
) -> None:
    scope_id = new_id()
    await issue_alone(app_database, stall, a_receipt(scope_id))
    async with open_org_transaction(app_database, stall.org.id) as session:
        assert await issue(session, stall.org.id, [a_receipt(scope_id)], now=NOON)
        await session.rollback()

    assert await issue_alone(app_database, stall, a_receipt(scope_id)) == ["PT26-01-000002"]


async def test_of_many_at_once_each_gets_its_own_number_and_those_that_fail_leave_no_gap(
    app_database: Database, stall: PayableStall
) -> None:
    scope_id, ready = new_id(), asyncio.Barrier(6)

    async def take(*, fails: bool) -> str | None:
        try:
            async with open_org_transaction(app_database, stall.org.id) as session:
                await session.connection()
                await ready.wait()
                (number,) = await issue(session, stall.org.id, [a_receipt(scope_id)], now=NOON)
                await asyncio.sleep(0.01)
                if fails:
                    raise RuntimeError
                return number
        except RuntimeError:
            return None

    numbers = await asyncio.gather(*(take(fails=n % 2 == 1) for n in range(6)))

    assert sorted(n for n in numbers if n) == [f"PT26-01-{n:06}" for n in (1, 2, 3)]


async def test_series_that_begin_at_once_have_prefixes_of_their_own(
    app_database: Database, stall: PayableStall
) -> None:
    ready = asyncio.Barrier(6)

    async def begin() -> str:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await session.connection()
            await ready.wait()
            (number,) = await issue(session, stall.org.id, [a_receipt(new_id())], now=NOON)
            return number

    numbers = await asyncio.gather(*(begin() for _ in range(6)))

    assert sorted(numbers) == [f"PT26-{n:02}-000001" for n in range(1, 7)]


async def test_a_year_ends_at_midnight_in_hanoi(
    app_database: Database, stall: PayableStall
) -> None:
    scope_id = new_id()
    (old,) = await issue_alone(app_database, stall, a_receipt(scope_id), now=LAST_SECOND)
    (new,) = await issue_alone(app_database, stall, a_receipt(scope_id), now=NEXT_YEAR)

    assert (old, new) == ("PT26-01-000001", "PT27-01-000001")


async def test_a_cancelled_document_keeps_its_number(
    app_database: Database, stall: PayableStall
) -> None:
    receipt = a_receipt(new_id())
    await issue_alone(app_database, stall, receipt)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel(session, stall.org.id, receipt.subject_id, now=NOON)
        row = (await session.execute(text("SELECT number, cancelled_at FROM documents"))).one()

    assert tuple(row) == (1, NOON)
    again = await issue_alone(app_database, stall, a_receipt(receipt.scope_id))
    assert again == ["PT26-01-000002"]
