"""Lines and credits without their other side: on somebody's list, once, until explained."""

from datetime import timedelta

import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from payments.reconciliation import aging, queries
from tests.payments.invariants import find_violations
from tests.world.constants import NOON
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
