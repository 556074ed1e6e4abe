"""SQL of lists of bills: by filters, those a payment could pay, and a provider's order ids."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from payments.bills.queries import COLUMNS, FROM_BILLS, read_bill
from payments.bills.rules import ID_AGE_MAX, ID_AHEAD_MAX, BillFacts, BillStatus

CLOCKS_APART: Final = timedelta(hours=1)  # of processes: one makes the id, another reads the time
# Each filter that is given, and only those: `:since IS NULL OR …` keeps a plan that serves any
# values from every index.
FILTERS: Final = {
    "before_id": "b.id < :before_id",
    "payee_id": "b.payee_id = :payee_id",
    "references": "b.reference = ANY(CAST(:references AS text[]))",
    "external_id": "b.external_id = :external_id",
    # Lists go by ids; a client's own may be some days older than its bill, and a little newer.
    "since": "b.created_at >= :since AND b.id >= :first_id",
    "until": "b.created_at < :until AND b.id < :last_id",
}
IS_UNPAID = "b.status IN ('open', 'part_paid')"
IN_STATUS: Final = {
    # What can still be paid is found by its expiry (ix_bills_expiry): an index on the status would
    # have to be written anew by each payment.
    BillStatus.OPEN: "b.status = 'open' AND b.expires_at > :now",
    BillStatus.PART_PAID: "b.status = 'part_paid' AND b.expires_at > :now",
    BillStatus.EXPIRED: f"(b.status = 'expired' OR ({IS_UNPAID} AND b.expires_at <= :now))",
    # Rare ones by their times, which never change: an index on the status, even in its condition,
    # would have to be written anew by each payment, too.
    BillStatus.CANCELLED: "b.status = 'cancelled' AND b.cancelled_at IS NOT NULL",
    BillStatus.PART_REFUNDED: "b.status = 'part_refunded' AND b.refunded_at IS NOT NULL",
    BillStatus.REFUNDED: "b.status = 'refunded' AND b.refunded_at IS NOT NULL",
}
UNPAID_LISTED_FOR: Final = timedelta(days=62)  # before a payment; ids are in the order of time
# Those that were watched when the payment came, or the day before: a bank may tell a day alone.
LIST_UNPAID_OF_PAYEE = text(f"""
    SELECT {COLUMNS} {FROM_BILLS}
    WHERE b.org_id = :org_id AND b.payee_id = :payee_id AND b.receiving_account_id = :account_id
      AND b.id >= :first_id AND b.status IN ('open', 'part_paid', 'expired')
      AND b.amount_vnd IS NOT NULL AND b.monitor_until >= :watched_until
    ORDER BY b.id LIMIT :limit
""")
LIST_ORDER_IDS = text("""
    SELECT b.provider_order_id FROM bills b
    WHERE b.org_id = :org_id AND b.payee_id = :payee_id AND b.receiving_account_id = :account_id
      AND b.rail = :rail AND b.provider_order_id IS NOT NULL
      AND CASE WHEN CAST(:bill_id AS uuid) IS NULL THEN b.id >= :first_id ELSE b.id = :bill_id END
    ORDER BY b.status NOT IN ('open', 'part_paid', 'expired'), b.id DESC LIMIT :limit
""")
# Ids are of when a bill was made: one that could be paid in the window is not older than these. A
# bill that was paid otherwise meanwhile, in cash, may have been paid at the provider as well.
LIST_ORDERS_BETWEEN = text("""
    SELECT b.id, b.provider_order_id FROM bills b
    WHERE b.org_id = :org_id AND b.receiving_account_id = :account_id AND b.rail = :rail
      AND b.provider_order_id IS NOT NULL AND b.id > :after_id AND b.created_at < :until_at
      AND b.monitor_until >= :from_at
      AND (b.status <> 'paid' OR NOT EXISTS (
          SELECT FROM payments p
          WHERE p.org_id = b.org_id AND p.bill_id = b.id AND p.reversed_at IS NULL
            AND (p.rail = b.rail OR p.recorded_at < :from_at)))
    ORDER BY b.id LIMIT :limit
""")


async def list_bills(
    session: AsyncSession,
    org_id: UUID,
    *,
    before_id: UUID | None = None,
    payee_id: UUID | None = None,
    references: Sequence[str] | None = None,
    external_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    statuses: Sequence[str] | None = None,
    limit: int,
    now: datetime,
) -> list[BillFacts]:
    """List bills, newest id first; every filter that is given must hold."""
    filters = {
        "before_id": before_id,
        "payee_id": payee_id,
        "references": None if references is None else list(references),
        "external_id": external_id,
        "since": since,
        "until": until,
    }
    given = {name: value for name, value in filters.items() if value is not None}
    wanted = None if statuses is None else tuple(sorted({BillStatus(one) for one in statuses}))
    values = {"org_id": org_id, "limit": limit, **given}
    if since is not None:
        values["first_id"] = first_id_at(since - ID_AGE_MAX)
    if until is not None:
        values["last_id"] = first_id_at(until + ID_AHEAD_MAX + CLOCKS_APART)
    if wanted is not None:
        values["now"] = now
    statement = _write_list(frozenset(given), wanted)
    return [read_bill(row) for row in await session.execute(statement, values)]


async def list_unpaid_of_payee(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    *,
    account_id: UUID,
    paid_at: datetime,
    limit: int,
) -> list[BillFacts]:
    """List a payee's bills on an account that a payment of then could pay, oldest first."""
    values = {
        "org_id": org_id,
        "payee_id": payee_id,
        "account_id": account_id,
        "first_id": first_id_at(paid_at - UNPAID_LISTED_FOR),
        "watched_until": paid_at - timedelta(days=1),
        "limit": limit,
    }
    return [read_bill(row) for row in await session.execute(LIST_UNPAID_OF_PAYEE, values)]


async def list_order_ids(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    account_id: UUID,
    *,
    rail: str,
    bill_id: UUID | None,
    since: datetime,
    limit: int,
) -> list[str]:
    """List what a payee's bills on an account are called at a provider, unpaid ones first.

    Args:
        bill_id: this bill alone, whatever its age; None: those made since then.
    """
    rows = await session.execute(
        LIST_ORDER_IDS,
        {
            "org_id": org_id,
            "payee_id": payee_id,
            "account_id": account_id,
            "rail": rail,
            "bill_id": bill_id,
            "first_id": first_id_at(since),
            "limit": limit,
        },
    )
    return [row[0] for row in rows]


async def list_orders_between(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    rail: str,
    from_at: datetime,
    until_at: datetime,
    after_id: UUID | None,
    limit: int,
) -> list[tuple[UUID, str]]:
    """List (bill, its order at a provider) of bills that may have been paid in a window.

    Args:
        after_id: the bill that the last page ended with; None: the first page.
    """
    rows = await session.execute(
        LIST_ORDERS_BETWEEN,
        {
            "org_id": org_id,
            "account_id": account_id,
            "rail": rail,
            "from_at": from_at,
            "until_at": until_at,
            "after_id": after_id or first_id_at(from_at - UNPAID_LISTED_FOR),
            "limit": limit,
        },
    )
    return [(row[0], row[1]) for row in rows]


@lru_cache(maxsize=256)
def _write_list(given: frozenset[str], statuses: tuple[BillStatus, ...] | None) -> TextClause:
    """Write the statement of a list of bills with these filters."""
    wanted = [condition for name, condition in FILTERS.items() if name in given]
    if statuses is not None:
        either = ["(" + IN_STATUS.get(one, f"b.status = '{one.value}'") + ")" for one in statuses]
        wanted.append(f"({' OR '.join(either) or 'false'})")
    return text(f"""
        SELECT {COLUMNS} {FROM_BILLS}
        WHERE {" AND ".join(["b.org_id = :org_id", *wanted])}
        ORDER BY b.id DESC LIMIT :limit
    """)
