"""SQL of single bills: their making, reading and cancellation.

What locks them and writes what they were paid is in queries_settling.py, their lists are in
queries_lists.py, their expiry is in queries_expiry.py.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from payments.bills.errors import BillNotFound
from payments.bills.rules import BillFacts

COLUMNS = """
    b.org_id, b.id, b.payee_id, p.name, p.place, b.receiving_account_id, a.bin,
    a.account_number, b.virtual_account, a.holder_name, b.rail, b.provider_order_id, b.reference,
    b.public_token, b.amount_vnd, b.paid_vnd, b.received_vnd, b.purpose, b.external_id,
    b.status, b.is_late, b.created_by, b.created_at, b.expires_at, b.monitor_until,
    b.paid_at, b.cancelled_at, b.owner_kind, b.owner_id, b.due_on,
    r.status, r.problem, r.falls_back, r.checkout_url, r.payload,
    r.bin, r.account_number
"""
FIELDS = (
    "org_id", "id", "payee_id", "payee_name", "place", "receiving_account_id", "bin",
    "account_number", "virtual_account", "holder_name", "rail", "provider_order_id", "reference",
    "public_token", "amount_vnd", "paid_vnd", "received_vnd", "purpose", "external_id",
    "status", "is_late", "created_by", "created_at", "expires_at", "monitor_until",
    "paid_at", "cancelled_at", "owner_kind", "owner_id", "due_on",
    "rail_status", "rail_problem", "falls_back", "checkout_url",
    "rail_payload", "rail_bin", "rail_account",
)  # fmt: skip
FROM_BILLS = """
    FROM bills b
    JOIN payees p ON p.org_id = b.org_id AND p.id = b.payee_id
    JOIN receiving_accounts a ON a.org_id = b.org_id AND a.id = b.receiving_account_id
    LEFT JOIN rail_requests r
        ON r.org_id = b.org_id AND r.bill_id = b.id AND b.provider_order_id IS NOT NULL
"""
INSERT_BILLS = text("""
    INSERT INTO bills (
        org_id, id, link_id, payee_id, receiving_account_id, virtual_account, rail, reference,
        public_token, amount_vnd, purpose, external_id, status, created_by, created_at,
        expires_at, monitor_until, owner_kind, owner_id, due_on)
    SELECT :org_id, t.id, t.link_id, t.payee_id, t.account_id, t.virtual_account, :rail,
           t.reference, t.token, t.amount_vnd, t.purpose, t.external_id, 'open', t.created_by, :now,
           t.expires_at, t.monitor_until, t.owner_kind, t.owner_id, CAST(t.due_on AS date)
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:link_ids AS uuid[]), CAST(:payee_ids AS uuid[]),
        CAST(:account_ids AS uuid[]),
        CAST(:virtual_accounts AS text[]), CAST(:references AS text[]), CAST(:tokens AS text[]),
        CAST(:amounts_vnd AS bigint[]), CAST(:purposes AS text[]), CAST(:external_ids AS text[]),
        CAST(:created_bys AS uuid[]), CAST(:expires_ats AS timestamptz[]),
        CAST(:monitor_untils AS timestamptz[]), CAST(:owner_kinds AS text[]),
        CAST(:owner_ids AS uuid[]), CAST(:due_ons AS text[]))
        AS t (id, link_id, payee_id, account_id, virtual_account, reference, token, amount_vnd,
              purpose, external_id, created_by, expires_at, monitor_until, owner_kind, owner_id,
              due_on)
    ON CONFLICT (org_id, id) DO NOTHING
    RETURNING id
""")
GET_BY_IDS = text(
    f"SELECT {COLUMNS} {FROM_BILLS} WHERE b.org_id = :org_id AND b.id = ANY(CAST(:ids AS uuid[]))"
)
GET_BY_TOKEN = text(
    f"SELECT {COLUMNS} {FROM_BILLS} WHERE b.org_id = :org_id AND b.public_token = :token"
)
LOCK_BILL = text("SELECT status FROM bills WHERE org_id = :org_id AND id = :id FOR NO KEY UPDATE")
GET_ID = text("SELECT id FROM bills WHERE org_id = :org_id AND reference = :reference")
CANCEL_BILL = text("""
    UPDATE bills SET status = 'cancelled', cancelled_at = :now
    WHERE org_id = :org_id AND id = :id
""")
SET_PROVIDER_ORDER = text("""
    UPDATE bills SET provider_order_id = :order_id WHERE org_id = :org_id AND id = :id
""")


def read_bill(row: Row[Any]) -> BillFacts:
    """Make facts of a row that selected COLUMNS."""
    return BillFacts(**dict(zip(FIELDS, row, strict=True)))


async def insert_bills_once(
    session: AsyncSession, org_id: UUID, bills: Sequence[tuple[BillFacts, UUID]]
) -> set[UUID]:
    """Store new bills, each with its account link; return the ids that this call stored."""
    rows = await run(
        session,
        INSERT_BILLS,
        {
            "org_id": org_id,
            "rail": bills[0][0].rail,
            "ids": [bill.id for bill, _ in bills],
            "link_ids": [link_id for _, link_id in bills],
            "payee_ids": [bill.payee_id for bill, _ in bills],
            "account_ids": [bill.receiving_account_id for bill, _ in bills],
            "virtual_accounts": [bill.virtual_account for bill, _ in bills],
            "references": [bill.reference for bill, _ in bills],
            "tokens": [bill.public_token for bill, _ in bills],
            "amounts_vnd": [bill.amount_vnd for bill, _ in bills],
            "purposes": [bill.purpose for bill, _ in bills],
            "external_ids": [bill.external_id for bill, _ in bills],
            "created_bys": [bill.created_by for bill, _ in bills],
            "expires_ats": [bill.expires_at for bill, _ in bills],
            "monitor_untils": [bill.monitor_until for bill, _ in bills],
            "owner_kinds": [bill.owner_kind for bill, _ in bills],
            "owner_ids": [bill.owner_id for bill, _ in bills],
            "due_ons": [bill.due_on and bill.due_on.isoformat() for bill, _ in bills],
            "now": bills[0][0].created_at,
        },
    )
    return {row[0] for row in rows}


async def find_bills(
    session: AsyncSession, org_id: UUID, ids: Collection[UUID]
) -> dict[UUID, BillFacts]:
    """Find bills by id."""
    rows = await session.execute(GET_BY_IDS, {"org_id": org_id, "ids": list(ids)})
    return {bill.id: bill for bill in map(read_bill, rows)}


async def get_bill(session: AsyncSession, org_id: UUID, bill_id: UUID) -> BillFacts:
    """Return one bill.

    Raises:
        BillNotFound: there is none in this organisation.
    """
    found = await find_bills(session, org_id, [bill_id])
    if bill_id not in found:
        raise BillNotFound(bill_id)
    return found[bill_id]


async def get_bill_by_token(session: AsyncSession, org_id: UUID, token: str) -> BillFacts:
    """Return the bill that a public link opens.

    Raises:
        BillNotFound: no bill has this token.
    """
    row = (await session.execute(GET_BY_TOKEN, {"org_id": org_id, "token": token})).one_or_none()
    if row is None:
        raise BillNotFound("…")
    return read_bill(row)


async def get_bill_id(session: AsyncSession, org_id: UUID, reference: str) -> UUID:
    """Return which bill a reference names.

    Raises:
        BillNotFound
    """
    values = {"org_id": org_id, "reference": reference}
    found: UUID | None = (await session.execute(GET_ID, values)).scalar()
    if found is None:
        raise BillNotFound(reference)
    return found


async def lock_status(session: AsyncSession, org_id: UUID, bill_id: UUID) -> str:
    """Lock a bill and return its stored status.

    Raises:
        BillNotFound: there is none in this organisation.
    """
    values = {"org_id": org_id, "id": bill_id}
    status: str | None = (await session.execute(LOCK_BILL, values)).scalar_one_or_none()
    if status is None:
        raise BillNotFound(bill_id)
    return status


async def mark_cancelled(
    session: AsyncSession, org_id: UUID, bill_id: UUID, *, now: datetime
) -> None:
    """Write the cancellation of a locked bill."""
    await session.execute(CANCEL_BILL, {"org_id": org_id, "id": bill_id, "now": now})


async def set_provider_order(
    session: AsyncSession, org_id: UUID, bill_id: UUID, *, order_id: str
) -> None:
    """Write what a bill is called at its rail's provider, before the provider is called."""
    values = {"org_id": org_id, "id": bill_id, "order_id": order_id}
    await session.execute(SET_PROVIDER_ORDER, values)
