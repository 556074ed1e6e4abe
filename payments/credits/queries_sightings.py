"""SQL of sightings: what was reported again, what that added, and who answers for a report."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import InsertMany, insert_many_returning
from payments.callbacks.models import Notice
from payments.callbacks.queries import to_json
from payments.credits.models import BankTransaction, Sighting
from payments.credits.types import NewSighting

INSERT_SIGHTINGS = InsertMany(
    "sightings",
    {
        "id": "uuid",
        "credit_id": "uuid",
        "notice_id": "uuid",
        "provider": "text",
        "provider_transaction_id": "text",
        "fingerprint": "bytea",
        "is_contradiction": "bool",
        "differences": "jsonb",
    },
    shared=("org_id", "received_at"),
    ending="ON CONFLICT DO NOTHING RETURNING id",
)

LIST_ADDED_REFERENCES = text("""
    SELECT DISTINCT r.reference
    FROM sightings s
    CROSS JOIN LATERAL
        jsonb_array_elements_text(s.differences -> 'references' -> 1) AS r (reference)
    WHERE s.org_id = :org_id AND s.credit_id = :credit_id AND NOT s.is_contradiction
      AND s.differences ? 'references'
    ORDER BY r.reference
""")

FIND_PERHAPS_SAME = text("""
    SELECT CASE WHEN EXISTS (
               SELECT 1 FROM match_legs l
               WHERE l.org_id = s.org_id AND l.credit_id = s.credit_id AND l.reversed_at IS NULL)
           THEN c.id ELSE s.credit_id END
    FROM bank_transactions c
    JOIN sightings s ON s.org_id = c.org_id AND s.provider = c.provider
     AND s.provider_transaction_id = c.provider_transaction_id AND s.differences ? 'perhaps'
    WHERE c.org_id = :org_id AND c.id = :credit_id
    LIMIT 1
""")

# The key in force when a message came is what counts: a forged one may wait for its approval while
# somebody else sets another key.
FIND_TRANSFER_EVIDENCE = text("""
    SELECT CASE
               WHEN n.source = 'pulled' AND n.received_at >= e.pull_vouched_from
                   THEN e.pull_vouched_by
               WHEN n.source = 'callback' AND n.received_at >= e.key_vouched_from
                   THEN e.key_vouched_by
           END,
           ea.vouched_by, n.provider, n.body, c.provider_transaction_id, a.bin
    FROM bank_transactions c
    JOIN notices n ON n.org_id = c.org_id AND n.id = c.notice_id
    JOIN callback_endpoints e ON e.org_id = n.org_id AND e.id = n.endpoint_id
    JOIN receiving_accounts a ON a.org_id = c.org_id AND a.id = c.receiving_account_id
    JOIN callback_endpoint_accounts ea ON ea.org_id = e.org_id AND ea.endpoint_id = e.id
     AND ea.receiving_account_id = c.receiving_account_id
    WHERE c.org_id = :org_id AND c.id = :credit_id
""")


async def insert_sightings(
    session: AsyncSession, org_id: UUID, sightings: Sequence[NewSighting], *, now: datetime
) -> set[UUID]:
    """Keep what was reported again, each report once; return the ids kept now."""
    rows = [
        (
            s.id,
            s.credit_id,
            s.notice_id,
            s.provider,
            s.provider_transaction_id,
            s.fingerprint,
            s.is_contradiction,
            to_json(s.differences),
        )
        for s in sightings
    ]
    stored = await insert_many_returning(
        session, INSERT_SIGHTINGS, rows, org_id=org_id, received_at=now
    )
    return {row[0] for row in stored}


async def get_sighting(
    session: AsyncSession, org_id: UUID, sighting_id: UUID
) -> tuple[Sighting, UUID, Notice]:
    """Return a sighting, the account that it is about, and the notice that reported it."""
    query = (
        select(Sighting, BankTransaction.receiving_account_id, Notice)
        .join(
            BankTransaction,
            (BankTransaction.org_id == Sighting.org_id)
            & (BankTransaction.id == Sighting.credit_id),
        )
        .join(Notice, (Notice.org_id == Sighting.org_id) & (Notice.id == Sighting.notice_id))
        .where(Sighting.org_id == org_id, Sighting.id == sighting_id)
    )
    sighting, account_id, notice = (await session.execute(query)).one()
    return sighting, account_id, notice


async def list_added_references(session: AsyncSession, org_id: UUID, credit_id: UUID) -> list[str]:
    """List the references that only later reports of a credit named."""
    values = {"org_id": org_id, "credit_id": credit_id}
    return list((await session.execute(LIST_ADDED_REFERENCES, values)).scalars())


async def find_perhaps_same(session: AsyncSession, org_id: UUID, credit_id: UUID) -> UUID | None:
    """Find what to take back if this credit and the one it was perhaps the same as are one.

    That is the other one, unless it pays a bill; None if this one was stored without such doubt.
    """
    values = {"org_id": org_id, "credit_id": credit_id}
    found: UUID | None = await session.scalar(FIND_PERHAPS_SAME, values)
    return found


async def find_transfer_evidence(
    session: AsyncSession, org_id: UUID, credit_id: UUID
) -> Sequence[Any] | None:
    """Find who answers for a credit's report, and that report.

    Returns:
        (who vouches for the key or token, who for the listing, provider, body, its transaction id,
        the account's BIN)
    """
    values = {"org_id": org_id, "credit_id": credit_id}
    return (await session.execute(FIND_TRANSFER_EVIDENCE, values)).one_or_none()
