"""SQL of settling: the locks on bills, and the only statement that writes what they were paid."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run, send
from payments.bills.rules import BillState

# One table and conditions on its own columns, nothing joined. When another transaction has changed
# a bill that this waits for, PostgreSQL checks the row again by the plan that found it. A plan that
# joins, as `id IN (SELECT … UNION ALL …)` did on a grown table, then drops the row without a word
# (READ COMMITTED, EvalPlanQual; tests/concurrency/test_grown_tables.py).
_LOCKED = """
    SELECT id, payee_id, receiving_account_id, virtual_account, rail, provider_order_id, reference,
           amount_vnd, paid_vnd, received_vnd, status, is_late, expires_at, monitor_until, paid_at,
           owner_kind, owner_id, status AS status_locked
    FROM bills
"""
LOCK_NAMED_BILLS = text(
    _LOCKED
    + """
    WHERE org_id = :org_id
      AND (reference = ANY(CAST(:references AS text[]))
           OR (provider_order_id IS NOT NULL AND rail = ANY(CAST(:rails AS text[]))
               AND provider_order_id = ANY(CAST(:order_ids AS text[]))))
    ORDER BY id
    FOR NO KEY UPDATE
"""
)
LOCK_BILLS = text(
    _LOCKED
    + """
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
    ORDER BY id
    FOR NO KEY UPDATE
"""
)

BILL_FIELDS = tuple(field.name for field in fields(BillState))  # the order of LOCK_NAMED_BILLS

# Safe after a wait, as there is none: the caller has locked these bills. The same holds for
# REVERSE_MATCH, and for FINISH_NOTICES on notices that were locked.
UPDATE_BILLS = text("""
    UPDATE bills b
    SET paid_vnd = t.paid_vnd, received_vnd = t.received_vnd, status = t.status,
        is_late = t.is_late, paid_at = t.paid_at
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:paid_vnd AS bigint[]), CAST(:received_vnd AS bigint[]),
        CAST(:statuses AS text[]), CAST(:are_late AS bool[]), CAST(:paid_ats AS timestamptz[]))
        AS t (id, paid_vnd, received_vnd, status, is_late, paid_at)
    WHERE b.org_id = :org_id AND b.id = t.id
""")


# What was given back changes no payment: only what the bill says of itself, and since when.
MARK_REFUNDED = text("""
    UPDATE bills SET status = :status, refunded_at = coalesce(refunded_at, :now)
    WHERE org_id = :org_id AND id = :id
""")


async def mark_refunded(
    session: AsyncSession, org_id: UUID, bill_id: UUID, *, status: str, now: datetime
) -> None:
    """Write the status of a locked bill after some of it was given back."""
    values = {"org_id": org_id, "id": bill_id, "status": status, "now": now}
    await session.execute(MARK_REFUNDED, values)


async def lock_named_bills(
    session: AsyncSession,
    org_id: UUID,
    *,
    references: Iterable[str],
    orders: Iterable[tuple[str, str]] = (),
) -> list[BillState]:
    """Lock every bill that is named, in the order of their ids.

    Args:
        orders: (rail, the provider's order id).
    """
    wanted = list(orders)
    values = {
        "org_id": org_id,
        "references": list(references),
        "rails": list({rail for rail, _ in wanted}),
        "order_ids": list({order_id for _, order_id in wanted}),
    }
    rows = await run(session, LOCK_NAMED_BILLS, values)
    return [BillState(**dict(zip(BILL_FIELDS, row, strict=True))) for row in rows]


async def lock_bills(
    session: AsyncSession, org_id: UUID, bill_ids: Collection[UUID]
) -> list[BillState]:
    """Lock bills, in the order of their ids."""
    rows = await run(session, LOCK_BILLS, {"org_id": org_id, "ids": list(bill_ids)})
    return [BillState(**dict(zip(BILL_FIELDS, row, strict=True))) for row in rows]


async def update_bills(session: AsyncSession, org_id: UUID, bills: Sequence[BillState]) -> None:
    """Write what payments did to locked bills (payments.bills.settling alone does)."""
    await send(
        session,
        UPDATE_BILLS,
        {
            "org_id": org_id,
            "ids": [b.id for b in bills],
            "paid_vnd": [b.paid_vnd for b in bills],
            "received_vnd": [b.received_vnd for b in bills],
            "statuses": [str(b.status) for b in bills],
            "are_late": [b.is_late for b in bills],
            "paid_ats": [b.paid_at for b in bills],
        },
    )
