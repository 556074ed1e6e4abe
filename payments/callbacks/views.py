"""What people look at: payments with what explains them, deliveries, breaks. Read only."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.callbacks.errors import CreditNotFound

CREDIT_COLUMNS = """
    c.id, c.receiving_account_id, c.virtual_account, m.payee_id, m.bill_id, m.suggested_bill_id,
    c.amount_vnd, m.applied_vnd, m.verdict, m.rule, m.reason, m.is_late, c.memo, c.payer_name,
    c.payer_account, c.payer_bank, c.provider, c.bank_reference, c.occurred_at, c.is_date_only,
    c.received_at, m.matched_at, m.matched_by
"""
FROM_CREDITS = """
    FROM credits c
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
    JOIN credits c ON c.org_id = m.org_id AND c.id = m.credit_id
    WHERE m.org_id = :org_id AND m.payee_id = :payee_id AND m.reversed_at IS NULL
      AND m.matched_at >= :since AND m.matched_at < :until
    GROUP BY m.verdict
""")
LIST_DELIVERIES = text("""
    SELECT * FROM (
        (SELECT id, true AS is_believed, source, outcome, NULL AS refusal, '' AS detail, skew_s,
                received_at, handled_at, attempts, length(body) AS body_bytes
         FROM notices
         WHERE org_id = :org_id AND endpoint_id = :endpoint_id
           AND (CAST(:before_id AS uuid) IS NULL OR id < :before_id)
         ORDER BY id DESC LIMIT :limit)
        UNION ALL
        (SELECT id, false, 'callback', NULL, refusal, detail, skew_s,
                received_at, NULL, 0, length(body_start)
         FROM rejections
         WHERE org_id = :org_id AND endpoint_id = :endpoint_id
           AND (CAST(:before_id AS uuid) IS NULL OR id < :before_id)
         ORDER BY id DESC LIMIT :limit)) AS told
    ORDER BY id DESC LIMIT :limit
""")
FIND_BODY = text("""
    SELECT body FROM notices WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND id = :id
    UNION ALL
    SELECT body_start FROM rejections
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND id = :id
""")
# What waits is counted in the words of its two partial indexes, and up to a limit: otherwise every
# notice that the endpoint ever had is read.
COUNT_DELIVERIES = text("""
    SELECT
        (SELECT count(*) FROM notices
         WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND id >= :first_id),
        (SELECT count(*) FROM rejections
         WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND id >= :first_id),
        (SELECT count(*) FROM (
             (SELECT FROM notices
              WHERE org_id = :org_id AND endpoint_id = :endpoint_id
                AND handled_at IS NULL AND attempts = 0 LIMIT 1000)
             UNION ALL
             (SELECT FROM notices
              WHERE org_id = :org_id AND endpoint_id = :endpoint_id
                AND handled_at IS NULL AND attempts > 0 LIMIT 1000)) AS waiting),
        (SELECT max(skew_s) FROM notices
         WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND id >= :first_id)
""")
LIST_BREAKS = text("""
    SELECT id, kind, subject_id, credit_id, bill_id, owner_id, amount_vnd, detail, opened_at,
           closed_at, closed_by, resolution
    FROM breaks
    WHERE org_id = :org_id
      AND (CAST(:before_id AS uuid) IS NULL OR id < :before_id)
      AND (CAST(:is_open AS bool) IS NULL OR (closed_at IS NULL) = :is_open)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    ORDER BY id DESC LIMIT :limit
""")
LIST_PAYEES_OF_CREDITS = text("""
    SELECT DISTINCT c.id, p.id, p.name, p.place
    FROM credits c
    JOIN payee_accounts l ON l.org_id = c.org_id
     AND l.receiving_account_id = c.receiving_account_id AND l.status IN ('active', 'former')
    JOIN payees p ON p.org_id = l.org_id AND p.id = l.payee_id
    WHERE c.org_id = :org_id AND c.id = ANY(CAST(:ids AS uuid[]))
    ORDER BY p.place, p.name, p.id LIMIT 5000
""")
BILL_CREDITS_MAX = 100
COUNTED_FOR = timedelta(hours=24)  # an endpoint's figures, on every screen and in the API


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


class DeliveryView(NamedTuple):
    """One message at an endpoint: believed (a notice) or not (a rejection)."""

    id: UUID
    is_believed: bool
    source: str
    outcome: str | None
    refusal: str | None
    detail: str
    skew_s: int | None
    received_at: datetime
    handled_at: datetime | None
    attempts: int
    body_bytes: int


class DeliveryCounts(NamedTuple):
    """How an endpoint did since some instant."""

    believed: int
    rejected: int
    waiting: int
    skew_s_max: int | None


class BreakView(NamedTuple):
    """Something unexplained, or how it was resolved."""

    id: UUID
    kind: str
    subject_id: UUID
    credit_id: UUID | None
    bill_id: UUID | None
    owner_id: UUID | None
    amount_vnd: int | None
    detail: str
    opened_at: datetime
    closed_at: datetime | None
    closed_by: UUID | None
    resolution: str | None


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


async def list_deliveries(
    session: AsyncSession,
    org_id: UUID,
    endpoint_id: UUID,
    *,
    before_id: UUID | None = None,
    limit: int,
) -> list[DeliveryView]:
    """List what an endpoint received, believed or not, newest first."""
    values = {
        "org_id": org_id,
        "endpoint_id": endpoint_id,
        "before_id": before_id,
        "limit": limit,
    }
    return [DeliveryView(*row) for row in await session.execute(LIST_DELIVERIES, values)]


async def find_body(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, delivery_id: UUID
) -> bytes | None:
    """Find what a message said; of a refused one its first 2 KiB."""
    values: dict[str, Any] = {"org_id": org_id, "endpoint_id": endpoint_id, "id": delivery_id}
    body: bytes | None = (await session.execute(FIND_BODY, values)).scalar()
    return body


async def count_deliveries(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, *, first_id: UUID
) -> DeliveryCounts:
    """Count what an endpoint received since the instant of an id."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id, "first_id": first_id}
    return DeliveryCounts(*(await session.execute(COUNT_DELIVERIES, values)).one())


async def list_breaks(
    session: AsyncSession,
    org_id: UUID,
    *,
    is_open: bool | None = None,
    kind: str | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> list[BreakView]:
    """List breaks, newest first."""
    values = {
        "org_id": org_id,
        "is_open": is_open,
        "kind": kind,
        "before_id": before_id,
        "limit": limit,
    }
    return [BreakView(*row) for row in await session.execute(LIST_BREAKS, values)]


async def list_payees_of_credits(
    session: AsyncSession, org_id: UUID, credit_ids: Sequence[UUID]
) -> dict[UUID, list[tuple[UUID, str, str | None]]]:
    """List who trades on the account of each credit: credit → (payee, its name, its place)."""
    found: dict[UUID, list[tuple[UUID, str, str | None]]] = {}
    if credit_ids:
        values = {"org_id": org_id, "ids": list(credit_ids)}
        for credit_id, *payee in await session.execute(LIST_PAYEES_OF_CREDITS, values):
            found.setdefault(credit_id, []).append((payee[0], payee[1], payee[2]))
    return found
