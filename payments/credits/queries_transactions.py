"""SQL of bank transactions and of their repeats: the unique keys decide which was first."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds, hanoi_day
from core.sql import InsertMany, insert_many_returning, run
from payments.credits.rules import CreditFacts
from payments.credits.twins import NearCredit
from payments.credits.types import NewCredit, StoredCredit
from payments.providers.bank_references import is_identifying_reference
from payments.providers.types import Direction

# How far apart two providers may date the same bank transaction.
SAME_MONEY_WITHIN: Final = timedelta(minutes=15)
ONE_INSTANT: Final = timedelta(microseconds=1)  # the database counts no smaller one
# Where they differ more, a reference that both give still makes it possible: over a weekend a
# booking is days from its notice.
DATED_APART: Final = timedelta(days=4)

# Far more than one account takes of one amount at one time; a bound, for a day without times.
NEAR_MAX: Final = 200

LOCK_ACCOUNT_CHANNELS = text("""
    SELECT pg_advisory_xact_lock(hashtextextended(CAST(id AS text), 0))
    FROM unnest(CAST(:account_ids AS uuid[])) AS t (id) ORDER BY id
""")

INSERT_CREDITS = InsertMany(
    "bank_transactions",
    {
        "id": "uuid",
        "receiving_account_id": "uuid",
        "direction": "text",
        "bank_reference": "text",
        "is_first_of_reference": "bool",
        "provider": "text",
        "provider_transaction_id": "text",
        "provider_order_id": "text",
        "notice_id": "uuid",
        "virtual_account": "text",
        "memo": "text",
        "amount_vnd": "bigint",
        "payer_name": "text",
        "payer_account": "text",
        "payer_bank": "text",
        "is_date_only": "bool",
        "occurred_at": "timestamptz",
        "received_at": "timestamptz",
        "admitted_from": "uuid",
    },
    ending="ON CONFLICT DO NOTHING RETURNING id",
)

_STORED = """
    SELECT c.id, c.receiving_account_id, c.direction, c.bank_reference, c.provider,
    c.provider_transaction_id, c.amount_vnd, c.memo, c.occurred_at, c.is_date_only,
    c.provider_order_id
"""

FIND_CREDITS = text(
    _STORED
    + """
    FROM bank_transactions c
    JOIN unnest(
        CAST(:account_ids AS uuid[]), CAST(:providers AS text[]),
        CAST(:transaction_ids AS text[])) AS t (account_id, provider, transaction_id)
      ON c.receiving_account_id = t.account_id AND c.provider = t.provider
     AND c.provider_transaction_id = t.transaction_id
    WHERE c.org_id = :org_id AND c.admitted_from IS NULL
"""
)

GET_DIRECTION = text("SELECT direction FROM bank_transactions WHERE org_id = :org_id AND id = :id")

FIND_KNOWN = text("""
    SELECT c.provider_transaction_id, c.amount_vnd, c.memo FROM bank_transactions c
    WHERE c.org_id = :org_id AND c.receiving_account_id = :account_id AND c.provider = :provider
      AND c.provider_transaction_id = ANY(CAST(:transaction_ids AS text[]))
    UNION
    SELECT s.provider_transaction_id, c.amount_vnd, c.memo FROM sightings s
    JOIN bank_transactions c ON c.org_id = s.org_id AND c.id = s.credit_id
    WHERE s.org_id = :org_id AND s.provider = :provider AND NOT s.is_contradiction
      AND s.provider_transaction_id = ANY(CAST(:transaction_ids AS text[]))
      AND c.receiving_account_id = :account_id
""")

FIND_SIGHTED = text(
    _STORED
    + """
    FROM sightings s
    JOIN bank_transactions c ON c.org_id = s.org_id AND c.id = s.credit_id
    WHERE s.org_id = :org_id AND s.provider = :provider
      AND s.provider_transaction_id = :transaction_id
      AND (NOT s.is_contradiction OR s.differences ? 'day')
      AND c.receiving_account_id = :account_id
    ORDER BY c.id LIMIT 1
"""
)

# Near: within a quarter of an hour, or on that day where one of the two tells no time (it stands at
# the day's first instant). Of too many, those that look the same come first; which is the same,
# twins.py says.
LIST_NEAR = text("""
    SELECT c.id, c.bank_reference, c.memo, c.provider_order_id, c.virtual_account,
           EXISTS (
               SELECT 1 FROM sightings s
               WHERE s.org_id = c.org_id AND s.credit_id = c.id AND s.provider = :provider),
           EXISTS (
               SELECT 1 FROM sightings s
               WHERE s.org_id = c.org_id AND s.provider = c.provider
                 AND s.provider_transaction_id = c.provider_transaction_id
                 AND s.differences ? 'perhaps'),
           EXISTS (
               SELECT 1 FROM match_legs l
               WHERE l.org_id = c.org_id AND l.credit_id = c.id AND l.reversed_at IS NULL),
           EXISTS (
               SELECT 1 FROM match_legs l
               JOIN bills b ON b.org_id = l.org_id AND b.id = l.bill_id
               WHERE l.org_id = c.org_id AND l.credit_id = c.id AND l.reversed_at IS NULL
                 AND b.amount_vnd > c.amount_vnd),
           c.is_date_only OR :is_date_only
    FROM bank_transactions c
    WHERE c.org_id = :org_id AND c.receiving_account_id = :account_id AND c.direction = :direction
      AND (c.occurred_at BETWEEN :since AND :until
           OR (c.occurred_at = :day_start AND c.is_date_only))
      AND c.amount_vnd = :amount_vnd AND c.provider <> :provider
      AND NOT EXISTS (
          SELECT 1 FROM sightings s
          WHERE s.org_id = c.org_id AND s.credit_id = c.id AND s.provider = :provider
            AND NOT s.differences ? 'perhaps')
    ORDER BY c.bank_reference = :bank_reference DESC,
             regexp_replace(upper(c.memo), '[^A-Z0-9]', '', 'g') LIKE ANY(CAST(:likes AS text[]))
                 DESC,
             abs(extract(epoch FROM c.occurred_at - CAST(:occurred_at AS timestamptz))), c.id
    LIMIT :near_max
""")

# By an identifying reference, which is not empty (the index holds no others): near in time with the
# same amount, whoever reports; of another provider also with another amount, or some
# days apart, since they err and date differently.
FIND_POSSIBLE_DUPLICATE = text("""
    SELECT c.id FROM bank_transactions c
    WHERE c.org_id = :org_id AND c.receiving_account_id = :account_id AND c.direction = :direction
      AND c.occurred_at BETWEEN CAST(:occurred_at AS timestamptz) - CAST(:apart AS interval)
                            AND CAST(:occurred_at AS timestamptz) + CAST(:apart AS interval)
      AND c.id <> :id AND c.bank_reference = :bank_reference AND c.bank_reference <> ''
      AND (c.amount_vnd = :amount_vnd AND c.provider <> :provider
           OR (c.amount_vnd = :amount_vnd OR c.provider <> :provider)
              AND (c.occurred_at BETWEEN :since AND :until
                   OR (c.occurred_at = :day_start AND c.is_date_only)))
    ORDER BY c.id LIMIT 1
""")


async def lock_channels(session: AsyncSession, account_ids: Collection[UUID]) -> None:
    """Serialise the processing of accounts that several providers report on."""
    await session.execute(LOCK_ACCOUNT_CHANNELS, {"account_ids": sorted(account_ids)})


async def find_known(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    provider: str,
    transaction_ids: Collection[str],
) -> dict[tuple[str, int], str]:
    """Find which transactions of a provider are known.

    Returns:
        (its id, amount_vnd as it is stored) → the memo that is stored
    """
    values = {
        "org_id": org_id,
        "account_id": account_id,
        "provider": provider,
        "transaction_ids": list(transaction_ids),
    }
    return {(row[0], row[1]): row[2] for row in await session.execute(FIND_KNOWN, values)}


async def insert_credits_once(
    session: AsyncSession,
    org_id: UUID,
    arrived: Sequence[NewCredit],
    *,
    is_later_of_reference: bool = False,
) -> set[UUID]:
    """Store credits unless their bank transactions are known; return the ids stored by this call.

    Args:
        is_later_of_reference: the caller knows of the others with the same bank reference and
            amount; else such a credit is not stored, and is to be looked at more closely.

    The unique keys decide, not a look before the insert: of two processes with the same
    transaction the second waits here for the first to commit. Sorted, so that they cannot
    wait for each other.
    """
    in_order = sorted(
        arrived, key=lambda c: (c.receiving_account_id, c.direction, c.bank_reference)
    )
    rows = [
        (
            c.id,
            c.receiving_account_id,
            c.direction,
            c.bank_reference,
            not is_later_of_reference and is_identifying_reference(c.bank_reference),
            c.provider,
            c.provider_transaction_id,
            c.provider_order_id,
            c.notice_id,
            c.virtual_account,
            c.memo,
            c.amount_vnd,
            c.payer_name,
            c.payer_account,
            c.payer_bank,
            c.is_date_only,
            c.occurred_at,
            c.received_at,
            c.admitted_from,
        )
        for c in in_order
    ]
    stored = await insert_many_returning(session, INSERT_CREDITS, rows, org_id=org_id)
    return {row[0] for row in stored}


async def find_credits(
    session: AsyncSession, org_id: UUID, arrived: Sequence[NewCredit]
) -> list[StoredCredit]:
    """Find the stored credits of these providers' own ids."""
    rows = await run(
        session,
        FIND_CREDITS,
        {
            "org_id": org_id,
            "account_ids": [c.receiving_account_id for c in arrived],
            "providers": [c.provider for c in arrived],
            "transaction_ids": [c.provider_transaction_id for c in arrived],
        },
    )
    return [StoredCredit(*row) for row in rows]


async def get_direction(session: AsyncSession, org_id: UUID, transaction_id: UUID) -> Direction:
    """Return whether a bank transaction that is there brought money in."""
    values = {"org_id": org_id, "id": transaction_id}
    return Direction((await session.execute(GET_DIRECTION, values)).scalar_one())


async def find_sighted(
    session: AsyncSession, org_id: UUID, credit: NewCredit
) -> StoredCredit | None:
    """Find the credit that this provider's transaction was found to be the same money as."""
    values = {
        "org_id": org_id,
        "account_id": credit.receiving_account_id,
        "provider": credit.provider,
        "transaction_id": credit.provider_transaction_id,
    }
    row = (await session.execute(FIND_SIGHTED, values)).one_or_none()
    return None if row is None else StoredCredit(*row)


async def list_near(
    session: AsyncSession, org_id: UUID, credit: NewCredit, *, names: Collection[str]
) -> list[NearCredit]:
    """List the credits of other providers that may be this money, the likeliest first.

    Those that this provider reported for certain are left out.

    Args:
        names: the references that the credit names.
    """
    values = _near(org_id, credit) | {
        "amount_vnd": credit.amount_vnd,
        "provider": credit.provider,
        "bank_reference": credit.bank_reference,
        "likes": [f"%{name}%" for name in names],
        "is_date_only": credit.is_date_only,
        "occurred_at": credit.occurred_at,
        "near_max": NEAR_MAX,
    }
    return [NearCredit(*row) for row in await session.execute(LIST_NEAR, values)]


async def find_possible_duplicate(
    session: AsyncSession, org_id: UUID, credit: NewCredit
) -> UUID | None:
    """Find another credit that may be the same transfer as one that was just stored."""
    values = _near(org_id, credit) | {
        "id": credit.id,
        "amount_vnd": credit.amount_vnd,
        "provider": credit.provider,
        "bank_reference": credit.bank_reference,
        "occurred_at": credit.occurred_at,
        "apart": DATED_APART,
    }
    found: UUID | None = await session.scalar(FIND_POSSIBLE_DUPLICATE, values)
    return found


def to_facts(credit: NewCredit, *, is_doubtful: bool) -> CreditFacts:
    """Take what matching needs of a credit that was just stored."""
    return CreditFacts(
        id=credit.id,
        receiving_account_id=credit.receiving_account_id,
        virtual_account=credit.virtual_account,
        provider=credit.provider,
        provider_order_id=credit.provider_order_id,
        memo=credit.memo,
        amount_vnd=credit.amount_vnd,
        occurred_at=credit.occurred_at,
        is_date_only=credit.is_date_only,
        payer_name=credit.payer_name,
        is_doubtful=is_doubtful,
    )


def _near(org_id: UUID, credit: NewCredit) -> dict[str, Any]:
    day_start, day_end = day_bounds(hanoi_day(credit.occurred_at))
    until = credit.occurred_at + SAME_MONEY_WITHIN
    return {
        "org_id": org_id,
        "account_id": credit.receiving_account_id,
        "direction": credit.direction,
        "since": credit.occurred_at - SAME_MONEY_WITHIN,
        "until": max(until, day_end - ONE_INSTANT) if credit.is_date_only else until,
        "day_start": day_start,
    }
