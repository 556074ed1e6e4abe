"""SQL of proofs: lines that are open, what explains them, and which accounts are due."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, insert_many, run
from payments.reconciliation.rules import BOOKED_AFTER, BOOKED_BEFORE, SCORES_BPS
from payments.reconciliation.types import (
    LineFacts,
    LineKey,
    NewProof,
    ProofInForce,
)
from payments.statements.rules import Explanation

# From which day on an account's lines count: what lies before a go-live is in its opening balance.
READ_OPENING_DAY = text("""
    SELECT max(day) FROM opening_balances
    WHERE org_id = :org_id AND receiving_account_id = :account_id
      AND confirmed_at IS NOT NULL AND ended_at IS NULL
""")
OPENED_ON: Final = """coalesce((
        SELECT max(o.day) FROM opening_balances o
        WHERE o.org_id = :org_id AND o.receiving_account_id = :account_id
          AND o.confirmed_at IS NOT NULL AND o.ended_at IS NULL), CAST('-infinity' AS date))"""
_OPENINGS: Final = """
    SELECT org_id, receiving_account_id, max(day) AS day FROM opening_balances
    WHERE confirmed_at IS NOT NULL AND ended_at IS NULL
    GROUP BY org_id, receiving_account_id"""
# A minute's run looks for credits of so many days; what came later than that, the next whole run
# finds, which looks at no credit's day but its lines'.
REPORTED_WITHIN: Final = timedelta(days=7)

MAKE_MATCHING = text("""
    INSERT INTO account_matching (org_id, receiving_account_id)
    VALUES (:org_id, :account_id) ON CONFLICT DO NOTHING
""")
LOCK_MATCHING = text("""
    SELECT matched_at FROM account_matching
    WHERE org_id = :org_id AND receiving_account_id = :account_id FOR UPDATE
""")
SET_MATCHED = text("""
    UPDATE account_matching SET matched_at = :matched_at,
           swept_at = CASE WHEN :is_whole THEN :matched_at ELSE swept_at END
    WHERE org_id = :org_id AND receiving_account_id = :account_id
""")

# What a person has opened again is for people.
LIST_OPEN = text(f"""
    SELECT id, booked_on, amount_vnd, bank_reference, provider_line_id, memo
    FROM statement_lines
    WHERE org_id = :org_id AND receiving_account_id = :account_id AND open_vnd > 0
      AND open_vnd = amount_vnd AND direction = :direction AND NOT is_reversal
      AND (booked_on, id) > (:after_on, :after_id) AND booked_on <= :until_on
      AND booked_on >= {OPENED_ON}
      AND NOT EXISTS (SELECT FROM proofs p WHERE p.org_id = statement_lines.org_id
                      AND p.line_id = statement_lines.id AND p.reversed_by IS NOT NULL)
    ORDER BY booked_on, id LIMIT :limit
""")  # noqa: S608 (our words)
GET_LINES = text("""
    SELECT id, receiving_account_id, booked_on, direction, amount_vnd, open_vnd, explanation,
           bank_reference, memo
    FROM statement_lines WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
""")

INSERT_PROOFS = InsertMany(
    "proofs",
    {
        "id": "uuid",
        "line_id": "uuid",
        "explanation": "text",
        "credit_id": "uuid",
        "refund_id": "uuid",
        "amount_vnd": "bigint",
        "rule": "text",
        "score_bps": "int",
        "reason": "text",
        "reason_facts": "jsonb",
        "next_best": "jsonb",
        "proved_by": "uuid",
    },
    shared=("org_id", "proved_at"),
)
EXPLAIN_LINES = text("""
    WITH explained AS (
        UPDATE statement_lines l SET open_vnd = l.open_vnd - t.amount_vnd,
               explanation = t.explanation
        FROM unnest(CAST(:ids AS uuid[]), CAST(:amounts AS bigint[]),
                    CAST(:explanations AS text[])) AS t (id, amount_vnd, explanation)
        WHERE l.org_id = :org_id AND l.id = t.id AND l.open_vnd = l.amount_vnd
        RETURNING l.id)
    SELECT count(*) FROM explained
""")
_PROOFS: Final = """
    SELECT p.id, p.line_id, l.booked_on, l.direction, p.explanation, p.amount_vnd, p.credit_id,
           p.refund_id
    FROM proofs p JOIN statement_lines l ON l.org_id = p.org_id AND l.id = p.line_id
    WHERE p.org_id = :org_id AND p.{column} = ANY(CAST(:ids AS uuid[])) AND p.reversed_at IS NULL
    ORDER BY p.id
"""
LIST_PROOFS_OF_LINES = text(_PROOFS.format(column="line_id"))
LIST_PROOFS = text(_PROOFS.format(column="id"))
REVERSE_PROOFS = text("""
    UPDATE proofs SET reversed_at = :now, reversed_by = :by
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[])) AND reversed_at IS NULL
""")
# Whoever was asked about a line before it was explained is asked again.
OPEN_LINES = text("""
    UPDATE statement_lines l SET open_vnd = l.amount_vnd, explanation = NULL, listed_at = NULL
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
""")
FIND_SAME_MONEY = text(f"""
    SELECT DISTINCT p.line_id
    FROM matches m
    JOIN proofs p ON p.org_id = m.org_id AND p.credit_id = m.credit_id AND p.reversed_at IS NULL
    JOIN statement_lines l ON l.org_id = p.org_id AND l.id = p.line_id
    WHERE m.org_id = :org_id AND m.verdict = 'same_money' AND m.reversed_at IS NULL
      AND m.verdict NOT IN ('settle', 'counter_sale')
      AND l.receiving_account_id = :account_id AND l.booked_on >= {OPENED_ON}
""")  # noqa: S608 (our words)

# What may be on an open line, and was reported since the last run of `a`, for lines booked in `o`.
_NEW: Final = f"""
    c.org_id = a.org_id AND c.receiving_account_id = a.receiving_account_id
    AND c.occurred_at >= (o.first_on - {BOOKED_AFTER.days})::timestamp
        AT TIME ZONE 'Asia/Ho_Chi_Minh'
    AND c.occurred_at < (o.last_on + {BOOKED_BEFORE.days + 1})::timestamp
        AT TIME ZONE 'Asia/Ho_Chi_Minh'
    AND c.occurred_at >= a.matched_at - CAST(:within AS interval)
    AND c.received_at >= a.matched_at - CAST(:overlap AS interval)"""
# When the money moved that callbacks have reported since the last run. Plain values, so that the
# planner sees a range of days.
FIND_NEW_SPAN = text(f"""
    WITH o AS MATERIALIZED (
        SELECT min(booked_on) AS first_on, max(booked_on) AS last_on FROM statement_lines
        WHERE org_id = :org_id AND receiving_account_id = :account_id AND open_vnd > 0
          AND booked_on >= {OPENED_ON}),
    a AS MATERIALIZED (
        SELECT matched_at FROM account_matching
        WHERE org_id = :org_id AND receiving_account_id = :account_id)
    SELECT min(c.occurred_at), max(c.occurred_at) FROM bank_transactions c
    WHERE c.org_id = :org_id AND c.receiving_account_id = :account_id
      AND c.occurred_at >= (SELECT (first_on - {BOOKED_AFTER.days})::timestamp
                            AT TIME ZONE 'Asia/Ho_Chi_Minh' FROM o)
      AND c.occurred_at < (SELECT (last_on + {BOOKED_BEFORE.days + 1})::timestamp
                           AT TIME ZONE 'Asia/Ho_Chi_Minh' FROM o)
      AND c.occurred_at >= (SELECT matched_at - CAST(:within AS interval) FROM a)
      AND c.received_at >= (SELECT matched_at - CAST(:overlap AS interval) FROM a)
""")  # noqa: S608 (our words)
FIND_DUE_ACCOUNTS = text(f"""
    WITH openings AS ({_OPENINGS}),
    open_lines AS (
        SELECT l.org_id, l.receiving_account_id, min(l.booked_on) AS first_on,
               max(l.booked_on) AS last_on
        FROM statement_lines l
        LEFT JOIN openings b ON b.org_id = l.org_id
         AND b.receiving_account_id = l.receiving_account_id
        WHERE l.open_vnd > 0 AND (b.day IS NULL OR l.booked_on >= b.day)
        GROUP BY l.org_id, l.receiving_account_id),
    with_same_money AS (
        SELECT DISTINCT l.org_id, l.receiving_account_id
        FROM matches m
        JOIN proofs p ON p.org_id = m.org_id AND p.credit_id = m.credit_id
         AND p.reversed_at IS NULL
        JOIN statement_lines l ON l.org_id = p.org_id AND l.id = p.line_id
        LEFT JOIN openings b ON b.org_id = l.org_id
         AND b.receiving_account_id = l.receiving_account_id
        WHERE m.verdict = 'same_money' AND m.reversed_at IS NULL
          AND m.verdict NOT IN ('settle', 'counter_sale')
          AND (b.day IS NULL OR l.booked_on >= b.day))
    SELECT d.org_id, d.receiving_account_id, bool_or(d.is_whole)
    FROM (
        SELECT o.org_id, o.receiving_account_id, a.matched_at,
               a.swept_at IS NULL OR a.swept_at < :stale_before AS is_whole
        FROM open_lines o
        LEFT JOIN account_matching a ON a.org_id = o.org_id
         AND a.receiving_account_id = o.receiving_account_id
        WHERE a.swept_at IS NULL OR a.swept_at < :stale_before
           OR EXISTS (SELECT FROM bank_transactions c WHERE {_NEW})
        UNION ALL
        SELECT s.org_id, s.receiving_account_id, a.matched_at, true
        FROM with_same_money s
        LEFT JOIN account_matching a ON a.org_id = s.org_id
         AND a.receiving_account_id = s.receiving_account_id) AS d
    GROUP BY d.org_id, d.receiving_account_id
    ORDER BY min(d.matched_at) NULLS FIRST LIMIT :limit
""")  # noqa: S608 (our words)


async def read_opening_day(session: AsyncSession, org_id: UUID, account_id: UUID) -> date | None:
    """Return from which day on an account's lines count; None: it has not gone live."""
    values = {"org_id": org_id, "account_id": account_id}
    day: date | None = (await session.execute(READ_OPENING_DAY, values)).scalar_one()
    return day


async def lock_account(session: AsyncSession, org_id: UUID, account_id: UUID) -> None:
    """Let whoever explains lines of an account take turns."""
    values = {"org_id": org_id, "account_id": account_id}
    await session.execute(MAKE_MATCHING, values)
    await session.execute(LOCK_MATCHING, values)


async def set_matched(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    matched_at: datetime,
    is_whole: bool,
) -> None:
    """Write when a run that came to its end began, and whether it looked at all open lines."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "matched_at": matched_at,
        "is_whole": is_whole,
    }
    await session.execute(SET_MATCHED, values)


async def list_open(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    *,
    direction: str,
    after: LineKey,
    until_on: date = date.max,
    limit: int,
) -> list[tuple[Any, ...]]:
    """List open lines as read_line takes them: id, booked_on, amount, reference, line id, memo."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "direction": direction,
        "after_on": after.booked_on,
        "after_id": after.id,
        "until_on": until_on,
        "limit": limit,
    }
    return await run(session, LIST_OPEN, values)


async def write_proofs(
    session: AsyncSession, org_id: UUID, proofs: Sequence[NewProof], *, now: datetime
) -> None:
    """Insert proofs, and take what they explain from their lines, which are open as a whole.

    The caller has locked the account. That a line was explained meanwhile is its mistake.
    """
    rows = [
        (
            one.id,
            one.line_id,
            one.explanation.value,
            one.credit_id,
            one.refund_id,
            one.amount_vnd,
            one.rule.value,
            SCORES_BPS.get(one.rule),
            one.reason.code.value,
            one.reason.write_facts(),
            None if one.next_best is None else msgspec.json.encode(one.next_best).decode(),
            one.proved_by,
        )
        for one in proofs
    ]
    await insert_many(session, INSERT_PROOFS, rows, org_id=org_id, proved_at=now)
    explained: dict[UUID, list[Any]] = {}
    for proof in proofs:
        line = explained.setdefault(proof.line_id, [0, proof.explanation.value])
        line[0] += proof.amount_vnd
    values = {
        "org_id": org_id,
        "ids": list(explained),
        "amounts": [amount_vnd for amount_vnd, _ in explained.values()],
        "explanations": [explanation for _, explanation in explained.values()],
    }
    ((count,),) = await run(session, EXPLAIN_LINES, values)
    assert count == len(explained), f"{count} of {len(explained)} lines were open"


async def get_lines(
    session: AsyncSession, org_id: UUID, line_ids: Collection[UUID]
) -> dict[UUID, LineFacts]:
    """Return lines by their ids; those that are not there are left out."""
    rows = await session.execute(GET_LINES, {"org_id": org_id, "ids": list(line_ids)})
    return {row["id"]: _make_line(dict(row)) for row in rows.mappings()}


async def list_proofs(
    session: AsyncSession, org_id: UUID, line_ids: Collection[UUID]
) -> list[ProofInForce]:
    """List what explains lines now."""
    values = {"org_id": org_id, "ids": list(line_ids)}
    rows = await session.execute(LIST_PROOFS_OF_LINES, values)
    return [_make_proof(dict(row)) for row in rows.mappings()]


async def list_proofs_in_force(
    session: AsyncSession, org_id: UUID, proof_ids: Collection[UUID]
) -> list[ProofInForce]:
    """List those of some proofs that are not taken back."""
    rows = await session.execute(LIST_PROOFS, {"org_id": org_id, "ids": list(proof_ids)})
    return [_make_proof(dict(row)) for row in rows.mappings()]


async def reverse_proofs(
    session: AsyncSession,
    org_id: UUID,
    proofs: Sequence[ProofInForce],
    *,
    by: UUID | None,
    now: datetime,
) -> None:
    """Take all proofs of some lines back: the lines are open as a whole again."""
    values = {"org_id": org_id, "ids": [one.id for one in proofs], "now": now, "by": by}
    await session.execute(REVERSE_PROOFS, values)
    line_ids = list(dict.fromkeys(one.line_id for one in proofs))
    await session.execute(OPEN_LINES, {"org_id": org_id, "ids": line_ids})


async def find_same_money(session: AsyncSession, org_id: UUID, account_id: UUID) -> list[UUID]:
    """Find lines whose credit a person has decided to be another one's money since."""
    values = {"org_id": org_id, "account_id": account_id}
    return list((await session.execute(FIND_SAME_MONEY, values)).scalars())


async def find_new_span(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, overlap: timedelta
) -> tuple[datetime, datetime] | None:
    """Return when the first and last money moved that was reported since an account's last run."""
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "overlap": overlap,
        "within": REPORTED_WITHIN,
    }
    first, last = (await session.execute(FIND_NEW_SPAN, values)).one()
    return None if first is None else (first, last)


async def find_due_accounts(
    session: AsyncSession, *, stale_before: datetime, overlap: timedelta, limit: int
) -> list[tuple[UUID, UUID, bool]]:
    """Find accounts with open lines and new credits, or that were not looked through for long.

    An account that has a proof by a credit of the same money as another is due as a whole.

    Returns:
        (organisation, account, whether all its open lines are to be looked at)
    """
    values = {
        "stale_before": stale_before,
        "overlap": overlap,
        "within": REPORTED_WITHIN,
        "limit": limit,
    }
    return [(row[0], row[1], row[2]) for row in await session.execute(FIND_DUE_ACCOUNTS, values)]


def _make_line(row: Mapping[str, Any]) -> LineFacts:
    explanation = row["explanation"]
    return LineFacts(
        **{**row, "explanation": None if explanation is None else Explanation(explanation)}
    )


def _make_proof(row: Mapping[str, Any]) -> ProofInForce:
    return ProofInForce(**{**row, "explanation": Explanation(row["explanation"])})
