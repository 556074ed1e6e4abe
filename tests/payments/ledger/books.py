"""The books of a stall: postings on chosen days, days closed, and plain sums to compare with."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.ledger import service as ledger
from payments.ledger.closing import close_day
from payments.ledger.rules import (
    AccountKey,
    NewPosting,
    bank_clearing,
    cash_in_drawer,
    takings,
    unapplied,
)
from payments.ledger.types import ClosedDay
from tests.world.constants import MANAGER, NOON
from tests.world.stalls import PayableStall

DAY = hanoi_day(NOON)  # long past by the database's clock
ONE_DAY = timedelta(days=1)


def a_posting(
    stall: PayableStall, amount_vnd: int = 20_000, *, at: datetime = NOON, kind: str = "sale"
) -> NewPosting:
    """A posting of a sale, of cash, or of money without a reason."""
    debit, credit, item_id = {
        "sale": (bank_clearing(stall.account_id), takings(stall.payee_id), new_id()),
        "cash": (cash_in_drawer(stall.payee_id), takings(stall.payee_id), None),
        "unknown": (bank_clearing(stall.account_id), unapplied(stall.account_id), new_id()),
    }[kind]
    return NewPosting(
        debit=debit,
        credit=credit,
        amount_vnd=amount_vnd,
        cause_kind="test",
        cause_id=new_id(),
        step=0,
        effective_at=at,
        item_id=item_id,
    )


async def post(
    database: Database, stall: PayableStall, *postings: NewPosting, now: datetime = NOON
) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await ledger.post(session, stall.org.id, postings, now=now)


async def close(
    database: Database, stall: PayableStall, day: date = DAY, *, now: datetime | None = None
) -> ClosedDay:
    """Close a day, at noon of the next one."""
    at = now or NOON + (day - DAY) + ONE_DAY
    return await close_day(database, stall.org.id, day, actor=MANAGER, now=at)


async def days_of(database: Database, stall: PayableStall) -> list[tuple[date, int]]:
    """The day and the amount of each posting, in the order of their ids."""
    async with open_org_transaction(database, stall.org.id) as session:
        rows = await session.execute(
            text("SELECT day, amount_vnd FROM postings WHERE org_id = :org ORDER BY id"),
            {"org": stall.org.id},
        )
        return [(row.day, row.amount_vnd) for row in rows]


async def balance(
    database: Database, stall: PayableStall, key: AccountKey, *, at: datetime | None = None
) -> int:
    async with open_org_transaction(database, stall.org.id) as session:
        return await ledger.read_balance(session, stall.org.id, key, at=at)


async def plain_sum(session: AsyncSession, org_id: UUID, key: AccountKey, condition: str) -> int:
    """All postings summed, without a checkpoint."""
    query = text(
        "SELECT coalesce(sum(CASE WHEN (credit_code, credit_subject_id) = (:code, :id)"
        " THEN amount_vnd ELSE -amount_vnd END), 0)::bigint FROM postings"
        " WHERE org_id = :org AND ((credit_code, credit_subject_id) = (:code, :id)"
        f" OR (debit_code, debit_subject_id) = (:code, :id)) AND {condition}"
    )
    values = {"org": org_id, "code": key.code.value, "id": key.subject_id}
    return int((await session.execute(query, values)).scalar_one())
