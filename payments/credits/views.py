"""Read models of credits, with what explains them."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.credits.errors import CreditNotFound
from payments.credits.rules import Verdict

CREDIT_COLUMNS = """
    c.id, c.receiving_account_id, c.virtual_account, m.payee_id, m.bill_id, m.suggested_bill_id,
    c.amount_vnd, m.applied_vnd, m.verdict, m.rule, m.reason, m.reason_facts, m.is_late, c.memo,
    c.payer_name, c.payer_account, c.payer_bank, c.provider, c.bank_reference, c.occurred_at,
    c.is_date_only, c.received_at, m.matched_at, m.matched_by
"""


FROM_CREDITS = """
    FROM bank_transactions c
    JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id AND m.reversed_at IS NULL
"""
# The payments of some days, and then the match of each (OFFSET 0 keeps the planner from going
# through all matches in the order of ids, until it comes to those days).
FROM_CREDITS_OF_DAYS = """
    FROM (SELECT * FROM bank_transactions c
          WHERE c.org_id = :org_id AND {days} ORDER BY c.id DESC OFFSET 0) AS c
    CROSS JOIN LATERAL (
        SELECT * FROM matches m
        WHERE m.org_id = c.org_id AND m.credit_id = c.id AND m.reversed_at IS NULL
        OFFSET 0) AS m
"""


# What nobody of an account was given yet concerns all who trade on it.
IS_ANYONES = """
    m.payee_id IS NULL AND EXISTS (
        SELECT 1 FROM payee_accounts l
        WHERE l.org_id = c.org_id AND l.receiving_account_id = c.receiving_account_id
          AND l.payee_id = :payee_id AND l.status IN ('active', 'former'))
"""


# Each filter that is given, and only those: `:since IS NULL OR …` keeps a plan that serves any
# values from every index.
FILTERS: Final = {"before_id": "c.id < :before_id AND m.credit_id < :before_id"}
DAYS: Final = {"since": "c.received_at >= :since", "until": "c.received_at < :until"}
FIND_CREDIT = text(f"""
    SELECT {CREDIT_COLUMNS} {FROM_CREDITS}
    WHERE c.org_id = :org_id AND c.id = :credit_id
      AND (CAST(:payee_id AS uuid) IS NULL OR m.payee_id = :payee_id OR ({IS_ANYONES}))
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
    for statement in _write_lists(frozenset(given), wanted):
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


@lru_cache(maxsize=256)
def _write_lists(given: frozenset[str], verdicts: tuple[Verdict, ...] | None) -> list[TextClause]:
    """Write the statements of a list of credits: a payee's are its own, and what is anyone's."""
    wanted = [condition for name, condition in FILTERS.items() if name in given]
    days = " AND ".join(DAYS[name] for name in DAYS if name in given)
    source = FROM_CREDITS_OF_DAYS.format(days=days) if days else FROM_CREDITS
    if verdicts is not None:
        # Constants, so that the planner sees which index serves them.
        names = ", ".join(f"'{verdict.value}'" for verdict in verdicts) or "NULL"
        wanted.append(f"m.verdict IN ({names})")
    halves = ["m.payee_id = :payee_id", IS_ANYONES] if "payee_id" in given else ["true"]
    return [
        text(f"""
            SELECT {CREDIT_COLUMNS} {source}
            WHERE c.org_id = :org_id AND {" AND ".join([*wanted, half])}
            ORDER BY c.id DESC LIMIT :limit
        """)
        for half in halves
    ]
