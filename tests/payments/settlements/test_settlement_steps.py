"""Steps of a statement: reviewed, approved by another person, sent, or discarded."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.tenancy import open_org_transaction
from payments.settlements import jobs
from payments.settlements.errors import (
    SettlementFollowed,
    SettlementNeedsAnother,
    SettlementStepNotPossible,
    SettlementTermsChanged,
)
from payments.settlements.queries import get_settlement
from payments.settlements.rules import SettlementStatus, Terms
from payments.settlements.steps import approve
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.reads import count_rows, list_events
from tests.world.refunds import FINANCE
from tests.world.settlements import (
    DAY,
    MARKET_TERMS,
    ONE_DAY,
    REVIEWER,
    agree,
    close_through,
    draft,
    find_settlement_faults,
    sell,
    statements_of,
    take,
)
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio


async def test_another_person_approves_and_the_number_comes_with_it(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
) -> None:
    await agree(app_database, stall, MARKET_TERMS)
    await sell(app_database, stall, 20_000)
    await close_through(app_database, stall, DAY)
    (found,) = await draft(app_database, worker_database, stall)

    with pytest.raises(SettlementStepNotPossible):
        await take(app_database, stall, found, "approve")
    for _ in range(2):
        found = await take(app_database, stall, found, "review", actor=REVIEWER)
    for involved in (FINANCE, REVIEWER, MANAGER):  # who drafted, reviewed, set the terms
        with pytest.raises(SettlementNeedsAnother):
            await take(app_database, stall, found, "approve", actor=involved)
    for _ in range(2):  # again answers like the first time
        found = await take(app_database, stall, found, "approve")
    assert (found.status, found.number) == (SettlementStatus.APPROVED, "QT26-01-000001")
    with pytest.raises(SettlementStepNotPossible):
        await take(app_database, stall, found, "discard")
    for _ in range(2):
        found = await take(app_database, stall, found, "send")

    assert found.status is SettlementStatus.SENT
    assert (await list_events(app_database, stall)).count("settlement.sent") == 1
    assert await count_rows(app_database, stall, "audit_log", "object_kind = 'settlement'") == 3
    assert await count_rows(app_database, stall, "documents", "subject_kind = 'settlement'") == 1
    assert find_settlement_faults(fresh_database) == []


async def test_of_two_who_approve_at_once_one_number_comes_and_both_see_it(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    await sell(app_database, stall, 20_000)
    await close_through(app_database, stall, DAY)
    (found,) = await draft(app_database, worker_database, stall)
    await take(app_database, stall, found, "review")
    ready = asyncio.Barrier(2)

    async def approve_as(actor: Actor) -> str | None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await session.connection()
            await ready.wait()
            done = await approve(session, stall.org.id, found.id, actor=actor, now=NOON)
            return done.number

    numbers = await asyncio.gather(approve_as(APPROVER), approve_as(MANAGER))

    assert numbers == ["QT26-01-000001"] * 2
    assert await count_rows(app_database, stall, "documents", "subject_kind = 'settlement'") == 1
    assert await count_rows(app_database, stall, "audit_log", "action = 'settlement.approved'") == 1


async def test_a_statement_that_is_discarded_while_it_is_written_leaves_its_days_free(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "PART_LEGS", 3)
    await sell(app_database, stall, 1_000, count=20)
    await close_through(app_database, stall, DAY)
    real, parts = jobs._count_part, [0]

    async def discard_after_two(*given: Any) -> bool:
        parts[0] += 1
        if parts[0] == 3:
            (seen,) = await statements_of(app_database, stall)
            await take(app_database, stall, seen, "discard")
        return await real(*given)

    monkeypatch.setattr(jobs, "_count_part", discard_after_two)
    (gone,) = await draft(app_database, worker_database, stall)
    (again,) = await draft(app_database, worker_database, stall)

    assert (gone.status, gone.is_ready) == (SettlementStatus.DISCARDED, False)
    assert (again.gross_vnd, again.is_ready) == (20_000, True)
    assert find_settlement_faults(fresh_database) == []


async def test_the_database_itself_refuses_one_person(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    await sell(app_database, stall, 20_000)
    await close_through(app_database, stall, DAY)
    (found,) = await draft(app_database, worker_database, stall)
    await take(app_database, stall, found, "review")

    with pytest.raises(Exception, match="two_people"):
        async with open_org_transaction(app_database, stall.org.id) as session:
            await session.execute(
                text(
                    "UPDATE settlements SET status = 'approved', approved_by = drafted_by,"
                    " number = 'QT1' WHERE org_id = :org"
                ),
                {"org": stall.org.id},
            )


async def test_what_is_discarded_is_drafted_anew_by_the_terms_of_now_and_only_the_last_one_is(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
) -> None:
    await agree(app_database, stall, Terms(commission_bps=100))
    await sell(app_database, stall, 20_000)
    await sell(app_database, stall, 10_000, at=NOON + ONE_DAY)
    await close_through(app_database, stall, DAY, DAY + ONE_DAY)
    (first,) = await draft(app_database, worker_database, stall)
    (second,) = await draft(app_database, worker_database, stall, last_day=DAY + ONE_DAY)
    assert first.commission_vnd == 200

    with pytest.raises(SettlementFollowed):
        await take(app_database, stall, first, "discard")
    await take(app_database, stall, second, "discard")
    await take(app_database, stall, first, "discard")
    with pytest.raises(SettlementTermsChanged):
        await agree(app_database, stall, Terms(commission_bps=300))
    await agree(app_database, stall, Terms(commission_bps=300), seen_version=1)
    (again,) = await draft(app_database, worker_database, stall, last_day=DAY + ONE_DAY)

    assert (again.gross_vnd, again.commission_vnd) == (30_000, 900)
    assert (again.first_day, again.last_day) == (DAY, DAY + ONE_DAY)
    assert find_settlement_faults(fresh_database) == []


async def test_another_organisation_sees_and_settles_nothing_of_it(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    other = await a_payable_stall(app_database, code="DXA3")
    await sell(app_database, stall, 20_000)
    await close_through(app_database, stall, DAY)
    await close_through(app_database, other, DAY)
    (found,) = await draft(app_database, worker_database, stall)

    assert await draft(app_database, worker_database, other) == []
    async with open_org_transaction(app_database, other.org.id) as session:
        seen = await session.scalar(text("SELECT count(*) FROM settlements"))
        assert seen == 0
        with pytest.raises(Exception, match="No settlement"):
            await get_settlement(session, stall.org.id, found.id)
