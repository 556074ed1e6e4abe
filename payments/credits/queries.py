"""SQL of matching: whose accounts these are, the bills that credits name, matches.

Bank transactions have theirs in queries_transactions.py, notices and breaks in their own packages;
what people look at is in views.py and sales.py. Writes are one statement
per batch. Rows are locked FOR NO KEY UPDATE: foreign keys of other transactions hold KEY SHARE on
them.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, insert_many, run, send
from payments.bills.references import find_references
from payments.credits.types import ListedAccount, NewMatch, TradingLink

# The organisation's codes travel with each row: one array, read once.
LIST_ACCOUNTS = text("""
    SELECT ARRAY(SELECT code FROM organisation_codes WHERE org_id = :org_id),
           ea.endpoint_id, ea.receiving_account_id, upper(ea.account_number), e.is_sandbox,
           a.status, a.approved_at
    FROM callback_endpoint_accounts ea
    JOIN callback_endpoints e ON e.org_id = ea.org_id AND e.id = ea.endpoint_id
    JOIN receiving_accounts a ON a.org_id = ea.org_id AND a.id = ea.receiving_account_id
    WHERE ea.org_id = :org_id AND ea.endpoint_id = ANY(CAST(:endpoint_ids AS uuid[]))
""")

LIST_ACCOUNTS_BY_ID = text("""
    SELECT a.id, a.id, upper(a.account_number), false, a.status, a.approved_at
    FROM receiving_accounts a
    WHERE a.org_id = :org_id AND a.id = ANY(CAST(:account_ids AS uuid[]))
""")

# Who is in force first: a link that only waits never takes what is another's. An account without
# links has one row all the same: whether several providers report on it.
LIST_TRADING_LINKS = text("""
    SELECT a.id, channels.are_several, l.payee_id, upper(l.virtual_account), l.status,
           l.test_reference, l.activated_at IS NOT NULL, p.closed_at IS NOT NULL,
           l.owner_kind, l.owner_id
    FROM unnest(CAST(:account_ids AS uuid[])) AS a (id)
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT e.provider) > 1 AS are_several
        FROM callback_endpoint_accounts ea
        JOIN callback_endpoints e ON e.org_id = ea.org_id AND e.id = ea.endpoint_id
        WHERE ea.org_id = :org_id AND ea.receiving_account_id = a.id) AS channels
    LEFT JOIN payee_accounts l ON l.org_id = :org_id AND l.receiving_account_id = a.id
    LEFT JOIN payees p ON p.org_id = l.org_id AND p.id = l.payee_id
    ORDER BY l.status NOT IN ('active', 'former'), l.id
""")

# Readable by every organisation: codes stand in every memo (docs/tenancy.md).
FIND_CODES = text("""
    SELECT code FROM organisation_codes WHERE code = ANY(CAST(:codes AS text[]))
""")

LIST_ORG_CODES = text("SELECT code FROM organisation_codes WHERE org_id = :org_id")

IS_ON_ACCOUNT = text("""
    SELECT 1 FROM payee_accounts
    WHERE org_id = :org_id AND payee_id = :payee_id AND receiving_account_id = :account_id
      AND status IN ('active', 'former')
    LIMIT 1
""")


FIND_SUGGESTIONS = text("""
    SELECT t.n, min(CAST(b.id AS text)) AS bill_id
    FROM unnest(CAST(:payee_ids AS uuid[]), CAST(:amounts_vnd AS bigint[]))
         WITH ORDINALITY AS t (payee_id, amount_vnd, n)
    JOIN bills b ON b.org_id = :org_id AND b.payee_id = t.payee_id
     AND b.amount_vnd = t.amount_vnd AND b.status = 'open' AND b.monitor_until > :now
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
           c.provider_order_id, c.memo, c.amount_vnd, c.occurred_at, c.is_date_only, c.payer_name
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

# The row's lock is not waited for: whoever has it judges or corrects the credit.
PUT_OFF_MATCH = text("""
    UPDATE matches SET attempts = attempts + 1, next_attempt_at = :now + least(
        CAST(:wait_max AS interval),
        CAST(:wait_start AS interval) * (2 ^ least(attempts, 20)))
    WHERE org_id = :org_id AND id = (
        SELECT id FROM matches
        WHERE org_id = :org_id AND credit_id = :credit_id AND reversed_at IS NULL
          AND verdict = 'no_bill'
        FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING attempts
""")


async def list_accounts(
    session: AsyncSession, org_id: UUID, endpoint_ids: Collection[UUID]
) -> tuple[list[ListedAccount], frozenset[str]]:
    """List the accounts that these endpoints may speak for, and the organisation's codes."""
    rows = await run(session, LIST_ACCOUNTS, {"org_id": org_id, "endpoint_ids": list(endpoint_ids)})
    codes = frozenset(rows[0][0]) if rows else frozenset()
    return [ListedAccount(*row[1:]) for row in rows], codes


async def list_accounts_by_id(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> list[ListedAccount]:
    """List accounts whatever the endpoint (`endpoint_id` holds the account's own id)."""
    values = {"org_id": org_id, "account_ids": list(account_ids)}
    return [ListedAccount(*row) for row in await session.execute(LIST_ACCOUNTS_BY_ID, values)]


async def list_trading_links(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> tuple[list[TradingLink], set[UUID]]:
    """List every link to these accounts, ended ones too, those in force first.

    Returns:
        (the links, those of the accounts that several providers report on)
    """
    values = {"org_id": org_id, "account_ids": list(account_ids)}
    rows = await run(session, LIST_TRADING_LINKS, values)
    links = [TradingLink(account_id, *link) for account_id, _, *link in rows if link[0] is not None]
    return links, {account_id for account_id, are_several, *_ in rows if are_several}


async def list_org_codes(session: AsyncSession, org_id: UUID) -> frozenset[str]:
    """List the codes that name this organisation in references."""
    return frozenset(row[0] for row in await run(session, LIST_ORG_CODES, {"org_id": org_id}))


async def add_foreign_codes(
    session: AsyncSession, own: frozenset[str], memos: Iterable[str]
) -> frozenset[str]:
    """Add to an organisation's own codes those of others that references in these memos name.

    No query runs where no memo holds a reference of others, as nearly always.
    """
    named = {one.org_code for memo in memos for one in find_references(memo)} - own
    if not named:
        return own
    return own | {row[0] for row in await run(session, FIND_CODES, {"codes": sorted(named)})}


async def is_on_account(
    session: AsyncSession, org_id: UUID, *, payee_id: UUID, account_id: UUID
) -> bool:
    """Tell whether a payee's codes name, or named, an account."""
    values = {"org_id": org_id, "payee_id": payee_id, "account_id": account_id}
    return (await session.execute(IS_ON_ACCOUNT, values)).first() is not None


async def find_suggestions(
    session: AsyncSession, org_id: UUID, sales: Sequence[tuple[UUID, int]], *, now: datetime
) -> dict[int, UUID]:
    """For counter sales (payee, amount_vnd): the one open bill with that amount, by position."""
    rows = await run(
        session,
        FIND_SUGGESTIONS,
        {
            "org_id": org_id,
            "payee_ids": [payee_id for payee_id, _ in sales],
            "amounts_vnd": [amount_vnd for _, amount_vnd in sales],
            "now": now,
        },
    )
    return {int(n) - 1: UUID(bill_id) for n, bill_id in rows}


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
