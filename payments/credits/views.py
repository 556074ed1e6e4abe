"""Read models of credits, with what explains them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.credits.errors import CreditNotFound

CREDIT_COLUMNS = """
    c.id, c.receiving_account_id, c.virtual_account, m.payee_id, m.bill_id, m.suggested_bill_id,
    c.amount_vnd, m.applied_vnd, m.verdict, m.rule, m.reason, m.is_late, c.memo, c.payer_name,
    c.payer_account, c.payer_bank, c.provider, c.bank_reference, c.occurred_at, c.is_date_only,
    c.received_at, m.matched_at, m.matched_by
"""


FROM_CREDITS = """
    FROM bank_transactions c
    JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id AND m.reversed_at IS NULL
"""


# What nobody of an account was given yet concerns all who trade on it.
IS_PAYEES = """
    (m.payee_id = :payee_id OR (m.payee_id IS NULL AND EXISTS (
        SELECT 1 FROM payee_accounts l
        WHERE l.org_id = c.org_id AND l.receiving_account_id = c.receiving_account_id
          AND l.payee_id = :payee_id AND l.status IN ('active', 'former'))))
"""


LIST_CREDITS = text(f"""
    SELECT {CREDIT_COLUMNS} {FROM_CREDITS}
    WHERE c.org_id = :org_id
      AND (CAST(:before_id AS uuid) IS NULL OR c.id < :before_id)
      AND (CAST(:since AS timestamptz) IS NULL OR c.received_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR c.received_at < :until)
      AND (CAST(:verdicts AS text[]) IS NULL OR m.verdict = ANY(CAST(:verdicts AS text[])))
      AND (CAST(:payee_id AS uuid) IS NULL OR {IS_PAYEES})
    ORDER BY c.id DESC LIMIT :limit
""")


FIND_CREDIT = text(f"""
    SELECT {CREDIT_COLUMNS} {FROM_CREDITS}
    WHERE c.org_id = :org_id AND c.id = :credit_id
      AND (CAST(:payee_id AS uuid) IS NULL OR {IS_PAYEES})
""")


LIST_BILL_CREDITS = text(f"""
    SELECT {CREDIT_COLUMNS} {FROM_CREDITS}
    WHERE c.org_id = :org_id AND m.bill_id = :bill_id
    ORDER BY c.id LIMIT :limit
""")


COUNT_VERDICTS = text("""
    SELECT m.verdict, count(*), coalesce(sum(c.amount_vnd), 0)::bigint
    FROM matches m
    JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
    WHERE m.org_id = :org_id AND m.payee_id = :payee_id AND m.reversed_at IS NULL
      AND m.matched_at >= :since AND m.matched_at < :until
    GROUP BY m.verdict
""")


BILL_CREDITS_MAX = 100


class CreditView(NamedTuple):
    """A payment and the match in force."""

    id: UUID
    receiving_account_id: UUID
    virtual_account: str | None
    payee_id: UUID | None
    bill_id: UUID | None
    suggested_bill_id: UUID | None
    amount_vnd: int
    applied_vnd: int
    verdict: str
    rule: str
    reason: str
    is_late: bool
    memo: str
    payer_name: str | None
    payer_account: str | None
    payer_bank: str | None
    provider: str
    bank_reference: str
    occurred_at: datetime
    is_date_only: bool
    received_at: datetime
    matched_at: datetime
    matched_by: UUID | None


async def list_credits(
    session: AsyncSession,
    org_id: UUID,
    *,
    payee_id: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    verdicts: Sequence[str] | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> list[CreditView]:
    """List payments received in [since, until), newest first.

    Args:
        payee_id: this payee's, and what waits unassigned on an account that it trades on.
    """
    values = {
        "org_id": org_id,
        "payee_id": payee_id,
        "since": since,
        "until": until,
        "verdicts": None if verdicts is None else [str(verdict) for verdict in verdicts],
        "before_id": before_id,
        "limit": limit,
    }
    return [CreditView(*row) for row in await session.execute(LIST_CREDITS, values)]


async def get_credit(
    session: AsyncSession, org_id: UUID, credit_id: UUID, *, payee_id: UUID | None = None
) -> CreditView:
    """Return one payment, if `payee_id` (where given) may see it.

    Raises:
        CreditNotFound
    """
    values = {"org_id": org_id, "credit_id": credit_id, "payee_id": payee_id}
    row = (await session.execute(FIND_CREDIT, values)).one_or_none()
    if row is None:
        raise CreditNotFound(credit_id)
    return CreditView(*row)


async def list_bill_credits(session: AsyncSession, org_id: UUID, bill_id: UUID) -> list[CreditView]:
    """List the payments that are matched to a bill, in the order they came (at most 100)."""
    values = {"org_id": org_id, "bill_id": bill_id, "limit": BILL_CREDITS_MAX}
    return [CreditView(*row) for row in await session.execute(LIST_BILL_CREDITS, values)]


async def count_verdicts(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, since: datetime, until: datetime
) -> dict[str, tuple[int, int]]:
    """Count a payee's payments matched in [since, until): verdict → (how many, sum in đồng)."""
    values = {"org_id": org_id, "payee_id": payee_id, "since": since, "until": until}
    rows = await session.execute(COUNT_VERDICTS, values)
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}
