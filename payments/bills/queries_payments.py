"""SQL of payments, and of what follows: owners are notified, requests at rails are woken."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.sql import run, send
from payments.bills.owners_rules import NewChange, write_wake_up
from payments.bills.payment_rules import Payment, SourceKind, debit_account
from payments.bills.rules import BillState

CHANGES_CHANNEL: Final = "phopay_bill_changes"

INSERT_PAYMENTS = text("""
    INSERT INTO payments (
        org_id, id, bill_id, rail, source_kind, source_id, amount_vnd, refundable_vnd, occurred_at,
        recorded_by, recorded_at)
    SELECT :org_id, t.id, t.bill_id, t.rail, t.source_kind, t.source_id, t.amount_vnd, t.amount_vnd,
           t.occurred_at, t.by, :now
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:bill_ids AS uuid[]), CAST(:rails AS text[]),
        CAST(:source_kinds AS text[]), CAST(:source_ids AS uuid[]), CAST(:amounts_vnd AS bigint[]),
        CAST(:occurred_ats AS timestamptz[]), CAST(:bys AS uuid[]))
        AS t (id, bill_id, rail, source_kind, source_id, amount_vnd, occurred_at, by)
""")

# Safe after a wait, as there is none: the caller has locked their bills.
REVERSE_PAYMENTS = text("""
    UPDATE payments SET reversed_at = :now, refundable_vnd = 0
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[])) AND reversed_at IS NULL
""")

# The bill's lock is held. No more than what is left, and nothing of what was taken back.
TAKE_REFUNDABLE = text("""
    UPDATE payments SET refundable_vnd = refundable_vnd - :amount_vnd
    WHERE org_id = :org_id AND id = :id AND reversed_at IS NULL AND refundable_vnd >= :amount_vnd
    RETURNING refundable_vnd
""")
HAS_REFUNDS = text("""
    SELECT EXISTS (
        SELECT FROM payments
        WHERE org_id = :org_id AND bill_id = ANY(CAST(:bill_ids AS uuid[]))
          AND reversed_at IS NULL AND refundable_vnd <> amount_vnd)
""")
# What nobody paid: the rest of a bill that two people gave up.
SUM_WRITTEN_OFF = text("""
    SELECT coalesce(sum(amount_vnd), 0)::bigint FROM payments
    WHERE org_id = :org_id AND bill_id = ANY(CAST(:bill_ids AS uuid[]))
      AND source_kind = 'write_off' AND reversed_at IS NULL
""")
FREE_REFUNDABLE = text("""
    UPDATE payments SET refundable_vnd = refundable_vnd + :amount_vnd
    WHERE org_id = :org_id AND id = :id
""")
READ_REFUNDABLE = text("SELECT refundable_vnd FROM payments WHERE org_id = :org_id AND id = :id")

# After REVERSE_PAYMENTS: whether what is left came late. A day without a time stands at its first
# instant, and so is late only on a later day than the expiry's.
SET_LATENESS = text("""
    UPDATE bills b SET is_late = EXISTS (
        SELECT FROM payments p
        WHERE p.org_id = b.org_id AND p.bill_id = b.id AND p.reversed_at IS NULL
          AND p.occurred_at > b.expires_at AND p.source_kind <> 'write_off')
    WHERE b.org_id = :org_id AND b.id = ANY(CAST(:bill_ids AS uuid[]))
""")

# What waits at a rail for something to happen to its bill: it is paid or cancelled, … (By its key:
# the condition is written so that no plan reads the index of what is due, see TAKE_REQUEST.)
WAKE_REQUESTS = text("""
    UPDATE rail_requests SET next_attempt_at = now()
    WHERE org_id = :org_id AND bill_id = ANY(CAST(:bill_ids AS uuid[]))
      AND CASE status WHEN 'open' THEN true END
""")
# … or owed again. An open one may just be closed by somebody: whose lease goes first.
REOPEN_REQUESTS = text("""
    UPDATE rail_requests
    SET status = CASE status WHEN 'open' THEN 'open' ELSE 'reopened' END, resolved_at = NULL,
        next_attempt_at = CASE status WHEN 'open' THEN now() + INTERVAL '20 s' ELSE now() END
    WHERE org_id = :org_id AND bill_id = ANY(CAST(:bill_ids AS uuid[]))
      AND status IN ('open', 'cancelled', 'closed')
""")

_PAYMENT = """
    SELECT id, bill_id, rail, source_kind, source_id, amount_vnd, occurred_at, recorded_by,
           refundable_vnd
    FROM payments WHERE org_id = :org_id AND reversed_at IS NULL
"""
LIST_PAID_BY_SOURCE = text("""
    SELECT bill_id, amount_vnd FROM payments
    WHERE org_id = :org_id AND source_kind = :kind AND source_id = :source_id
      AND reversed_at IS NULL
""")
FIND_RAILS = text("""
    SELECT id, rail FROM payments WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
""")
LIST_OF_SOURCE = text(_PAYMENT + " AND source_kind = :kind AND source_id = :source_id ORDER BY id")
FIND_PAYMENT = text("""
    SELECT bill_id, source_kind, amount_vnd FROM payments WHERE org_id = :org_id AND id = :id
""")
FIND_CASH = text("""
    SELECT id, amount_vnd, recorded_at, recorded_by FROM payments
    WHERE org_id = :org_id AND bill_id = :bill_id AND source_kind = 'cash' AND reversed_at IS NULL
    ORDER BY recorded_at DESC LIMIT 1
""")

# The lock on its bill (or credit) is held: nobody else counts this subject's changes.
INSERT_CHANGES = text("""
    WITH written AS (
        INSERT INTO bill_changes (
            org_id, id, subject_kind, subject_id, seq, owner_kind, owner_id, from_status,
            to_status, created_at, next_attempt_at)
        SELECT :org_id, t.id, t.subject_kind, t.subject_id,
               1 + coalesce((SELECT max(c.seq) FROM bill_changes c
                             WHERE c.org_id = :org_id AND c.subject_id = t.subject_id), 0),
               t.owner_kind, t.owner_id, t.from_status, t.to_status, :now, :now
        FROM unnest(
            CAST(:ids AS uuid[]), CAST(:subject_kinds AS text[]), CAST(:subject_ids AS uuid[]),
            CAST(:owner_kinds AS text[]), CAST(:owner_ids AS uuid[]),
            CAST(:from_statuses AS text[]), CAST(:to_statuses AS text[]))
            AS t (id, subject_kind, subject_id, owner_kind, owner_id, from_status, to_status))
    SELECT pg_notify(:channel, :payload)
""")


class CashTaken(NamedTuple):
    """Cash that a person recorded for a bill."""

    payment_id: UUID
    amount_vnd: int
    recorded_at: datetime
    recorded_by: UUID | None


async def insert_payments(
    session: AsyncSession, org_id: UUID, payments: Sequence[Payment], *, now: datetime
) -> None:
    """Write payments; one source pays one bill once (unique key)."""
    await send(
        session,
        INSERT_PAYMENTS,
        {
            "org_id": org_id,
            "ids": [p.id for p in payments],
            "bill_ids": [p.bill_id for p in payments],
            "rails": [p.rail for p in payments],
            "source_kinds": [p.source_kind for p in payments],
            "source_ids": [p.source_id for p in payments],
            "amounts_vnd": [p.amount_vnd for p in payments],
            "occurred_ats": [p.occurred_at for p in payments],
            "bys": [p.by for p in payments],
            "now": now,
        },
    )


async def reverse_payments(
    session: AsyncSession, org_id: UUID, payment_ids: Sequence[UUID], *, now: datetime
) -> None:
    """Take payments out of force; the caller has locked their bills and posts the reversal."""
    await send(session, REVERSE_PAYMENTS, {"org_id": org_id, "ids": list(payment_ids), "now": now})


async def take_refundable(
    session: AsyncSession, org_id: UUID, payment_id: UUID, amount_vnd: int
) -> bool:
    """Take from what of a payment may be refunded; False: less is left, and nothing was taken."""
    values = {"org_id": org_id, "id": payment_id, "amount_vnd": amount_vnd}
    return (await session.execute(TAKE_REFUNDABLE, values)).one_or_none() is not None


async def free_refundable(
    session: AsyncSession, org_id: UUID, payment_id: UUID, amount_vnd: int
) -> None:
    """Give back what a refund had taken, as it will not be made."""
    values = {"org_id": org_id, "id": payment_id, "amount_vnd": amount_vnd}
    await session.execute(FREE_REFUNDABLE, values)


async def read_refundable(session: AsyncSession, org_id: UUID, payment_id: UUID) -> int:
    """Return how many đồng of a payment may be refunded."""
    values = {"org_id": org_id, "id": payment_id}
    return int((await session.execute(READ_REFUNDABLE, values)).scalar_one())


async def set_lateness(session: AsyncSession, org_id: UUID, bill_ids: Collection[UUID]) -> None:
    """Write whether any payment in force of these bills came late; their locks are held."""
    await send(session, SET_LATENESS, {"org_id": org_id, "bill_ids": list(bill_ids)})


async def wake_requests(session: AsyncSession, org_id: UUID, bill_ids: Collection[UUID]) -> None:
    """Let the requests of bills that are owed no longer be closed at their rail."""
    await send(session, WAKE_REQUESTS, {"org_id": org_id, "bill_ids": list(bill_ids)})


async def reopen_requests(session: AsyncSession, org_id: UUID, bill_ids: Collection[UUID]) -> None:
    """Let bills that are owed again have a code of their rail again."""
    await send(session, REOPEN_REQUESTS, {"org_id": org_id, "bill_ids": list(bill_ids)})


async def list_paid_by_source(
    session: AsyncSession, org_id: UUID, *, kind: SourceKind, source_id: UUID
) -> dict[UUID, int]:
    """List the bills that a source pays now, and each with how many đồng."""
    values = {"org_id": org_id, "kind": kind.value, "source_id": source_id}
    return {row[0]: row[1] for row in await run(session, LIST_PAID_BY_SOURCE, values)}


async def list_of_source(
    session: AsyncSession,
    org_id: UUID,
    bills: dict[UUID, BillState],
    *,
    kind: SourceKind,
    source_id: UUID,
) -> list[Payment]:
    """List what a source pays now.

    Args:
        bills: all of those that it pays, locked.
    """
    values = {"org_id": org_id, "kind": kind.value, "source_id": source_id}
    rows = await run(session, LIST_OF_SOURCE, values)
    return [
        Payment(
            id=id_,
            bill_id=bill_id,
            payee_id=bills[bill_id].payee_id,
            rail=rail,
            source_kind=source_kind,
            source_id=of,
            amount_vnd=amount_vnd,
            occurred_at=occurred_at,
            debit=debit_account(rail, bills[bill_id]),
            by=by,
            refundable_vnd=refundable_vnd,
        )
        for id_, bill_id, rail, source_kind, of, amount_vnd, occurred_at, by, refundable_vnd in rows
    ]


async def has_refunds(session: AsyncSession, org_id: UUID, bill_ids: Collection[UUID]) -> bool:
    """Whether any payment in force of some locked bills is given back, or on its way, in part."""
    rows = await run(session, HAS_REFUNDS, {"org_id": org_id, "bill_ids": list(bill_ids)})
    return bool(rows[0][0])


async def sum_written_off(session: AsyncSession, org_id: UUID, bill_ids: Collection[UUID]) -> int:
    """Return how many đồng of what some bills were paid was given up: no money came for it."""
    values = {"org_id": org_id, "bill_ids": list(bill_ids)}
    return int((await run(session, SUM_WRITTEN_OFF, values))[0][0])


async def find_payment(
    session: AsyncSession, org_id: UUID, payment_id: UUID
) -> tuple[UUID, str, int] | None:
    """Find a payment by its id: (bill, kind of source, amount_vnd)."""
    rows = await run(session, FIND_PAYMENT, {"org_id": org_id, "id": payment_id})
    return None if not rows else (rows[0][0], rows[0][1], rows[0][2])


async def find_rails(
    session: AsyncSession, org_id: UUID, payment_ids: Collection[UUID]
) -> dict[UUID, str]:
    """Return by which rail each of these payments came, reversed ones too."""
    rows = await run(session, FIND_RAILS, {"org_id": org_id, "ids": list(payment_ids)})
    return {row[0]: row[1] for row in rows}


async def find_cash(session: AsyncSession, org_id: UUID, bill_id: UUID) -> CashTaken | None:
    """Find the cash that paid the rest of a bill."""
    rows = await run(session, FIND_CASH, {"org_id": org_id, "bill_id": bill_id})
    return None if not rows else CashTaken(*rows[0])


async def insert_changes(
    session: AsyncSession, org_id: UUID, changes: Sequence[NewChange], *, now: datetime
) -> None:
    """Write the changes for owners, and wake the hubs when this commits."""
    await send(
        session,
        INSERT_CHANGES,
        {
            "org_id": org_id,
            "ids": [new_id() for _ in changes],
            "subject_kinds": [c.subject_kind.value for c in changes],
            "subject_ids": [c.subject_id for c in changes],
            "owner_kinds": [c.owner_kind for c in changes],
            "owner_ids": [c.owner_id for c in changes],
            "from_statuses": [c.from_status for c in changes],
            "to_statuses": [c.to_status for c in changes],
            "now": now,
            "channel": CHANGES_CHANNEL,
            "payload": write_wake_up(org_id, now),
        },
    )
