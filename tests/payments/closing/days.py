"""An account's days: credits that are called back, statements, lines that are explained, closes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.audit import Actor
from core.clock import HANOI, hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.closing import opening, queries_days, service
from payments.closing.models import OpeningBalance
from payments.closing.opening import NewOpening
from payments.closing.rules import DayAccount
from payments.ledger.types import ClosedDay
from payments.reconciliation.service import explain_line, link_line
from payments.statements.rules import Explanation, StatementStatus
from tests.world.bills import a_bill
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.notices import pay
from tests.world.stalls import PayableStall

FRIDAY = hanoi_day(NOON)
ONE_DAY = timedelta(days=1)
THURSDAY, SATURDAY, SUNDAY, MONDAY, TUESDAY = (FRIDAY + n * ONE_DAY for n in (-1, 1, 2, 3, 4))
LATER = NOON + 9 * ONE_DAY  # when days are closed: all of them are over


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a statement; `credit` is what it turns out to be."""

    amount_vnd: int  # below zero: out
    credit: UUID | None = None


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=HANOI)


async def a_credit(
    database: Database, stall: PayableStall, amount_vnd: int, *, when: datetime
) -> UUID:
    """Let a bill be paid by a transfer that a callback reports at once; return the credit."""
    bill = await a_bill(database, stall, amount_vnd=amount_vnd, now=when)
    await pay(database, stall, bill, amount_vnd=amount_vnd, occurred_at=when, now=when)
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT source_id FROM payments WHERE bill_id = :bill")
        found: UUID = (await session.execute(query, {"bill": bill.id})).scalar_one()
    return found


async def own_period(
    database: Database,
    stall: PayableStall,
    first: date,
    last: date,
    *,
    status: StatementStatus = StatementStatus.VISIBLE,
    came_at: datetime = LATER,
) -> UUID:
    """Let a statement of some days come, without lines of its own; return it."""
    statement_id = new_id()
    async with open_org_transaction(database, stall.org.id) as session:
        await session.execute(
            text(
                "INSERT INTO statements (org_id, id, receiving_account_id, file_sha256, file_name,"
                " file_bytes, is_pasted, status, period_from, period_to, created_at)"
                " VALUES (:org, :id, :account, :sha, 'x.csv', 1, false, :status, :first, :last,"
                " :came_at)"
            ),
            {
                "org": stall.org.id,
                "account": stall.account_id,
                "id": statement_id,
                "sha": statement_id.bytes,
                "status": status.value,
                "first": first,
                "last": last,
                "came_at": came_at,
            },
        )
    return statement_id


async def own_days(
    database: Database,
    stall: PayableStall,
    days: Sequence[tuple[date, Sequence[Line]]],
    *,
    opening_vnd: int | None,
    status: StatementStatus = StatementStatus.VISIBLE,
    came_at: datetime = LATER,
) -> dict[tuple[date, int], UUID]:
    """Let a statement own days in a row; return {(day, place): its line}."""
    made: dict[tuple[date, int], UUID] = {}
    balance_vnd = opening_vnd
    values: dict[str, Any] = {"org": stall.org.id, "account": stall.account_id}
    statement_id = await own_period(
        database, stall, days[0][0], days[-1][0], status=status, came_at=came_at
    )
    async with open_org_transaction(database, stall.org.id) as session:
        line_no = 0
        for day, lines in days:
            moved = [one.amount_vnd for one in lines]
            in_vnd, out_vnd = sum(v for v in moved if v > 0), -sum(v for v in moved if v < 0)
            if balance_vnd is not None:
                balance_vnd += in_vnd - out_vnd
            await session.execute(
                text(
                    "INSERT INTO statement_days VALUES (:org, :account, :day, :id, :count, :in_vnd,"
                    " :out_vnd, :closing)"
                ),
                {
                    **values,
                    "day": day,
                    "id": statement_id,
                    "count": len(lines),
                    "in_vnd": in_vnd,
                    "out_vnd": out_vnd,
                    "closing": balance_vnd,
                },
            )
            for place, one in enumerate(lines):
                line_no += 1
                made[day, place] = new_id()
                await session.execute(
                    text(
                        "INSERT INTO statement_lines (org_id, id, line_no, booked_on, is_date_only,"
                        " direction, amount_vnd, bank_reference, memo, is_reversal, statement_id,"
                        " receiving_account_id, open_vnd) VALUES (:org, :line, :no, :day, true,"
                        " :direction, :vnd, '', '', false, :id, :account, :vnd)"
                    ),
                    {
                        **values,
                        "line": made[day, place],
                        "no": line_no,
                        "day": day,
                        "direction": "in" if one.amount_vnd > 0 else "out",
                        "vnd": abs(one.amount_vnd),
                        "id": statement_id,
                    },
                )
    return made


async def explain(
    database: Database,
    stall: PayableStall,
    line_id: UUID,
    line: Line,
    *,
    now: datetime = LATER,
) -> None:
    """Say what a line is: its credit, or a charge of the bank."""
    org_id = stall.org.id
    said: dict[str, Any] = {"words": "theo sao kê", "actor": MANAGER, "now": now}
    async with open_org_transaction(database, org_id) as session:
        if line.credit is None:
            await explain_line(
                session, org_id, line_id, explanation=Explanation.BANK_CHARGE, **said
            )
        else:
            await link_line(session, org_id, line_id, credit_ids=[line.credit], **said)


async def own_and_explain(
    database: Database,
    stall: PayableStall,
    days: Sequence[tuple[date, Sequence[Line]]],
    *,
    opening_vnd: int | None,
) -> None:
    """Let a statement own days, each of its lines explained."""
    made = await own_days(database, stall, days, opening_vnd=opening_vnd)
    for day, lines in days:
        for place, line in enumerate(lines):
            await explain(database, stall, made[day, place], line)


async def close(
    database: Database, stall: PayableStall, day: date, *, actor: Actor = MANAGER
) -> ClosedDay:
    return await service.close_day(
        database, stall.org.id, day, poll_every_s=0, actor=actor, now=LATER
    )


async def go_live(
    database: Database,
    stall: PayableStall,
    day: date,
    amount_vnd: int,
    *,
    under_way: Sequence[UUID] = (),
) -> OpeningBalance:
    """Propose an opening balance, and have another person confirm it."""
    async with open_org_transaction(database, stall.org.id) as session:
        proposed = await opening.propose_opening(
            session,
            stall.org.id,
            NewOpening(
                receiving_account_id=stall.account_id,
                day=day,
                amount_vnd=amount_vnd,
                under_way=under_way,
            ),
            actor=MANAGER,
            now=LATER,
        )
    async with open_org_transaction(database, stall.org.id) as session:
        return await opening.confirm_opening(
            session, stall.org.id, stall.account_id, proposed.id, actor=APPROVER, now=LATER
        )


async def a_live_account(database: Database, stall: PayableStall, amount_vnd: int = 0) -> None:
    """Close Thursday, and let the account's statements count from Friday on."""
    await close(database, stall, THURSDAY)
    await go_live(database, stall, FRIDAY, amount_vnd)


async def row_of(database: Database, stall: PayableStall, day: date) -> DayAccount:
    """How the stall's account stood when a day was closed."""
    async with open_org_transaction(database, stall.org.id) as session:
        rows = await queries_days.list_day_accounts(session, stall.org.id, day)
    (found,) = [one for one in rows if one.receiving_account_id == stall.account_id]
    return found


async def carried_at(
    database: Database, stall: PayableStall, day: date
) -> dict[UUID, tuple[int, date]]:
    """What was carried at the end of a closed day: {credit: (đồng, since which day)}."""
    query = text(
        "SELECT credit_id, amount_vnd, since_day FROM carried_items WHERE org_id = :org"
        " AND first_day <= :day AND (cleared_day IS NULL OR cleared_day > :day)"
    )
    async with open_org_transaction(database, stall.org.id) as session:
        rows = await session.execute(query, {"org": stall.org.id, "day": day})
        return {row.credit_id: (row.amount_vnd, row.since_day) for row in rows}
