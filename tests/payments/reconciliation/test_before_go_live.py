"""Lines from before a go-live: no rule and no person explains them, and what did is taken back."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.reconciliation import aging, matching, queries, service
from payments.reconciliation.errors import LineBeforeOpening, TooManyLinesBefore
from payments.statements.rules import Explanation
from tests.payments.invariants import find_violations
from tests.payments.ledger.books import close
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.lines import TODAY, Line, add_lines, match, read_bank, read_rules, receive
from tests.world.reads import list_breaks
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ONE_DAY = timedelta(days=1)
BEFORE = TODAY - ONE_DAY

INSERT_OPENING = text("""
    INSERT INTO opening_balances (
        org_id, id, receiving_account_id, day, amount_vnd, under_way, proposed_by, proposed_at,
        confirmed_by, confirmed_at, bank_vnd, clearing_vnd, under_way_vnd)
    VALUES (:org_id, :id, :account_id, :day, 0, '{}', :first, now(), :second, now(), 0, 0, 0)
""")


def ft(number: int) -> str:
    return f"FT2632400{number:04d}"


async def open_account(database: Database, stall: PayableStall) -> None:
    """Let the account's lines count from today on, as two people's word does."""
    async with open_org_transaction(database, stall.org.id) as session:
        await session.execute(
            INSERT_OPENING,
            {
                "org_id": stall.org.id,
                "id": new_id(),
                "account_id": stall.account_id,
                "day": TODAY,
                "first": new_id(),
                "second": new_id(),
            },
        )


async def unprove(database: Database, stall: PayableStall) -> int:
    async with open_org_transaction(database, stall.org.id) as session:
        await queries.lock_account(session, stall.org.id, stall.account_id)
        return await matching.unprove_before(
            session, stall.org.id, stall.account_id, TODAY, now=NOON
        )


async def test_lines_from_before_a_go_live_are_matched_and_asked_about_by_nobody(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    for number in (1, 2):
        await receive(app_database, stall, bank_reference=ft(number))
    lines = await add_lines(
        app_database,
        stall,
        Line(bank_reference=ft(1), booked_on=BEFORE),
        Line(bank_reference=ft(2)),
        Line(amount_vnd=-1_000, booked_on=TODAY + timedelta(days=4)),
    )
    await open_account(app_database, stall)

    await match(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await queries.lock_account(session, stall.org.id, stall.account_id)
        later = NOON + timedelta(days=9)
        await aging.ask(session, stall.org.id, stall.account_id, now=later)

    assert await read_rules(app_database, stall, lines) == [None, "bank_reference", None]
    assert await list_breaks(app_database, stall) == ["credit_without_line"]  # of today
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("step", ["link", "explain", "unlink"])
async def test_a_person_cannot_touch_a_line_from_before_a_go_live(
    app_database: Database, stall: PayableStall, step: str
) -> None:
    (line,) = await add_lines(app_database, stall, Line(booked_on=BEFORE))
    await open_account(app_database, stall)
    steps: dict[str, Callable[[AsyncSession, UUID], Awaitable[None]]] = {
        "link": lambda session, org_id: service.link_line(
            session, org_id, line, credit_ids=[new_id()], words="là nó", actor=MANAGER, now=NOON
        ),
        "explain": lambda session, org_id: service.explain_line(
            session,
            org_id,
            line,
            explanation=Explanation.INTEREST,
            words="lãi",
            actor=MANAGER,
            now=NOON,
        ),
        "unlink": lambda session, org_id: service.unlink_line(
            session, org_id, line, words="nhầm", actor=MANAGER, now=NOON
        ),
    }

    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(LineBeforeOpening, match="2026-11-20"):
            await steps[step](session, stall.org.id)


async def test_what_an_open_day_has_of_earlier_lines_is_taken_back_and_of_a_closed_day_is_not(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    for number in range(4):
        await receive(app_database, stall, bank_reference=ft(number), days_before=int(number < 3))
    (closed,) = await add_lines(app_database, stall, Line(bank_reference=ft(0), booked_on=BEFORE))
    await match(app_database, stall)
    await close(app_database, stall, BEFORE)
    late = await add_lines(
        app_database,
        stall,
        Line(bank_reference=ft(1), booked_on=BEFORE),
        Line(bank_reference=ft(2), booked_on=BEFORE),
        Line(bank_reference=ft(3)),
    )
    await match(app_database, stall)
    assert await read_bank(app_database, stall) == 80_000

    assert await unprove(app_database, stall) == 2
    assert await unprove(app_database, stall) == 0

    by_reference = "bank_reference"
    rules = await read_rules(app_database, stall, [closed, *late])
    assert rules == [by_reference, None, None, by_reference]
    assert await read_bank(app_database, stall) == 40_000
    assert await list_breaks(app_database, stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_go_live_takes_no_more_proofs_back_than_fit_one_transaction(
    app_database: Database, stall: PayableStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await receive(app_database, stall, bank_reference=ft(number), days_before=1)
    lines = [Line(bank_reference=ft(number), booked_on=BEFORE) for number in range(3)]
    await add_lines(app_database, stall, *lines)
    await match(app_database, stall)

    monkeypatch.setattr(matching, "BEFORE_MAX", 2)
    with pytest.raises(TooManyLinesBefore):
        await unprove(app_database, stall)
    monkeypatch.setattr(matching, "BEFORE_MAX", 3)
    monkeypatch.setattr(matching, "CHUNK_LINES", 2)
    assert await unprove(app_database, stall) == 3
    assert await read_bank(app_database, stall) == 0
