"""SQL of proofs: lines that are open, what explains them, and which accounts are due."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, insert_many, run
from payments.reconciliation.rules import (
    SCORES_BPS,
)
from payments.reconciliation.types import (
    LineFacts,
    LineKey,
    NewProof,
    ProofInForce,
)
from payments.statements.rules import Explanation

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
LIST_OPEN = text("""
    SELECT id, booked_on, amount_vnd, bank_reference, provider_line_id, memo
    FROM statement_lines
    WHERE org_id = :org_id AND receiving_account_id = :account_id AND open_vnd > 0
      AND open_vnd = amount_vnd AND direction = :direction AND NOT is_reversal
      AND (booked_on, id) > (:after_on, :after_id) AND booked_on <= :until_on
      AND NOT EXISTS (SELECT FROM proofs p WHERE p.org_id = statement_lines.org_id
                      AND p.line_id = statement_lines.id AND p.reversed_by IS NOT NULL)
    ORDER BY booked_on, id LIMIT :limit
""")
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
LIST_PROOFS_OF_LINES = text("""
    SELECT p.id, p.line_id, l.booked_on, l.direction, p.explanation, p.amount_vnd, p.credit_id,
           p.refund_id
    FROM proofs p JOIN statement_lines l ON l.org_id = p.org_id AND l.id = p.line_id
    WHERE p.org_id = :org_id AND p.line_id = ANY(CAST(:line_ids AS uuid[]))
      AND p.reversed_at IS NULL
    ORDER BY p.id
""")
REVERSE_PROOFS = text("""
    UPDATE proofs SET reversed_at = :now, reversed_by = :by
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[])) AND reversed_at IS NULL
""")
OPEN_LINES = text("""
    UPDATE statement_lines l SET open_vnd = l.amount_vnd, explanation = NULL
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
""")
FIND_SAME_MONEY = text("""
    SELECT DISTINCT p.line_id
    FROM matches m
    JOIN proofs p ON p.org_id = m.org_id AND p.credit_id = m.credit_id AND p.reversed_at IS NULL
    JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
    WHERE m.org_id = :org_id AND m.verdict = 'same_money' AND m.reversed_at IS NULL
      AND m.verdict NOT IN ('settle', 'counter_sale')
      AND c.receiving_account_id = :account_id
""")

# When the money moved that callbacks have reported since the last run.
FIND_NEW_SPAN = text("""
    SELECT min(c.occurred_at), max(c.occurred_at)
    FROM account_matching a
    JOIN bank_transactions c ON c.org_id = a.org_id AND c.received_at >= a.matched_at - :overlap
     AND c.receiving_account_id = a.receiving_account_id
    WHERE a.org_id = :org_id AND a.receiving_account_id = :account_id
""")
FIND_DUE_ACCOUNTS = text("""
    SELECT o.org_id, o.receiving_account_id,
           a.swept_at IS NULL OR a.swept_at < :stale_before AS is_whole
    FROM (SELECT DISTINCT org_id, receiving_account_id FROM statement_lines WHERE open_vnd > 0) o
    LEFT JOIN account_matching a ON a.org_id = o.org_id
     AND a.receiving_account_id = o.receiving_account_id
    WHERE a.swept_at IS NULL OR a.swept_at < :stale_before
       OR EXISTS (SELECT FROM bank_transactions c
                  WHERE c.org_id = o.org_id AND c.received_at >= a.matched_at - :overlap
                    AND c.receiving_account_id = o.receiving_account_id)
    ORDER BY a.matched_at NULLS FIRST LIMIT :limit
""")


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
    values = {"org_id": org_id, "line_ids": list(line_ids)}
    rows = await session.execute(LIST_PROOFS_OF_LINES, values)
    return [
        ProofInForce(**{**row, "explanation": Explanation(row["explanation"])})
        for row in rows.mappings()
    ]


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
    values = {"org_id": org_id, "account_id": account_id, "overlap": overlap}
    first, last = (await session.execute(FIND_NEW_SPAN, values)).one()
    return None if first is None else (first, last)


async def find_due_accounts(
    session: AsyncSession, *, stale_before: datetime, overlap: timedelta, limit: int
) -> list[tuple[UUID, UUID, bool]]:
    """Find accounts with open lines and new credits, or that were not looked through for long.

    Returns:
        (organisation, account, whether all its open lines are to be looked at)
    """
    values = {"stale_before": stale_before, "overlap": overlap, "limit": limit}
    return [(row[0], row[1], row[2]) for row in await session.execute(FIND_DUE_ACCOUNTS, values)]


def _make_line(row: Mapping[str, Any]) -> LineFacts:
    explanation = row["explanation"]
    return LineFacts(
        **{**row, "explanation": None if explanation is None else Explanation(explanation)}
    )
