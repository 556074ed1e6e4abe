"""The checklist of a day: each thing that keeps it open, and what two people may close over."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.clock import day_bounds
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.closing import opening, over, service
from payments.closing.errors import DayNotOpen, DayNotReady
from payments.closing.rules import NotReady, Proof
from payments.ledger.errors import DayAhead
from payments.statements.rules import StatementStatus
from tests.payments.closing.days import (
    FRIDAY,
    LATER,
    MONDAY,
    ONE_DAY,
    SATURDAY,
    SUNDAY,
    Line,
    a_credit,
    a_live_account,
    at,
    carried_at,
    close,
    explain,
    own_and_explain,
    own_days,
    own_period,
    row_of,
)
from tests.world.constants import APPROVER, MANAGER, NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import sepay_body, store_notices
from tests.world.reads import list_breaks
from tests.world.stalls import PayableStall, another_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WINDOW = """
    INSERT INTO poll_windows (
        org_id, id, endpoint_id, receiving_account_id, outage_id, from_at, until_at,
        next_attempt_at)
    VALUES (%(org)s, %(id)s, %(endpoint)s, %(account)s, %(outage)s, %(from_at)s, %(until_at)s,
            now())
"""
BREAK = """
    INSERT INTO breaks (org_id, id, kind, subject_id, credit_id, reason, reason_facts, opened_at)
    VALUES (%(org)s, %(id)s, %(kind)s, %(subject)s, %(credit)s, 'x', '{}', now())
"""


def change(database: FreshDatabase, stall: PayableStall, query: str, **values: Any) -> None:
    known = {"org": stall.org.id, "account": stall.account_id, "endpoint": stall.endpoint_id}
    with psycopg.connect(database.owner_url) as owner:
        owner.execute(query, {**known, "id": new_id(), **values})


async def refused(
    database: Database, stall: PayableStall, *, poll_every_s: int = 0, now: Any = LATER
) -> tuple[list[str], list[str]]:
    """Try to close Friday; return what keeps it open: the organisation's, and the account's."""
    with pytest.raises(DayNotReady) as caught:
        await service.close_day(
            database, stall.org.id, FRIDAY, poll_every_s=poll_every_s, actor=MANAGER, now=now
        )
    found = caught.value
    assert {one.code for one in found.violations}  # each is worded
    of_account = found.accounts.get(stall.account_id, ())
    return [one.code for one in found.reasons], [one.code for one in of_account]


async def test_an_account_with_statements_waits_for_its_statement(
    app_database: Database, stall: PayableStall
) -> None:
    await a_live_account(app_database, stall)

    assert await refused(app_database, stall) == ([], [NotReady.STATEMENT_MISSING])


async def test_a_statement_whose_lines_are_being_written_proves_nothing_yet(
    app_database: Database, stall: PayableStall
) -> None:
    await a_live_account(app_database, stall)
    await own_days(
        app_database, stall, [(FRIDAY, [])], opening_vnd=0, status=StatementStatus.ACCEPTED
    )

    assert await refused(app_database, stall) == ([], [NotReady.STATEMENT_BEING_WRITTEN])


async def test_a_statement_that_was_made_before_the_day_was_over_does_not_close_it(
    app_database: Database, stall: PayableStall
) -> None:
    await a_live_account(app_database, stall)
    await own_days(app_database, stall, [(FRIDAY, [])], opening_vnd=0, came_at=at(FRIDAY, 20))

    assert await refused(app_database, stall) == ([], [NotReady.STATEMENT_ENDS_EARLY])

    await own_period(app_database, stall, FRIDAY, SATURDAY)  # says the same of Friday
    await close(app_database, stall, FRIDAY)
    assert (await row_of(app_database, stall, FRIDAY)).proof == "statement"


async def test_each_line_of_the_day_must_be_explained(
    app_database: Database, stall: PayableStall
) -> None:
    await a_live_account(app_database, stall)
    await own_days(app_database, stall, [(FRIDAY, [Line(amount_vnd=7_000)])], opening_vnd=0)

    assert await refused(app_database, stall) == ([], [NotReady.LINES_NOT_EXPLAINED])


async def test_a_statement_that_closes_otherwise_than_the_books_is_not_closed_on(
    app_database: Database, stall: PayableStall
) -> None:
    """By one đồng: the opening balance was not the statement's."""
    await a_live_account(app_database, stall, 1_000_000)
    await own_days(app_database, stall, [(FRIDAY, [])], opening_vnd=1_000_001)

    assert await refused(app_database, stall) == ([], [NotReady.BALANCE_DIFFERS])


async def test_the_database_refuses_a_row_whose_bank_is_not_the_statement(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    await a_live_account(app_database, stall, 5)
    await own_days(app_database, stall, [(FRIDAY, [])], opening_vnd=5)
    await close(app_database, stall, FRIDAY)

    for query, name in (
        ("UPDATE ledger_day_accounts SET bank_vnd = bank_vnd + 1 WHERE proof = 'statement'",
         "bank_is_the_statement"),
        ("UPDATE ledger_day_accounts SET carried_vnd = carried_vnd + 1", "all_is_carried"),
        ("UPDATE ledger_day_accounts SET opening_vnd = opening_vnd + 1 WHERE proof = 'statement'",
         "statement_adds_up"),
        ("UPDATE ledger_day_accounts SET proof = 'closed_over'", "over_by_two"),
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.CheckViolation, match=name):
            change(fresh_database, stall, query)


async def test_a_span_without_callbacks_that_was_not_polled_keeps_two_ways_open(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    change(fresh_database, stall, WINDOW, outage=new_id(), from_at=NOON, until_at=NOON + ONE_DAY)

    assert await refused(app_database, stall) == ([], [NotReady.OUTAGE_OPEN])

    change(fresh_database, stall, "UPDATE poll_windows SET finished_at = now()")
    assert (await close(app_database, stall, FRIDAY)).day == FRIDAY


async def test_a_list_that_was_not_polled_to_the_days_end_keeps_two_ways_open(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    _, ends_at = day_bounds(FRIDAY)
    change(
        fresh_database, stall, WINDOW, outage=None, until_at=None,
        from_at=ends_at - timedelta(minutes=11),
    )  # fmt: skip

    assert await refused(app_database, stall, poll_every_s=900) == ([], [NotReady.POLLS_BEHIND])

    change(fresh_database, stall, "UPDATE poll_windows SET from_at = from_at + interval '1 minute'")
    await service.close_day(  # polls go ten minutes back
        app_database, stall.org.id, FRIDAY, poll_every_s=900, actor=MANAGER, now=LATER
    )


async def test_an_installation_that_does_not_poll_waits_for_no_poll(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    change(fresh_database, stall, WINDOW, outage=None, until_at=None, from_at=NOON)

    assert (await close(app_database, stall, FRIDAY)).day == FRIDAY


@pytest.mark.parametrize("kind", ["contradiction", "possible_duplicate"])
async def test_reports_that_disagree_keep_two_ways_open(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall, kind: str
) -> None:
    credit = await a_credit(app_database, stall, 20_000, when=NOON)
    change(fresh_database, stall, BREAK, kind=kind, subject=new_id(), credit=credit)

    assert await refused(app_database, stall) == ([], [NotReady.BREAKS_OPEN])


@pytest.mark.parametrize("kind", ["unassigned", "refund_due"])
async def test_money_without_its_reason_keeps_nothing_open(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall, kind: str
) -> None:
    credit = await a_credit(app_database, stall, 20_000, when=NOON)
    change(fresh_database, stall, BREAK, kind=kind, subject=credit, credit=credit)

    assert (await close(app_database, stall, FRIDAY)).day == FRIDAY


async def test_a_callback_that_is_not_processed_keeps_the_day_open(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=1_000, memo="x"))

    assert await refused(app_database, stall) == ([NotReady.NOTICES_UNHANDLED], [])

    change(fresh_database, stall, "UPDATE notices SET outcome = 'waits_for_account', attempts = 1")
    assert (await close(app_database, stall, FRIDAY)).day == FRIDAY  # of an account of nobody's


async def test_an_outage_that_nobody_has_planned_for_keeps_the_day_open(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    change(
        fresh_database, stall,
        "INSERT INTO outages (id, from_at, until_at, reason)"
        " VALUES (%(id)s, %(from_at)s, %(until_at)s, 'unknown')",
        from_at=NOON, until_at=NOON + ONE_DAY,
    )  # fmt: skip

    assert await refused(app_database, stall) == ([NotReady.OUTAGE_NOT_PLANNED], [])


async def test_a_day_is_closed_once_it_is_over(app_database: Database, stall: PayableStall) -> None:
    assert await refused(app_database, stall, now=NOON) == ([NotReady.DAY_NOT_OVER], [])


async def say(
    database: Database,
    stall: PayableStall,
    who: Any,
    account_id: UUID | None = None,
    *,
    day: date = FRIDAY,
) -> UUID | None:
    async with open_org_transaction(database, stall.org.id) as session:
        found = await over.close_over(
            session, stall.org.id, day, account_id or stall.account_id,
            reason="sao kê chưa về", actor=who, now=LATER,
        )  # fmt: skip
        return found.by_2


async def test_one_stalls_missing_statement_stops_nobody_once_two_people_say_so(
    app_database: Database, stall: PayableStall
) -> None:
    other = await another_stall(app_database, stall)
    await a_live_account(app_database, stall, 100)
    credit = await a_credit(app_database, stall, 20_000, when=NOON)
    assert await say(app_database, stall, MANAGER) is None
    assert await say(app_database, stall, MANAGER) is None  # the same person is one
    with pytest.raises(DayNotReady):
        await close(app_database, stall, FRIDAY)

    assert await say(app_database, stall, APPROVER) == APPROVER.id
    assert await say(app_database, stall, VENDOR) == APPROVER.id  # a third one changes nothing
    await close(app_database, stall, FRIDAY)

    row = await row_of(app_database, stall, FRIDAY)
    assert (row.proof, row.over_by_1, row.over_by_2) == ("closed_over", MANAGER.id, APPROVER.id)
    assert (row.closing_vnd, row.bank_vnd, row.carried_count) == (None, 100, 1)
    assert await carried_at(app_database, stall, FRIDAY) == {credit: (20_000, FRIDAY)}
    assert (await row_of(app_database, other, FRIDAY)).proof == "callbacks_only"
    assert await list_breaks(app_database, stall) == ["statement_gap"]
    with pytest.raises(DayNotOpen):
        await say(app_database, stall, VENDOR)


async def test_a_gap_stands_open_until_the_account_is_whole_again(
    app_database: Database, stall: PayableStall
) -> None:
    await a_live_account(app_database, stall)
    credit = await a_credit(app_database, stall, 20_000, when=NOON)
    for who in (MANAGER, APPROVER):
        await say(app_database, stall, who)
    await close(app_database, stall, FRIDAY)
    days = [(FRIDAY, [Line(amount_vnd=20_000, credit=credit)]), (SATURDAY, [])]
    made = await own_days(app_database, stall, days, opening_vnd=0)

    await close(app_database, stall, SATURDAY)  # Friday's line is open: late, and named so

    row = await row_of(app_database, stall, SATURDAY)
    assert (row.proof, row.closing_vnd, row.bank_vnd, row.late_lines_vnd) == (
        "statement", 20_000, 0, 20_000
    )  # fmt: skip
    assert len(made) == 1
    assert await list_breaks(app_database, stall) == []


async def test_a_day_that_is_closed_over_opens_the_gap_again(
    app_database: Database, stall: PayableStall
) -> None:
    """Two people close over both days beforehand; then Friday's statement comes."""
    await a_live_account(app_database, stall)
    for day in (FRIDAY, SATURDAY):
        for who in (MANAGER, APPROVER):
            await say(app_database, stall, who, day=day)
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=0)
    await close(app_database, stall, FRIDAY)
    assert await list_breaks(app_database, stall) == []

    await close(app_database, stall, SATURDAY)

    assert (await row_of(app_database, stall, SATURDAY)).proof == "closed_over"
    assert await list_breaks(app_database, stall) == ["statement_gap"]
    async with open_org_transaction(app_database, stall.org.id) as session:
        await opening.set_proof(
            session, stall.org.id, stall.account_id,
            proof=Proof.CALLBACKS_ONLY, from_day=SUNDAY, actor=MANAGER, now=LATER,
        )  # fmt: skip
    await close(app_database, stall, SUNDAY)
    assert await list_breaks(app_database, stall) == []  # by callbacks only, from then on


async def test_a_day_that_became_ready_is_closed_as_ready(
    app_database: Database, stall: PayableStall
) -> None:
    await a_live_account(app_database, stall)
    for who in (MANAGER, APPROVER):
        await say(app_database, stall, who)
    await own_and_explain(app_database, stall, [(FRIDAY, [])], opening_vnd=0)

    await close(app_database, stall, FRIDAY)

    row = await row_of(app_database, stall, FRIDAY)
    assert (row.proof, row.over_by_1, row.over_by_2) == ("statement", None, None)


async def test_nobody_closes_a_day_over_before_it_is_over(
    app_database: Database, stall: PayableStall
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(DayAhead):
            await over.close_over(
                session, stall.org.id, FRIDAY, stall.account_id,
                reason="x", actor=MANAGER, now=NOON,
            )  # fmt: skip


async def test_the_application_cannot_close_over_by_one_person(
    app_database: Database, stall: PayableStall
) -> None:
    await say(app_database, stall, MANAGER)
    with pytest.raises(IntegrityError, match="two_people"):
        async with open_org_transaction(app_database, stall.org.id) as session:
            await session.execute(text("UPDATE closed_over_days SET by_2 = by_1, at_2 = at_1"))


async def test_a_late_line_is_posted_in_the_open_day(
    app_database: Database, stall: PayableStall
) -> None:
    """The bank adds Friday's line once Friday is closed over: it moves Sunday's bank balance."""
    await a_live_account(app_database, stall)
    credit = await a_credit(app_database, stall, 20_000, when=at(FRIDAY))
    for who in (MANAGER, APPROVER):
        await say(app_database, stall, who)
    await close(app_database, stall, FRIDAY)
    late = Line(amount_vnd=20_000, credit=credit)
    made = await own_days(
        app_database, stall, [(FRIDAY, [late]), (SATURDAY, []), (SUNDAY, []), (MONDAY, [])],
        opening_vnd=0,
    )  # fmt: skip
    await close(app_database, stall, SATURDAY)
    await explain(app_database, stall, made[FRIDAY, 0], late)
    await close(app_database, stall, SUNDAY)

    rows = [await row_of(app_database, stall, day) for day in (FRIDAY, SATURDAY, SUNDAY)]
    assert [(one.bank_vnd, one.late_lines_vnd, one.carried_vnd) for one in rows] == [
        (0, 0, 20_000), (0, 20_000, 20_000), (20_000, 0, 0)
    ]  # fmt: skip
