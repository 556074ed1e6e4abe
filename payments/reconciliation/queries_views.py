"""SQL of the read models of lines."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds
from payments.reconciliation.rules import BOOKED_AFTER, BOOKED_BEFORE

SUGGESTED_MAX: Final = 10
SUGGESTED_OF_MAX: Final = 20_000  # credits of those days that are looked through

_COLUMNS: Final = """
    l.id, l.receiving_account_id, l.statement_id, l.line_no, l.booked_on, l.transacted_at,
    l.direction, l.amount_vnd, l.open_vnd, l.bank_reference, l.memo, l.counterparty_account,
    l.counterparty_name, l.counterparty_bank, l.is_reversal, l.explanation, l.listed_at
"""
# Each filter that is given, and only those, so that any plan can use its index.
FILTERS: Final = {
    "before_id": """(l.booked_on, l.id) < (
        SELECT b.booked_on, b.id FROM statement_lines b
        WHERE b.org_id = :org_id AND b.id = :before_id)""",
    "is_open": "l.open_vnd > 0",
    "is_explained": "l.open_vnd = 0",
    "day": "l.booked_on = :day",
}
GET_LINE = text(f"""
    SELECT {_COLUMNS} FROM statement_lines l WHERE l.org_id = :org_id AND l.id = :id
""")  # noqa: S608
# What explains it now first, then what did before.
LIST_EVIDENCE = text("""
    SELECT p.id, p.explanation, p.credit_id, p.refund_id, p.amount_vnd, p.rule, p.score_bps,
           p.reason, p.reason_facts, p.next_best, p.proved_by, p.proved_at, p.reversed_by,
           p.reversed_at, c.memo AS credit_memo, c.bank_reference AS credit_bank_reference,
           c.occurred_at AS credit_occurred_at, c.payer_name AS credit_payer_name, m.bill_id,
           b.reference AS bill_reference, b.status AS bill_status, b.amount_vnd AS bill_amount_vnd
    FROM proofs p
    LEFT JOIN bank_transactions c ON c.org_id = p.org_id AND c.id = p.credit_id
    LEFT JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id AND m.reversed_at IS NULL
    LEFT JOIN bills b ON b.org_id = m.org_id AND b.id = m.bill_id
    WHERE p.org_id = :org_id AND p.line_id = :id
    ORDER BY p.reversed_at DESC NULLS FIRST, p.id LIMIT 100
""")
# By amount and day alone: for a person to look at. The nearest to the end of its day come first.
LIST_SUGGESTIONS = text("""
    SELECT c.id, c.amount_vnd, c.occurred_at, c.bank_reference, c.memo, c.payer_name
    FROM (SELECT * FROM bank_transactions
          WHERE org_id = :org_id AND receiving_account_id = :account_id
            AND occurred_at >= :since AND occurred_at < :until
          ORDER BY occurred_at DESC LIMIT :of_max) AS c
    JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id AND m.reversed_at IS NULL
    WHERE c.direction = 'in' AND c.amount_vnd = :amount_vnd AND m.verdict <> 'same_money'
      AND NOT EXISTS (SELECT FROM proofs p WHERE p.org_id = c.org_id AND p.credit_id = c.id
                      AND p.reversed_at IS NULL)
    ORDER BY c.occurred_at DESC, c.id LIMIT :limit
""")


def write_list(filters: Sequence[str]) -> str:
    """Write the list of an account's lines with some of FILTERS."""
    return (
        f"SELECT {_COLUMNS} FROM statement_lines l"  # noqa: S608 (our own names)
        " WHERE l.org_id = :org_id AND l.receiving_account_id = :account_id"
        + "".join(f" AND {FILTERS[name]}" for name in filters)
        + " ORDER BY l.booked_on DESC, l.id DESC LIMIT :limit"
    )


async def list_lines(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    is_open: bool | None = None,
    day: date | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> list[Mapping[str, Any]]:
    """List lines of an account, the newest booking first."""
    given = {
        "before_id": before_id,
        "is_open": is_open or None,
        "is_explained": is_open is False or None,
        "day": day,
    }
    query = text(write_list([name for name, value in given.items() if value is not None]))
    values: dict[str, Any] = {"org_id": org_id, "account_id": account_id, "limit": limit}
    values |= {name: given[name] for name in ("before_id", "day") if given[name] is not None}
    return [dict(row) for row in (await session.execute(query, values)).mappings()]


async def find_line(session: AsyncSession, org_id: UUID, line_id: UUID) -> Mapping[str, Any] | None:
    """Return a line; None: there is no such line."""
    rows = await session.execute(GET_LINE, {"org_id": org_id, "id": line_id})
    row = rows.mappings().first()
    return None if row is None else dict(row)


async def list_evidence(
    session: AsyncSession, org_id: UUID, line_id: UUID
) -> list[Mapping[str, Any]]:
    """List what explains a line, then what did, each with its credit and bill."""
    rows = await session.execute(LIST_EVIDENCE, {"org_id": org_id, "id": line_id})
    return [dict(row) for row in rows.mappings()]


async def list_suggestions(
    session: AsyncSession, org_id: UUID, line: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """List unproved credits of a line's amount near its day."""
    values = {
        "org_id": org_id,
        "account_id": line["receiving_account_id"],
        "amount_vnd": line["open_vnd"],
        "since": day_bounds(line["booked_on"] - BOOKED_AFTER)[0],
        "until": day_bounds(line["booked_on"] + BOOKED_BEFORE)[1],
        "of_max": SUGGESTED_OF_MAX,
        "limit": SUGGESTED_MAX,
    }
    return [dict(row) for row in (await session.execute(LIST_SUGGESTIONS, values)).mappings()]
