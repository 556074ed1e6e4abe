"""SQL of matches and their legs, and of those that wait for their bill.

Writes are one statement per batch. Rows are locked FOR NO KEY UPDATE: foreign keys of other
transactions hold KEY SHARE on them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.reasons import Reason
from core.sql import InsertMany, insert_many, run, send
from payments.credits.reasons import MatchReason
from payments.credits.rules import CreditFacts, Decision, MatchRule, Verdict
from payments.credits.types import NewMatch

SUGGESTED_FOR: Final = timedelta(days=1)  # whoever pays without the code has just been shown it
SUGGESTED_OF_MAX: Final = 100  # bills of one payee and amount

# A parking lot has one price, and ever more bills with that amount: the last are looked at.
FIND_SUGGESTIONS = text("""
    SELECT t.n, min(CAST(b.id AS text)) AS bill_id
    FROM unnest(CAST(:payee_ids AS uuid[]), CAST(:amounts_vnd AS bigint[]))
         WITH ORDINALITY AS t (payee_id, amount_vnd, n)
    CROSS JOIN LATERAL (
        SELECT id, status, monitor_until FROM bills
        WHERE org_id = :org_id AND payee_id = t.payee_id AND amount_vnd = t.amount_vnd
          AND created_at > :since
        ORDER BY created_at DESC LIMIT :bills_max) AS b
    WHERE b.status = 'open' AND b.monitor_until > :now
    GROUP BY t.n HAVING count(*) = 1
""")

INSERT_MATCHES = InsertMany(
    "matches",
    {
        "id": "uuid",
        "credit_id": "uuid",
        "bill_id": "uuid",
        "payee_id": "uuid",
        "rule": "text",
        "verdict": "text",
        "named": "text",
        "reason": "text",
        "reason_facts": "jsonb",
        "applied_vnd": "bigint",
        "is_late": "bool",
        "suggested_bill_id": "uuid",
        "matched_by": "uuid",
    },
    shared=("org_id", "matched_at"),
)

INSERT_LEGS = InsertMany(
    "match_legs",
    {
        "id": "uuid",
        "match_id": "uuid",
        "credit_id": "uuid",
        "bill_id": "uuid",
        "applied_vnd": "bigint",
    },
)

REVERSE_LEGS = text("""
    UPDATE match_legs SET reversed_at = :now
    WHERE org_id = :org_id AND match_id = :match_id AND reversed_at IS NULL
""")

# Safe after a wait, as there is none: the credit is new, or its lock is held.
SET_OPEN = text("""
    UPDATE bank_transactions c SET open_vnd = t.open_vnd
    FROM unnest(CAST(:ids AS uuid[]), CAST(:open_vnd AS bigint[])) AS t (id, open_vnd)
    WHERE c.org_id = :org_id AND c.id = t.id
""")

# Corrections of one credit queue here. A lock on the match in force would not do: who waited for it
# finds it reversed, and its successor not, since a statement sees no rows from after its start.
LOCK_CREDIT = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:credit_id AS text), 1))")

# `c` is joined, but never changes.
LOCK_MATCH = text("""
    SELECT m.id, m.bill_id, m.payee_id, m.rule, m.verdict, m.named, m.reason, m.reason_facts,
           m.applied_vnd, m.is_late, c.receiving_account_id, c.virtual_account, c.provider,
           c.provider_order_id, c.memo, c.amount_vnd, c.occurred_at, c.is_date_only, c.payer_name,
           c.open_vnd
    FROM matches m
    JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
    WHERE m.org_id = :org_id AND m.credit_id = :credit_id AND m.reversed_at IS NULL
    FOR NO KEY UPDATE OF m
""")

REVERSE_MATCH = text("""
    UPDATE matches SET reversed_at = :now, reversed_by = :by
    WHERE org_id = :org_id AND id = :id AND reversed_at IS NULL
""")

# Each organisation's oldest first, and all organisations' first ones before anybody's second.
FIND_WAITING_MATCHES = text("""
    SELECT w.org_id, w.credit_id
    FROM (
        SELECT m.org_id, m.credit_id, m.matched_at, row_number() OVER (
                   PARTITION BY m.org_id ORDER BY m.attempts, m.matched_at, m.id) AS place
        FROM matches m
        JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
        WHERE m.reversed_at IS NULL AND m.verdict = 'no_bill' AND m.matched_at > :since
          AND (m.next_attempt_at IS NULL OR m.next_attempt_at <= :now)
          AND EXISTS (
              SELECT FROM bills b
              WHERE b.org_id = m.org_id AND (
                  b.reference = m.named OR (b.provider_order_id = m.named AND b.rail = c.provider)))
    ) AS w
    ORDER BY w.place, w.matched_at LIMIT :limit
""")

# Those that wait for a phone: their bill is here, or their time is over. Few organisations have
# blocks, and what waits of one is found by ix_matches_rare, whose condition is repeated for it.
FIND_AWAITING_MATCHES = text("""
    SELECT w.org_id, w.credit_id, w.is_over
    FROM (
        SELECT m.org_id, m.credit_id, m.matched_at, m.matched_at <= :waited_since AS is_over,
               row_number() OVER (
                   PARTITION BY m.org_id ORDER BY m.attempts, m.matched_at, m.id) AS place
        FROM organisations o JOIN matches m ON m.org_id = o.id
        WHERE EXISTS (SELECT FROM reference_blocks k WHERE k.org_id = o.id)
          AND m.verdict = 'awaiting_sync' AND m.reversed_at IS NULL
          AND m.verdict NOT IN ('settle', 'counter_sale')
          AND (m.next_attempt_at IS NULL OR m.next_attempt_at <= :now)
          AND (m.matched_at <= :waited_since OR EXISTS (
              SELECT FROM bills b WHERE b.org_id = m.org_id AND b.reference = m.named))
    ) AS w
    ORDER BY w.place, w.matched_at LIMIT :limit
""")

LIST_AWAITING = text("""
    SELECT m.credit_id, m.named, c.amount_vnd, c.received_at
    FROM matches m JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
    WHERE m.org_id = :org_id AND m.verdict = 'awaiting_sync' AND m.reversed_at IS NULL
      AND m.verdict NOT IN ('settle', 'counter_sale')
    ORDER BY m.credit_id LIMIT :limit
""")

FIND_NAMED = text("""
    SELECT credit_id FROM matches
    WHERE org_id = :org_id AND verdict IN ('awaiting_sync', 'no_bill') AND reversed_at IS NULL
      AND verdict NOT IN ('settle', 'counter_sale') AND named = :reference
    ORDER BY credit_id LIMIT :limit
""")

# The row's lock is not waited for: whoever has it judges or corrects the credit.
PUT_OFF_MATCH = text("""
    UPDATE matches SET attempts = attempts + 1, next_attempt_at = :now + least(
        CAST(:wait_max AS interval),
        CAST(:wait_start AS interval) * (2 ^ least(attempts, 20)))
    WHERE org_id = :org_id AND id = (
        SELECT id FROM matches
        WHERE org_id = :org_id AND credit_id = :credit_id AND reversed_at IS NULL
          AND verdict IN ('no_bill', 'awaiting_sync')
        FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING attempts
""")


async def find_suggestions(
    session: AsyncSession, org_id: UUID, sales: Sequence[tuple[UUID, int]], *, now: datetime
) -> dict[int, UUID]:
    """For counter sales (payee, amount_vnd): the one open bill with that amount, by position.

    Of the day's bills with that amount the last hundred are looked at.
    """
    asked = list(dict.fromkeys(sales))
    rows = await run(
        session,
        FIND_SUGGESTIONS,
        {
            "org_id": org_id,
            "payee_ids": [payee_id for payee_id, _ in asked],
            "amounts_vnd": [amount_vnd for _, amount_vnd in asked],
            "since": now - SUGGESTED_FOR,
            "bills_max": SUGGESTED_OF_MAX,
            "now": now,
        },
    )
    found = {asked[int(n) - 1]: UUID(bill_id) for n, bill_id in rows}
    return {at: found[sale] for at, sale in enumerate(sales) if sale in found}


async def insert_matches(
    session: AsyncSession, org_id: UUID, matches: Sequence[NewMatch], *, now: datetime
) -> None:
    """Write what credits were found to be."""
    rows = [
        (
            match.id,
            match.credit_id,
            match.decision.bill_id,
            match.decision.payee_id,
            match.decision.rule.value,
            match.decision.verdict.value,
            match.named,
            match.decision.reason.code.value,
            match.decision.reason.write_facts(),
            match.decision.applied_vnd,
            match.decision.is_late,
            match.suggested_bill_id,
            match.matched_by,
        )
        for match in matches
    ]
    await insert_many(session, INSERT_MATCHES, rows, org_id=org_id, matched_at=now)


async def insert_legs(session: AsyncSession, org_id: UUID, matches: Sequence[NewMatch]) -> None:
    """Write what matches give to bills; each leg has its payment's id."""
    rows = [
        (payment.id, match.id, match.credit_id, payment.bill_id, payment.amount_vnd)
        for match in matches
        for payment in match.decision.payments
    ]
    await insert_many(session, INSERT_LEGS, rows, org_id=org_id)


async def set_open(
    session: AsyncSession, org_id: UUID, still_open: Sequence[tuple[UUID, int]]
) -> None:
    """Write what of credits nothing has taken: (credit, đồng)."""
    await send(
        session,
        SET_OPEN,
        {
            "org_id": org_id,
            "ids": [credit_id for credit_id, _ in still_open],
            "open_vnd": [left_vnd for _, left_vnd in still_open],
        },
    )


async def lock_credits(session: AsyncSession, credit_ids: Iterable[UUID]) -> None:
    """Let corrections of these credits wait, before bills are locked."""
    for credit_id in sorted(set(credit_ids)):
        await session.execute(LOCK_CREDIT, {"credit_id": credit_id})


async def lock_match(
    session: AsyncSession, org_id: UUID, credit_id: UUID
) -> tuple[NewMatch, CreditFacts] | None:
    """Lock a credit, then its match in force, as it is once the lock is held."""
    values = {"org_id": org_id, "credit_id": credit_id}
    await session.execute(LOCK_CREDIT, {"credit_id": credit_id})
    row = (await session.execute(LOCK_MATCH, values)).mappings().one_or_none()
    if row is None:
        return None
    credit = CreditFacts(
        id=credit_id,
        receiving_account_id=row["receiving_account_id"],
        virtual_account=row["virtual_account"],
        provider=row["provider"],
        provider_order_id=row["provider_order_id"],
        memo=row["memo"],
        amount_vnd=row["amount_vnd"],
        occurred_at=row["occurred_at"],
        is_date_only=row["is_date_only"],
        payer_name=row["payer_name"],
        open_vnd=row["open_vnd"],
    )
    decision = Decision(
        verdict=Verdict(row["verdict"]),
        rule=MatchRule(row["rule"]),
        reason=Reason(MatchReason(row["reason"]), row["reason_facts"]),
        applied_vnd=row["applied_vnd"],
        bill_id=row["bill_id"],
        payee_id=row["payee_id"],
        is_late=row["is_late"],
    )
    match = NewMatch(id=row["id"], credit_id=credit_id, decision=decision, named=row["named"])
    return match, credit


async def reverse_match(
    session: AsyncSession, org_id: UUID, match_id: UUID, *, by: UUID | None, now: datetime
) -> None:
    """Take a match with its legs out of force; the caller holds its lock and posts the reversal."""
    values = {"org_id": org_id, "id": match_id, "by": by, "now": now}
    await session.execute(REVERSE_MATCH, values)
    await session.execute(REVERSE_LEGS, {"org_id": org_id, "match_id": match_id, "now": now})


async def find_waiting(
    session: AsyncSession, *, since: datetime, limit: int, now: datetime
) -> list[tuple[UUID, UUID]]:
    """Find (organisation, credit), matched since then, whose bill has appeared (worker role)."""
    values = {"since": since, "limit": limit, "now": now}
    rows = await session.execute(FIND_WAITING_MATCHES, values)
    return [(row[0], row[1]) for row in rows]


async def find_awaiting(
    session: AsyncSession, *, waited_since: datetime, limit: int, now: datetime
) -> list[tuple[UUID, UUID, bool]]:
    """Find (organisation, credit, whether its time is over) of those that wait for a phone.

    Only those with something to do: their bill is here, or they wait since then (worker role).
    """
    values = {"waited_since": waited_since, "limit": limit, "now": now}
    rows = await session.execute(FIND_AWAITING_MATCHES, values)
    return [(row[0], row[1], row[2]) for row in rows]


async def list_awaiting(
    session: AsyncSession, org_id: UUID, *, limit: int
) -> list[tuple[UUID, str, int, datetime]]:
    """List (credit, reference, đồng, when it came) of what waits for phones, the oldest first."""
    rows = await session.execute(LIST_AWAITING, {"org_id": org_id, "limit": limit})
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def find_named(
    session: AsyncSession, org_id: UUID, reference: str, *, limit: int
) -> list[UUID]:
    """Find the credits that named this reference before its bill was there."""
    values = {"org_id": org_id, "reference": reference, "limit": limit}
    return list(await session.scalars(FIND_NAMED, values))


async def put_off_match(
    session: AsyncSession,
    org_id: UUID,
    credit_id: UUID,
    *,
    wait_start: timedelta,
    wait_max: timedelta,
    now: datetime,
) -> int | None:
    """Postpone a credit whose rematch failed, twice as long each time.

    Returns:
        how often that was so, or None if somebody else has it or it is explained.
    """
    values = {
        "org_id": org_id,
        "credit_id": credit_id,
        "wait_start": wait_start,
        "wait_max": wait_max,
        "now": now,
    }
    attempts: int | None = await session.scalar(PUT_OFF_MATCH, values)
    return attempts
