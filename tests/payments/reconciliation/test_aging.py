"""Lines and credits without their other side: on somebody's list, once, until explained."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.credits.corrections import mark_same_money
from payments.reconciliation import aging, queries, service
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.lines import TODAY, Line, add_lines, match, receive
from tests.world.reads import count_rows, list_breaks
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FT = "FT26324000123"


async def ask(database: Database, stall: PayableStall, *, days: int) -> int:
    """Let people be asked as a run does, so many days from now; return about how much."""
    async with open_org_transaction(database, stall.org.id) as session:
        await queries.lock_account(session, stall.org.id, stall.account_id)
        now = NOON + timedelta(days=days)
        return await aging.ask(session, stall.org.id, stall.account_id, now=now)


async def test_a_line_without_a_credit_is_asked_about_once_after_its_deadline(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await add_lines(app_database, stall, Line(bank_reference=FT), Line(amount_vnd=-5_000))

    assert await ask(app_database, stall, days=0) == 0
    assert await ask(app_database, stall, days=1) == 1
    assert await ask(app_database, stall, days=2) == 0
    assert await list_breaks(app_database, stall) == ["line_without_credit"]

    await receive(app_database, stall, bank_reference=FT)  # the callback comes after all
    await match(app_database, stall)

    assert await list_breaks(app_database, stall) == []
    closed = "closed_by IS NULL AND resolution = 'explained_by_line'"
    assert await count_rows(app_database, stall, "breaks", closed) == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_a_credit_is_asked_about_once_no_line_to_come_can_be_it(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await receive(app_database, stall, bank_reference=FT)
    await receive(app_database, stall, bank_reference="FT26324000555")
    other = Line(bank_reference="FT26324000555")
    await add_lines(app_database, stall, other, Line(amount_vnd=1_000, booked_on=TODAY))
    await match(app_database, stall)
    later = TODAY + timedelta(days=3)
    await add_lines(app_database, stall, Line(amount_vnd=-1_000, booked_on=later))
    await ask(app_database, stall, days=0)
    assert await list_breaks(app_database, stall) == []  # it may be booked tomorrow

    last = TODAY + timedelta(days=4)
    await add_lines(app_database, stall, Line(amount_vnd=-1_000, booked_on=last))
    assert await ask(app_database, stall, days=0) == 1
    assert await ask(app_database, stall, days=0) == 0
    assert await list_breaks(app_database, stall) == ["credit_without_line"]

    await add_lines(app_database, stall, Line(bank_reference=FT, booked_on=later))
    await match(app_database, stall, now=NOON + timedelta(days=9))
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def pass_window(database: Database, stall: PayableStall) -> None:
    """Let a statement have a day that is so late that no line to come can be today's money."""
    last = TODAY + timedelta(days=4)
    await add_lines(database, stall, Line(amount_vnd=-1_000, booked_on=last))


async def unlink(database: Database, stall: PayableStall, line_id: UUID) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await service.unlink_line(
            session, stall.org.id, line_id, words="nhầm dòng", actor=MANAGER, now=NOON
        )


async def test_a_line_and_a_credit_that_are_parted_are_asked_about_again(
    app_database: Database, stall: PayableStall
) -> None:
    (line,) = await add_lines(app_database, stall, Line(bank_reference=FT))
    await pass_window(app_database, stall)
    assert await ask(app_database, stall, days=1) == 1
    await receive(app_database, stall, bank_reference=FT)
    await match(app_database, stall)
    assert await list_breaks(app_database, stall) == []

    await unlink(app_database, stall, line)
    assert await list_breaks(app_database, stall) == ["credit_without_line"]
    assert await ask(app_database, stall, days=1) == 1
    assert await list_breaks(app_database, stall) == ["credit_without_line", "line_without_credit"]


async def test_a_day_of_many_credits_is_asked_about_in_several_runs(
    app_database: Database, stall: PayableStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await receive(app_database, stall, bank_reference=f"FT2632400055{number}")
    await add_lines(app_database, stall, Line(amount_vnd=-1_000))
    await pass_window(app_database, stall)
    monkeypatch.setattr(aging, "CREDITS_MAX", 2)

    assert [await ask(app_database, stall, days=0) for _ in range(3)] == [2, 1, 0]
    assert await list_breaks(app_database, stall) == ["credit_without_line"] * 3


async def test_a_credit_that_comes_after_its_day_was_asked_about_is_asked_about_too(
    app_database: Database, stall: PayableStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_lines(app_database, stall, Line(amount_vnd=-1_000))
    await pass_window(app_database, stall)
    assert await ask(app_database, stall, days=0) == 0
    async with open_org_transaction(app_database, stall.org.id) as session:
        await queries.set_matched(
            session, stall.org.id, stall.account_id, matched_at=NOON, is_whole=True
        )
    for number in range(3):
        reference = f"FT2632400055{number}"
        await receive(app_database, stall, bank_reference=reference, now=NOON)
    monkeypatch.setattr(aging, "CREDITS_MAX", 2)

    assert [await ask(app_database, stall, days=0) for _ in range(2)] == [3, 0]
    assert await list_breaks(app_database, stall) == ["credit_without_line"] * 3


async def test_nobody_is_asked_for_the_line_of_what_is_another_credits_money(
    app_database: Database, stall: PayableStall
) -> None:
    await receive(app_database, stall, bank_reference=FT)
    await add_lines(app_database, stall, Line(amount_vnd=-1_000))
    await pass_window(app_database, stall)
    assert await ask(app_database, stall, days=0) == 1
    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT subject_id FROM breaks WHERE kind = 'credit_without_line'")
        credit_id = (await session.execute(query)).scalar_one()
        await mark_same_money(session, stall.org.id, credit_id, actor=MANAGER, now=NOON)

    assert await list_breaks(app_database, stall) == []
