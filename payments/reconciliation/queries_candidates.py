"""SQL of candidates: credits and refunds that no line has proved, found by what lines name.

They are looked up in indexes that credits have anyway: what is read grows with what is open.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds
from core.sql import run
from payments.reconciliation.rules import (
    BOOKED_AFTER,
    BOOKED_BEFORE,
    OpenLine,
    UnprovedCredit,
)
from payments.reconciliation.types import DueRefund

# What a person decided to be the same money as another credit has posted nothing that is left.
_UNPROVED: Final = """
    SELECT c.id, c.amount_vnd, CAST(c.occurred_at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date),
           c.bank_reference, c.provider_transaction_id, m.named, c.occurred_at
    FROM {source}
    WHERE c.org_id = :org_id AND c.receiving_account_id = :account_id AND c.direction = 'in'
      AND c.occurred_at >= :since AND c.occurred_at < :until
      AND m.reversed_at IS NULL AND m.verdict <> 'same_money'
      AND NOT EXISTS (SELECT FROM proofs p WHERE p.org_id = c.org_id AND p.credit_id = c.id
                      AND p.reversed_at IS NULL)
"""
_KEYS: Final = "unnest(CAST(:keys AS text[])) AS k (key)"
FIND_BY_BANK_REFERENCE = text(
    _UNPROVED.format(
        source=f"""{_KEYS}
    JOIN bank_transactions c ON c.bank_reference = k.key AND c.bank_reference <> ''
    JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id"""
    )
)
FIND_BY_BILL = text(
    _UNPROVED.format(
        source=f"""{_KEYS}
    JOIN bills b ON b.org_id = :org_id AND b.reference = k.key
    JOIN matches m ON m.org_id = b.org_id AND m.bill_id = b.id AND m.named = k.key
    JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id"""
    )
)
FIND_BY_PROVIDER_ID = text(
    _UNPROVED.format(
        source=f"""{_KEYS}
    JOIN bank_transactions c ON c.provider_transaction_id = k.key AND c.admitted_from IS NULL
     AND c.provider = ANY(CAST(:providers AS text[]))
    JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id"""
    )
)
FIND_BY_ID = text(
    _UNPROVED.format(
        source="""unnest(CAST(:ids AS uuid[])) AS k (id)
    JOIN bank_transactions c ON c.id = k.id
    JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id"""
    )
)

FIND_DUE_REFUNDS = text("""
    SELECT r.id, r.status, r.amount_vnd, r.bank_reference FROM (
        SELECT id, status, amount_vnd, bank_reference, receiving_account_id, way, org_id
        FROM refunds WHERE org_id = :org_id AND status IN ('instructed', 'unknown')
        UNION ALL
        SELECT id, status, amount_vnd, bank_reference, receiving_account_id, way, org_id
        FROM refunds WHERE org_id = :org_id AND receiving_account_id = :account_id
          AND status = 'returned' AND ended_at >= :since) AS r
    WHERE r.receiving_account_id = :account_id AND r.way = 'transfer'
      AND NOT EXISTS (SELECT FROM proofs p WHERE p.org_id = r.org_id AND p.refund_id = r.id
                      AND p.reversed_at IS NULL)
    ORDER BY r.id LIMIT :limit
""")


async def find_by_bank_reference(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    keys: Collection[str],
    lines: Sequence[OpenLine],
) -> list[tuple[Any, ...]]:
    """Find unproved credits near some lines whose bank reference is one of these."""
    values = _name_near(org_id, account_id, lines) | {"keys": list(keys)}
    return await run(session, FIND_BY_BANK_REFERENCE, values)


async def find_by_bill(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    keys: Collection[str],
    lines: Sequence[OpenLine],
) -> list[tuple[Any, ...]]:
    """Find unproved credits near some lines that named, and came for, one of these bills."""
    values = _name_near(org_id, account_id, lines) | {"keys": list(keys)}
    return await run(session, FIND_BY_BILL, values)


async def find_by_provider_id(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    keys: Collection[str],
    lines: Sequence[OpenLine],
    *,
    providers: Collection[str],
) -> list[tuple[Any, ...]]:
    """Find unproved credits near some lines that a provider gave one of these ids."""
    values = _name_near(org_id, account_id, lines)
    values |= {"keys": list(keys), "providers": list(providers)}
    return await run(session, FIND_BY_PROVIDER_ID, values)


def as_credits(rows: Sequence[tuple[Any, ...]]) -> list[UnprovedCredit]:
    """Return each credit once, by the bank's clock."""
    once = {row[0]: row for row in rows}
    return [
        UnprovedCredit(
            id=row[0],
            amount_vnd=row[1],
            day=row[2],
            bank_reference=row[3],
            provider_transaction_id=row[4],
            named=row[5],
        )
        for row in sorted(once.values(), key=lambda row: (row[6], row[0]))
    ]


async def find_unproved(
    session: AsyncSession, org_id: UUID, account_id: UUID, credit_ids: Collection[UUID]
) -> dict[UUID, int]:
    """Return {credit: đồng} of those of an account that wait for their line."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "ids": list(credit_ids),
        "since": datetime(2000, 1, 1, tzinfo=UTC),  # a person may link money of any day
        "until": datetime(3000, 1, 1, tzinfo=UTC),
    }
    return {row[0]: row[1] for row in await run(session, FIND_BY_ID, values)}


async def find_due_refunds(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, since: datetime, limit: int
) -> list[DueRefund]:
    """Find refunds by transfer of an account that no line has shown.

    Args:
        since: of those that a person said were returned: when at the earliest.
    """
    values = {"org_id": org_id, "account_id": account_id, "since": since, "limit": limit}
    return [DueRefund(*row) for row in await session.execute(FIND_DUE_REFUNDS, values)]


def _name_near(org_id: UUID, account_id: UUID, lines: Sequence[OpenLine]) -> dict[str, Any]:
    first = min(line.booked_on for line in lines) - BOOKED_AFTER
    last = max(line.booked_on for line in lines) + BOOKED_BEFORE
    return {
        "org_id": org_id,
        "account_id": account_id,
        "since": day_bounds(first)[0],
        "until": day_bounds(last)[1],
    }
