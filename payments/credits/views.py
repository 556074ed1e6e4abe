"""Read models of credits, with what explains them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.credits import queries_views
from payments.credits.errors import CreditNotFound
from payments.credits.rules import Verdict

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
    reason: str  # MatchReason
    reason_facts: dict[str, Any]
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
    match_id: UUID


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
    filters = {"before_id": before_id, "since": since, "until": until, "payee_id": payee_id}
    given = {name: value for name, value in filters.items() if value is not None}
    wanted = None if verdicts is None else tuple(sorted(Verdict(one) for one in verdicts))
    rows: list[CreditView] = []
    for statement in queries_views.write_lists(frozenset(given), wanted):
        values = {"org_id": org_id, "limit": limit, **given}
        rows += [CreditView(*row) for row in await session.execute(statement, values)]
    return sorted(rows, key=lambda row: row.id, reverse=True)[:limit]


async def get_credit(
    session: AsyncSession, org_id: UUID, credit_id: UUID, *, payee_id: UUID | None = None
) -> CreditView:
    """Return one payment, if `payee_id` (where given) may see it.

    Raises:
        CreditNotFound
    """
    values = {"org_id": org_id, "credit_id": credit_id, "payee_id": payee_id}
    row = (await session.execute(queries_views.FIND_CREDIT, values)).one_or_none()
    if row is None:
        raise CreditNotFound(credit_id)
    return CreditView(*row)


async def list_bill_credits(session: AsyncSession, org_id: UUID, bill_id: UUID) -> list[CreditView]:
    """List the payments that are matched to a bill, in the order they came (at most 100)."""
    values = {"org_id": org_id, "bill_id": bill_id, "limit": BILL_CREDITS_MAX}
    return [
        CreditView(*row) for row in await session.execute(queries_views.LIST_BILL_CREDITS, values)
    ]


async def count_verdicts(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, since: datetime, until: datetime
) -> dict[str, tuple[int, int]]:
    """Count a payee's payments matched in [since, until): verdict → (how many, sum in đồng)."""
    values = {"org_id": org_id, "payee_id": payee_id, "since": since, "until": until}
    rows = await session.execute(queries_views.COUNT_VERDICTS, values)
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}
