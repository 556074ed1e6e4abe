"""All SQL of notices, credits, matches and breaks. Writes are one statement per batch.

Rows are locked FOR NO KEY UPDATE: foreign keys of other transactions hold KEY SHARE on them.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from payments.callbacks.records import (
    ClaimedNotice,
    ListedAccount,
    NewBreak,
    NewCredit,
    NewMatch,
    NewNotice,
    NewRejection,
    NewSighting,
    NoticeOutcome,
    StoredCredit,
    TradingLink,
)
from payments.callbacks.rules import BillState, CreditFacts

INSERT_NOTICES = text("""
    INSERT INTO notices (
        org_id, id, endpoint_id, provider, source, body, headers, skew_s, received_at,
        next_attempt_at)
    SELECT :org_id, t.*, t.received_at
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:endpoint_ids AS uuid[]), CAST(:providers AS text[]),
        CAST(:sources AS text[]), CAST(:bodies AS bytea[]), CAST(:headers AS jsonb[]),
        CAST(:skews_s AS int[]), CAST(:received_ats AS timestamptz[]))
        AS t (id, endpoint_id, provider, source, body, headers, skew_s, received_at)
""")

CLAIM_NOTICES = text("""
    SELECT id, endpoint_id, provider, body, received_at, attempts FROM notices
    WHERE org_id = :org_id AND handled_at IS NULL AND next_attempt_at <= :now
    ORDER BY next_attempt_at, id LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
""")

CLAIM_NOTICE = text("""
    SELECT id, endpoint_id, provider, body, received_at, attempts FROM notices
    WHERE org_id = :org_id AND id = :id AND handled_at IS NULL
    FOR NO KEY UPDATE SKIP LOCKED
""")

FINISH_NOTICES = text("""
    UPDATE notices n
    SET handled_at = t.handled_at, outcome = t.outcome, attempts = n.attempts + 1,
        next_attempt_at = coalesce(t.next_attempt_at, n.next_attempt_at)
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:outcomes AS text[]), CAST(:handled_ats AS timestamptz[]),
        CAST(:next_attempt_ats AS timestamptz[]))
        AS t (id, outcome, handled_at, next_attempt_at)
    WHERE n.org_id = :org_id AND n.id = t.id
""")

LIST_ACCOUNTS = text("""
    SELECT ea.endpoint_id, ea.receiving_account_id, upper(ea.account_number), e.is_sandbox,
           a.status, a.test_reference, a.approved_at
    FROM endpoint_accounts ea
    JOIN callback_endpoints e ON e.org_id = ea.org_id AND e.id = ea.endpoint_id
    JOIN receiving_accounts a ON a.org_id = ea.org_id AND a.id = ea.receiving_account_id
    WHERE ea.org_id = :org_id AND ea.endpoint_id = ANY(CAST(:endpoint_ids AS uuid[]))
""")

LIST_TRADING_LINKS = text("""
    SELECT l.receiving_account_id, l.payee_id, upper(l.virtual_account), l.status
    FROM payee_accounts l
    WHERE l.org_id = :org_id AND l.receiving_account_id = ANY(CAST(:account_ids AS uuid[]))
      AND l.status IN ('approved', 'active', 'former')
    ORDER BY l.id
""")

LIST_ORG_CODES = text("SELECT code FROM organisation_codes WHERE org_id = :org_id")

COUNT_CHANNELS = text("""
    SELECT ea.receiving_account_id FROM endpoint_accounts ea
    JOIN callback_endpoints e ON e.org_id = ea.org_id AND e.id = ea.endpoint_id
    WHERE ea.org_id = :org_id AND ea.receiving_account_id = ANY(CAST(:account_ids AS uuid[]))
    GROUP BY ea.receiving_account_id HAVING count(DISTINCT e.provider) > 1
""")

LOCK_ACCOUNT_CHANNELS = text("""
    SELECT pg_advisory_xact_lock(hashtextextended(CAST(id AS text), 0))
    FROM unnest(CAST(:account_ids AS uuid[])) AS t (id) ORDER BY id
""")

FIND_OTHER_CHANNEL = text("""
    SELECT c.id FROM credits c
    WHERE c.org_id = :org_id AND c.receiving_account_id = :account_id AND c.direction = :direction
      AND c.amount_vnd = :amount_vnd AND c.provider <> :provider
      AND c.bank_reference <> :bank_reference
      AND c.occurred_at BETWEEN :since AND :until
      AND regexp_replace(upper(c.memo), '[^A-Z0-9]', '', 'g') LIKE :memo_pattern
      AND NOT EXISTS (
          SELECT 1 FROM sightings s
          WHERE s.org_id = c.org_id AND s.credit_id = c.id AND s.provider = :provider)
    ORDER BY c.id LIMIT 1
""")

FIND_SIGHTED = text("""
    SELECT c.id, c.receiving_account_id, c.direction, c.bank_reference, c.provider,
           c.provider_transaction_id, c.amount_vnd, c.memo
    FROM sightings s
    JOIN credits c ON c.org_id = s.org_id AND c.id = s.credit_id
    WHERE s.org_id = :org_id AND s.provider = :provider
      AND s.provider_transaction_id = :transaction_id AND NOT s.is_contradiction
      AND c.receiving_account_id = :account_id
    ORDER BY c.id LIMIT 1
""")

INSERT_CREDITS = text("""
    INSERT INTO credits (
        org_id, id, receiving_account_id, direction, bank_reference, provider,
        provider_transaction_id, provider_order_id, notice_id, virtual_account, memo, amount_vnd,
        payer_name, payer_account, payer_bank, is_date_only, occurred_at, received_at)
    SELECT :org_id, t.*
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:directions AS text[]),
        CAST(:bank_references AS text[]), CAST(:providers AS text[]),
        CAST(:transaction_ids AS text[]), CAST(:order_ids AS text[]), CAST(:notice_ids AS uuid[]),
        CAST(:virtual_accounts AS text[]), CAST(:memos AS text[]), CAST(:amounts_vnd AS bigint[]),
        CAST(:payer_names AS text[]), CAST(:payer_accounts AS text[]),
        CAST(:payer_banks AS text[]), CAST(:are_date_only AS bool[]),
        CAST(:occurred_ats AS timestamptz[]), CAST(:received_ats AS timestamptz[])) AS t
    ON CONFLICT DO NOTHING
    RETURNING id
""")

FIND_CREDITS = text("""
    SELECT c.id, c.receiving_account_id, c.direction, c.bank_reference, c.provider,
           c.provider_transaction_id, c.amount_vnd, c.memo
    FROM credits c
    JOIN unnest(
        CAST(:account_ids AS uuid[]), CAST(:directions AS text[]),
        CAST(:bank_references AS text[])) AS t (account_id, direction, bank_reference)
      ON c.receiving_account_id = t.account_id AND c.direction = t.direction
     AND c.bank_reference = t.bank_reference
    WHERE c.org_id = :org_id
    UNION
    SELECT c.id, c.receiving_account_id, c.direction, c.bank_reference, c.provider,
           c.provider_transaction_id, c.amount_vnd, c.memo
    FROM credits c
    JOIN unnest(
        CAST(:account_ids AS uuid[]), CAST(:providers AS text[]),
        CAST(:transaction_ids AS text[])) AS t (account_id, provider, transaction_id)
      ON c.receiving_account_id = t.account_id AND c.provider = t.provider
     AND c.provider_transaction_id = t.transaction_id
    WHERE c.org_id = :org_id
""")

INSERT_SIGHTINGS = text("""
    INSERT INTO sightings (
        org_id, id, credit_id, notice_id, provider, provider_transaction_id, fingerprint,
        is_contradiction, told, received_at)
    SELECT :org_id, t.*, :now
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:credit_ids AS uuid[]), CAST(:notice_ids AS uuid[]),
        CAST(:providers AS text[]), CAST(:transaction_ids AS text[]),
        CAST(:fingerprints AS bytea[]), CAST(:contradict AS bool[]), CAST(:told AS jsonb[])) AS t
    ON CONFLICT DO NOTHING
""")

LOCK_NAMED_BILLS = text("""
    SELECT id, payee_id, receiving_account_id, virtual_account, rail, provider_order_id, reference,
           amount_vnd, paid_vnd, received_vnd, status, is_late, expires_at, paid_at
    FROM bills
    WHERE org_id = :org_id AND id IN (
        SELECT id FROM bills
        WHERE org_id = :org_id AND reference = ANY(CAST(:references AS text[]))
        UNION ALL
        SELECT id FROM bills
        WHERE org_id = :org_id AND provider_order_id IS NOT NULL
          AND provider_order_id = ANY(CAST(:order_ids AS text[])))
    ORDER BY id
    FOR NO KEY UPDATE
""")

UPDATE_BILLS = text("""
    UPDATE bills b
    SET paid_vnd = t.paid_vnd, received_vnd = t.received_vnd, status = t.status,
        is_late = t.is_late, paid_at = t.paid_at
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:paid_vnd AS bigint[]), CAST(:received_vnd AS bigint[]),
        CAST(:statuses AS text[]), CAST(:are_late AS bool[]), CAST(:paid_ats AS timestamptz[]))
        AS t (id, paid_vnd, received_vnd, status, is_late, paid_at)
    WHERE b.org_id = :org_id AND b.id = t.id
""")

INSERT_MATCHES = text("""
    INSERT INTO matches (
        org_id, id, credit_id, bill_id, payee_id, rule, verdict, named, reason, applied_vnd,
        is_late, suggested_bill_id, matched_by, matched_at)
    SELECT :org_id, t.*, :now
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:credit_ids AS uuid[]), CAST(:bill_ids AS uuid[]),
        CAST(:payee_ids AS uuid[]), CAST(:rules AS text[]), CAST(:verdicts AS text[]),
        CAST(:named AS text[]), CAST(:reasons AS text[]), CAST(:applied_vnd AS bigint[]),
        CAST(:are_late AS bool[]), CAST(:suggested_bill_ids AS uuid[]),
        CAST(:matched_bys AS uuid[])) AS t
""")

REVERSE_MATCH = text("""
    UPDATE matches SET reversed_at = :now, reversed_by = :by
    WHERE org_id = :org_id AND id = :id AND reversed_at IS NULL
""")

INSERT_BREAKS = text("""
    INSERT INTO breaks (
        org_id, id, kind, subject_id, credit_id, bill_id, amount_vnd, detail, opened_at)
    SELECT :org_id, t.*, :now
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:subject_ids AS uuid[]),
        CAST(:credit_ids AS uuid[]), CAST(:bill_ids AS uuid[]), CAST(:amounts_vnd AS bigint[]),
        CAST(:details AS text[])) AS t
    ON CONFLICT (org_id, kind, subject_id) WHERE closed_at IS NULL DO NOTHING
""")

CLOSE_BREAKS = text("""
    UPDATE breaks SET closed_at = :now, closed_by = :by, resolution = :resolution
    WHERE org_id = :org_id AND subject_id = :subject_id AND closed_at IS NULL
      AND kind = ANY(CAST(:kinds AS text[]))
""")

FIND_SUGGESTIONS = text("""
    SELECT t.n, min(CAST(b.id AS text)) AS bill_id
    FROM unnest(CAST(:payee_ids AS uuid[]), CAST(:amounts_vnd AS bigint[]))
         WITH ORDINALITY AS t (payee_id, amount_vnd, n)
    JOIN bills b ON b.org_id = :org_id AND b.payee_id = t.payee_id
     AND b.amount_vnd = t.amount_vnd AND b.status = 'open' AND b.monitor_until > :now
    GROUP BY t.n HAVING count(*) = 1
""")

FIND_BACKLOG = text("""
    SELECT DISTINCT org_id FROM notices
    WHERE handled_at IS NULL AND next_attempt_at <= :now
    LIMIT 1000
""")

FIND_WAITING_MATCHES = text("""
    SELECT m.org_id, m.credit_id
    FROM matches m
    JOIN credits c ON c.org_id = m.org_id AND c.id = m.credit_id
    JOIN bills b ON b.org_id = m.org_id
     AND (b.reference = m.named OR (b.provider_order_id = m.named AND b.rail = c.provider))
    WHERE m.reversed_at IS NULL AND m.verdict = 'no_bill'
    LIMIT 200
""")

DELETE_ENDPOINT_ACCOUNTS = text("""
    DELETE FROM endpoint_accounts WHERE org_id = :org_id AND endpoint_id = :endpoint_id
""")

INSERT_REJECTION = text("""
    INSERT INTO rejections (
        org_id, id, endpoint_id, refusal, detail, skew_s, body_start, received_at)
    SELECT :org_id, :id, :endpoint_id, :refusal, :detail, :skew_s, :body_start, :received_at
    WHERE (SELECT count(*) FROM rejections
           WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND received_at > :since
          ) < :kept_max
""")

WAKE_NOTICES = text("""
    UPDATE notices SET next_attempt_at = :now
    WHERE org_id = :org_id AND endpoint_id = :endpoint_id AND handled_at IS NULL
""")


LOCK_MATCH = text("""
    SELECT m.id, m.bill_id, m.payee_id, m.rule, m.verdict, m.named, m.applied_vnd, m.is_late,
           c.receiving_account_id, c.virtual_account, c.provider, c.provider_order_id, c.memo,
           c.amount_vnd, c.occurred_at, c.is_date_only, c.payer_name
    FROM matches m
    JOIN credits c ON c.org_id = m.org_id AND c.id = m.credit_id
    WHERE m.org_id = :org_id AND m.credit_id = :credit_id AND m.reversed_at IS NULL
    FOR NO KEY UPDATE OF m
""")

IS_ON_ACCOUNT = text("""
    SELECT 1 FROM payee_accounts
    WHERE org_id = :org_id AND payee_id = :payee_id AND receiving_account_id = :account_id
      AND status IN ('active', 'former')
    LIMIT 1
""")

LIST_ACCOUNTS_BY_ID = text("""
    SELECT a.id, a.id, upper(a.account_number), false, a.status, a.test_reference, a.approved_at
    FROM receiving_accounts a
    WHERE a.org_id = :org_id AND a.id = ANY(CAST(:account_ids AS uuid[]))
""")


async def insert_notices(session: AsyncSession, org_id: UUID, notices: Sequence[NewNotice]) -> None:
    """Store messages as they came."""
    await session.execute(
        INSERT_NOTICES,
        {
            "org_id": org_id,
            "ids": [n.id for n in notices],
            "endpoint_ids": [n.endpoint_id for n in notices],
            "providers": [n.provider for n in notices],
            "sources": [n.source for n in notices],
            "bodies": [n.body for n in notices],
            "headers": [to_json(n.headers) for n in notices],
            "skews_s": [n.skew_s for n in notices],
            "received_ats": [n.received_at for n in notices],
        },
    )


async def insert_rejection(
    session: AsyncSession,
    org_id: UUID,
    rejection: NewRejection,
    *,
    since: datetime,
    kept_max: int,
) -> None:
    """Keep a refused message, unless this endpoint has enough of them since then."""
    values = {"org_id": org_id, "since": since, "kept_max": kept_max, **asdict(rejection)}
    await session.execute(INSERT_REJECTION, values)


async def delete_endpoint_accounts(session: AsyncSession, org_id: UUID, endpoint_id: UUID) -> None:
    """Forget which accounts an endpoint may speak for; the caller lists them anew."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id}
    await session.execute(DELETE_ENDPOINT_ACCOUNTS, values)


async def claim_notices(
    session: AsyncSession, org_id: UUID, *, limit: int, now: datetime
) -> list[ClaimedNotice]:
    """Lock unhandled notices that no other process is settling, oldest first."""
    values = {"org_id": org_id, "limit": limit, "now": now}
    return [ClaimedNotice(*row) for row in await session.execute(CLAIM_NOTICES, values)]


async def claim_notice(session: AsyncSession, org_id: UUID, notice_id: UUID) -> list[ClaimedNotice]:
    """Lock one unhandled notice; empty if it is handled or another process has it."""
    values = {"org_id": org_id, "id": notice_id}
    return [ClaimedNotice(*row) for row in await session.execute(CLAIM_NOTICE, values)]


async def finish_notices(
    session: AsyncSession, org_id: UUID, outcomes: Sequence[NoticeOutcome]
) -> None:
    """Write how far the handling of notices got."""
    await session.execute(
        FINISH_NOTICES,
        {
            "org_id": org_id,
            "ids": [o.notice_id for o in outcomes],
            "outcomes": [o.outcome for o in outcomes],
            "handled_ats": [o.handled_at for o in outcomes],
            "next_attempt_ats": [o.next_attempt_at for o in outcomes],
        },
    )


async def list_accounts(
    session: AsyncSession, org_id: UUID, endpoint_ids: Collection[UUID]
) -> list[ListedAccount]:
    """List the accounts that these endpoints may speak for."""
    values = {"org_id": org_id, "endpoint_ids": list(endpoint_ids)}
    return [ListedAccount(*row) for row in await session.execute(LIST_ACCOUNTS, values)]


async def list_accounts_by_id(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> list[ListedAccount]:
    """List accounts whatever the endpoint (`endpoint_id` holds the account's own id)."""
    values = {"org_id": org_id, "account_ids": list(account_ids)}
    return [ListedAccount(*row) for row in await session.execute(LIST_ACCOUNTS_BY_ID, values)]


async def is_on_account(
    session: AsyncSession, org_id: UUID, *, payee_id: UUID, account_id: UUID
) -> bool:
    """Tell whether a payee's codes name, or named, an account."""
    values = {"org_id": org_id, "payee_id": payee_id, "account_id": account_id}
    return (await session.execute(IS_ON_ACCOUNT, values)).first() is not None


async def list_trading_links(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> list[TradingLink]:
    """List which payees trade on these accounts, in the order of their links."""
    values = {"org_id": org_id, "account_ids": list(account_ids)}
    return [TradingLink(*row) for row in await session.execute(LIST_TRADING_LINKS, values)]


async def list_org_codes(session: AsyncSession, org_id: UUID) -> frozenset[str]:
    """List the codes that name this organisation in references."""
    return frozenset((await session.execute(LIST_ORG_CODES, {"org_id": org_id})).scalars())


async def lock_shared_channels(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> set[UUID]:
    """Find the accounts that several providers report on, and serialise their settlement."""
    values = {"org_id": org_id, "account_ids": list(account_ids)}
    shared = set((await session.execute(COUNT_CHANNELS, values)).scalars())
    if shared:
        await session.execute(LOCK_ACCOUNT_CHANNELS, {"account_ids": sorted(shared)})
    return shared


async def find_other_channel(
    session: AsyncSession,
    org_id: UUID,
    credit: NewCredit,
    *,
    reference: str,
    since: datetime,
    until: datetime,
) -> UUID | None:
    """Find the credit by which another provider already told of this money, if there is one."""
    found: UUID | None = await session.scalar(
        FIND_OTHER_CHANNEL,
        {
            "org_id": org_id,
            "account_id": credit.receiving_account_id,
            "direction": credit.direction,
            "amount_vnd": credit.amount_vnd,
            "provider": credit.provider,
            "bank_reference": credit.bank_reference,
            "since": since,
            "until": until,
            "memo_pattern": f"%{reference}%",
        },
    )
    return found


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


async def insert_credits_once(
    session: AsyncSession, org_id: UUID, arrived: Sequence[NewCredit]
) -> set[UUID]:
    """Store credits unless their bank transactions are known; return the ids stored by this call.

    The unique keys decide, not a look before the insert: of two processes with the same
    transaction the second waits here for the first to commit. Sorted, so that they cannot
    wait for each other.
    """
    rows = sorted(arrived, key=lambda c: (c.receiving_account_id, c.direction, c.bank_reference))
    stored = await session.execute(
        INSERT_CREDITS,
        {
            "org_id": org_id,
            "ids": [c.id for c in rows],
            "account_ids": [c.receiving_account_id for c in rows],
            "directions": [c.direction for c in rows],
            "bank_references": [c.bank_reference for c in rows],
            "providers": [c.provider for c in rows],
            "transaction_ids": [c.provider_transaction_id for c in rows],
            "order_ids": [c.provider_order_id for c in rows],
            "notice_ids": [c.notice_id for c in rows],
            "virtual_accounts": [c.virtual_account for c in rows],
            "memos": [c.memo for c in rows],
            "amounts_vnd": [c.amount_vnd for c in rows],
            "payer_names": [c.payer_name for c in rows],
            "payer_accounts": [c.payer_account for c in rows],
            "payer_banks": [c.payer_bank for c in rows],
            "are_date_only": [c.is_date_only for c in rows],
            "occurred_ats": [c.occurred_at for c in rows],
            "received_ats": [c.received_at for c in rows],
        },
    )
    return set(stored.scalars())


async def find_credits(
    session: AsyncSession, org_id: UUID, arrived: Sequence[NewCredit]
) -> list[StoredCredit]:
    """Find the stored credits that share a key with any of these."""
    rows = await session.execute(
        FIND_CREDITS,
        {
            "org_id": org_id,
            "account_ids": [c.receiving_account_id for c in arrived],
            "directions": [c.direction for c in arrived],
            "bank_references": [c.bank_reference for c in arrived],
            "providers": [c.provider for c in arrived],
            "transaction_ids": [c.provider_transaction_id for c in arrived],
        },
    )
    return [StoredCredit(*row) for row in rows]


async def insert_sightings(
    session: AsyncSession, org_id: UUID, sightings: Sequence[NewSighting], *, now: datetime
) -> None:
    """Keep what was told again differently; the same telling is kept once."""
    await session.execute(
        INSERT_SIGHTINGS,
        {
            "org_id": org_id,
            "ids": [s.id for s in sightings],
            "credit_ids": [s.credit_id for s in sightings],
            "notice_ids": [s.notice_id for s in sightings],
            "providers": [s.provider for s in sightings],
            "transaction_ids": [s.provider_transaction_id for s in sightings],
            "fingerprints": [s.fingerprint for s in sightings],
            "contradict": [s.is_contradiction for s in sightings],
            "told": [to_json(s.told) for s in sightings],
            "now": now,
        },
    )


async def lock_named_bills(
    session: AsyncSession, org_id: UUID, *, references: Iterable[str], order_ids: Iterable[str]
) -> list[BillState]:
    """Lock every bill that is named, in the order of their ids."""
    values = {"org_id": org_id, "references": list(references), "order_ids": list(order_ids)}
    rows = await session.execute(LOCK_NAMED_BILLS, values)
    return [BillState(**row) for row in rows.mappings()]


async def update_bills(session: AsyncSession, org_id: UUID, bills: Sequence[BillState]) -> None:
    """Write what credits did to locked bills."""
    await session.execute(
        UPDATE_BILLS,
        {
            "org_id": org_id,
            "ids": [b.id for b in bills],
            "paid_vnd": [b.paid_vnd for b in bills],
            "received_vnd": [b.received_vnd for b in bills],
            "statuses": [str(b.status) for b in bills],
            "are_late": [b.is_late for b in bills],
            "paid_ats": [b.paid_at for b in bills],
        },
    )


async def insert_matches(
    session: AsyncSession, org_id: UUID, matches: Sequence[NewMatch], *, now: datetime
) -> None:
    """Write what credits were found to be."""
    await session.execute(
        INSERT_MATCHES,
        {
            "org_id": org_id,
            "ids": [m.id for m in matches],
            "credit_ids": [m.credit_id for m in matches],
            "bill_ids": [m.decision.bill_id for m in matches],
            "payee_ids": [m.decision.payee_id for m in matches],
            "rules": [m.decision.rule.value for m in matches],
            "verdicts": [m.decision.verdict.value for m in matches],
            "named": [m.named for m in matches],
            "reasons": [m.decision.reason for m in matches],
            "applied_vnd": [m.decision.applied_vnd for m in matches],
            "are_late": [m.decision.is_late for m in matches],
            "suggested_bill_ids": [m.suggested_bill_id for m in matches],
            "matched_bys": [m.matched_by for m in matches],
            "now": now,
        },
    )


async def reverse_match(
    session: AsyncSession, org_id: UUID, match_id: UUID, *, by: UUID | None, now: datetime
) -> None:
    """Take a match out of force; the caller holds its lock and posts the reversal."""
    values = {"org_id": org_id, "id": match_id, "by": by, "now": now}
    await session.execute(REVERSE_MATCH, values)


async def insert_breaks_once(
    session: AsyncSession, org_id: UUID, breaks: Sequence[NewBreak], *, now: datetime
) -> None:
    """Open breaks, unless the same one is open already."""
    await session.execute(
        INSERT_BREAKS,
        {
            "org_id": org_id,
            "ids": [new_id() for _ in breaks],
            "kinds": [b.kind.value for b in breaks],
            "subject_ids": [b.subject_id for b in breaks],
            "credit_ids": [b.credit_id for b in breaks],
            "bill_ids": [b.bill_id for b in breaks],
            "amounts_vnd": [b.amount_vnd for b in breaks],
            "details": [b.detail for b in breaks],
            "now": now,
        },
    )


async def close_breaks(
    session: AsyncSession,
    org_id: UUID,
    *,
    subject_id: UUID,
    kinds: Iterable[str],
    by: UUID | None,
    resolution: str,
    now: datetime,
) -> None:
    """Close what is explained now."""
    await session.execute(
        CLOSE_BREAKS,
        {
            "org_id": org_id,
            "subject_id": subject_id,
            "kinds": list(kinds),
            "by": by,
            "resolution": resolution,
            "now": now,
        },
    )


async def find_suggestions(
    session: AsyncSession, org_id: UUID, sales: Sequence[tuple[UUID, int]], *, now: datetime
) -> dict[int, UUID]:
    """For counter sales (payee, amount_vnd): the one open bill with that amount, by position."""
    rows = await session.execute(
        FIND_SUGGESTIONS,
        {
            "org_id": org_id,
            "payee_ids": [payee_id for payee_id, _ in sales],
            "amounts_vnd": [amount_vnd for _, amount_vnd in sales],
            "now": now,
        },
    )
    return {int(n) - 1: UUID(bill_id) for n, bill_id in rows}


async def find_backlog(session: AsyncSession, *, now: datetime) -> list[UUID]:
    """Find organisations with notices to settle (worker role: all organisations)."""
    return list((await session.execute(FIND_BACKLOG, {"now": now})).scalars())


async def find_waiting(session: AsyncSession) -> list[tuple[UUID, UUID]]:
    """Find (organisation, credit) whose named bill has appeared (worker role)."""
    return [(row[0], row[1]) for row in await session.execute(FIND_WAITING_MATCHES)]


async def wake_notices(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID, *, now: datetime
) -> None:
    """Let the notices of an endpoint be judged again at once: its accounts have changed."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id, "now": now}
    await session.execute(WAKE_NOTICES, values)


def to_json(value: Any) -> str:
    """Write JSON for a jsonb parameter inside an array."""
    return msgspec.json.encode(value).decode()


def to_facts(credit: NewCredit) -> CreditFacts:
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
    )
