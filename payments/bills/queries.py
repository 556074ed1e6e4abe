"""All SQL of bills."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run, send
from identity.organisations.models import SERVER_AND_TIMELINE
from payments.bills.errors import BillNotFound
from payments.bills.owners_rules import NewChange, SubjectKind
from payments.bills.queries_payments import insert_changes
from payments.bills.rules import BillFacts, BillState, BillStatus, Repeatable
from payments.payees.queries import SKIPPED

# One table and conditions on its own columns, nothing joined. When another transaction has changed
# a bill that this waits for, PostgreSQL checks the row again by the plan that found it. A plan that
# joins, as `id IN (SELECT … UNION ALL …)` did on a grown table, then drops the row without a word
# (READ COMMITTED, EvalPlanQual; tests/concurrency/test_grown_tables.py).
_LOCKED = """
    SELECT id, payee_id, receiving_account_id, virtual_account, rail, provider_order_id, reference,
           amount_vnd, paid_vnd, received_vnd, status, is_late, expires_at, paid_at, owner_kind,
           owner_id, status AS status_locked
    FROM bills
"""
LOCK_NAMED_BILLS = text(
    _LOCKED
    + """
    WHERE org_id = :org_id
      AND (reference = ANY(CAST(:references AS text[]))
           OR (provider_order_id IS NOT NULL AND rail = ANY(CAST(:rails AS text[]))
               AND provider_order_id = ANY(CAST(:order_ids AS text[]))))
    ORDER BY id
    FOR NO KEY UPDATE
"""
)
LOCK_BILLS = text(
    _LOCKED
    + """
    WHERE org_id = :org_id AND id = ANY(CAST(:ids AS uuid[]))
    ORDER BY id
    FOR NO KEY UPDATE
"""
)


BILL_FIELDS = tuple(field.name for field in fields(BillState))  # the order of LOCK_NAMED_BILLS


# Safe after a wait, as there is none: the caller has locked these bills. The same holds for
# REVERSE_MATCH, and for FINISH_NOTICES on notices that were claimed.
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


TAKE_SERIALS = text(f"""
    UPDATE organisation_codes
    SET next_serial = next_serial + :wanted + {SKIPPED}, taken_on = {SERVER_AND_TIMELINE},
        taken_at = now()
    WHERE code = (
        SELECT code FROM organisation_codes
        WHERE org_id = :org_id AND next_serial + :wanted + {SKIPPED} <= :serials_max
        ORDER BY code LIMIT 1 FOR UPDATE)
    RETURNING code, next_serial - :wanted
""")  # noqa: S608 (our own constants)


COLUMNS = """
    b.org_id, b.id, b.payee_id, p.name, p.place, b.receiving_account_id, a.bin,
    a.account_number, b.virtual_account, a.holder_name, b.rail, b.provider_order_id, b.reference,
    b.public_token, b.amount_vnd, b.paid_vnd, b.received_vnd, b.purpose, b.external_id,
    b.status, b.is_late, b.created_by, b.created_at, b.expires_at, b.monitor_until,
    b.paid_at, b.cancelled_at, b.owner_kind, b.owner_id, b.due_on
"""
FIELDS = (
    "org_id", "id", "payee_id", "payee_name", "place", "receiving_account_id", "bin",
    "account_number", "virtual_account", "holder_name", "rail", "provider_order_id", "reference",
    "public_token", "amount_vnd", "paid_vnd", "received_vnd", "purpose", "external_id",
    "status", "is_late", "created_by", "created_at", "expires_at", "monitor_until",
    "paid_at", "cancelled_at", "owner_kind", "owner_id", "due_on",
)  # fmt: skip
FROM_BILLS = """
    FROM bills b
    JOIN payees p ON p.org_id = b.org_id AND p.id = b.payee_id
    JOIN receiving_accounts a ON a.org_id = b.org_id AND a.id = b.receiving_account_id
"""

INSERT_KEYS = text("""
    INSERT INTO idempotency_keys (
        org_id, caller_id, route, key, body_hash, status, resource_id, created_at)
    SELECT :org_id, t.caller_id, t.route, t.key, t.body_hash, 201, t.resource_id, :now
    FROM unnest(
        CAST(:caller_ids AS uuid[]), CAST(:routes AS text[]), CAST(:keys AS text[]),
        CAST(:body_hashes AS bytea[]), CAST(:resource_ids AS uuid[]))
        AS t (caller_id, route, key, body_hash, resource_id)
    ORDER BY t.caller_id, t.route, t.key
    ON CONFLICT DO NOTHING
    RETURNING caller_id, route, key, resource_id
""")

FIND_KEYS = text("""
    SELECT k.caller_id, k.route, k.key, k.body_hash, k.resource_id
    FROM idempotency_keys k
    JOIN unnest(CAST(:caller_ids AS uuid[]), CAST(:routes AS text[]), CAST(:keys AS text[]))
        AS t (caller_id, route, key)
      ON k.caller_id = t.caller_id AND k.route = t.route AND k.key = t.key
    WHERE k.org_id = :org_id
""")

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
LIST_BILLS = text(f"""
    SELECT {COLUMNS} {FROM_BILLS}
    WHERE b.org_id = :org_id
      AND (CAST(:before_id AS uuid) IS NULL OR b.id < :before_id)
      AND (CAST(:payee_id AS uuid) IS NULL OR b.payee_id = :payee_id)
      AND (CAST(:references AS text[]) IS NULL OR b.reference = ANY(:references))
      AND (CAST(:external_id AS text) IS NULL OR b.external_id = :external_id)
      AND (CAST(:since AS timestamptz) IS NULL OR b.created_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR b.created_at < :until)
      AND (CAST(:statuses AS text[]) IS NULL
           OR CASE WHEN b.status IN ('open', 'part_paid') AND b.expires_at <= :now
                   THEN 'expired' ELSE b.status END = ANY(CAST(:statuses AS text[])))
    ORDER BY b.id DESC LIMIT :limit
""")
LIST_ORDER_IDS = text("""
    SELECT b.provider_order_id FROM bills b
    WHERE b.org_id = :org_id AND b.payee_id = :payee_id AND b.receiving_account_id = :account_id
      AND b.rail = :rail AND b.provider_order_id IS NOT NULL
      AND CASE WHEN CAST(:bill_id AS uuid) IS NULL THEN b.id >= :first_id ELSE b.id = :bill_id END
    ORDER BY b.status NOT IN ('open', 'part_paid', 'expired'), b.id DESC LIMIT :limit
""")
FIND_EXPIRED_UNSTORED = text("""
    SELECT DISTINCT org_id FROM bills
    WHERE status = 'open' AND paid_vnd = 0 AND monitor_until >= :since AND monitor_until < :now
""")
# An array of locked ids, made once: as IN (…) it would be joined, and a plan may read the inner
# side again for each bill, lock more than the limit, and lose a bill that changed just before.
STORE_EXPIRY = text("""
    UPDATE bills SET status = 'expired'
    WHERE org_id = :org_id AND id = ANY(ARRAY(
        SELECT id FROM bills
        WHERE org_id = :org_id AND status = 'open' AND paid_vnd = 0
          AND monitor_until >= :since AND monitor_until < :now
        ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED))
    RETURNING id, owner_kind, owner_id
""")


def read_bill(row: Row[Any]) -> BillFacts:
    """Make facts of a row that selected COLUMNS."""
    return BillFacts(**dict(zip(FIELDS, row, strict=True)))


async def insert_keys_once(
    session: AsyncSession,
    org_id: UUID,
    keyed: Sequence[tuple[Repeatable, UUID]],
    *,
    now: datetime,
) -> set[tuple[UUID, str, str, UUID]]:
    """Store Idempotency-Keys with the resource each makes.

    Returns:
        Those that are first, as (caller, route, key, resource).
    """
    rows = await run(
        session,
        INSERT_KEYS,
        {
            "org_id": org_id,
            "caller_ids": [key.caller_id for key, _ in keyed],
            "routes": [key.route for key, _ in keyed],
            "keys": [key.key for key, _ in keyed],
            "body_hashes": [key.body_hash for key, _ in keyed],
            "resource_ids": [resource_id for _, resource_id in keyed],
            "now": now,
        },
    )
    return {(row[0], row[1], row[2], row[3]) for row in rows}


async def find_keys(
    session: AsyncSession, org_id: UUID, repeatables: Sequence[Repeatable]
) -> dict[tuple[UUID, str, str], tuple[bytes, UUID]]:
    """Find stored keys: (caller, route, key) → (hash of the first body, its resource)."""
    rows = await session.execute(
        FIND_KEYS,
        {
            "org_id": org_id,
            "caller_ids": [key.caller_id for key in repeatables],
            "routes": [key.route for key in repeatables],
            "keys": [key.key for key in repeatables],
        },
    )
    return {(row[0], row[1], row[2]): (bytes(row[3]), row[4]) for row in rows}


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


async def list_bills(
    session: AsyncSession,
    org_id: UUID,
    *,
    before_id: UUID | None = None,
    payee_id: UUID | None = None,
    references: Sequence[str] | None = None,
    external_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    statuses: Sequence[str] | None = None,
    limit: int,
    now: datetime,
) -> list[BillFacts]:
    """List bills, newest id first; every filter that is given must hold."""
    rows = await session.execute(
        LIST_BILLS,
        {
            "org_id": org_id,
            "before_id": before_id,
            "payee_id": payee_id,
            "references": None if references is None else list(references),
            "external_id": external_id,
            "since": since,
            "until": until,
            "statuses": None if statuses is None else list(statuses),
            "limit": limit,
            "now": now,
        },
    )
    return [read_bill(row) for row in rows]


async def list_order_ids(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    account_id: UUID,
    *,
    rail: str,
    bill_id: UUID | None,
    since: datetime,
    limit: int,
) -> list[str]:
    """List what a payee's bills on an account are called at a provider, unpaid ones first.

    Args:
        bill_id: this bill alone, whatever its age; None: those made since then.
    """
    rows = await session.execute(
        LIST_ORDER_IDS,
        {
            "org_id": org_id,
            "payee_id": payee_id,
            "account_id": account_id,
            "rail": rail,
            "bill_id": bill_id,
            "first_id": first_id_at(since),
            "limit": limit,
        },
    )
    return [row[0] for row in rows]


async def find_expired_unstored(
    session: AsyncSession, *, since: datetime, now: datetime
) -> list[UUID]:
    """Find organisations with bills that nobody watches since then (worker: all of them)."""
    values = {"since": since, "now": now}
    return list((await session.execute(FIND_EXPIRED_UNSTORED, values)).scalars())


async def store_expiry(
    session: AsyncSession, org_id: UUID, *, since: datetime, limit: int, now: datetime
) -> int:
    """Store the expiry of bills whose monitoring ended in [since, now); return how many."""
    values = {"org_id": org_id, "since": since, "now": now, "limit": limit}
    rows = (await session.execute(STORE_EXPIRY, values)).all()
    changes = [
        NewChange(
            subject_kind=SubjectKind.BILL,
            subject_id=bill_id,
            owner_kind=owner_kind,
            owner_id=owner_id,
            from_status=BillStatus.OPEN.value,
            to_status=BillStatus.EXPIRED.value,
        )
        for bill_id, owner_kind, owner_id in rows
        if owner_kind is not None
    ]
    if changes:
        await insert_changes(session, org_id, changes, now=now)
    return len(rows)


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


async def lock_named_bills(
    session: AsyncSession,
    org_id: UUID,
    *,
    references: Iterable[str],
    orders: Iterable[tuple[str, str]] = (),
) -> list[BillState]:
    """Lock every bill that is named, in the order of their ids.

    Args:
        orders: (rail, the provider's order id).
    """
    wanted = list(orders)
    values = {
        "org_id": org_id,
        "references": list(references),
        "rails": list({rail for rail, _ in wanted}),
        "order_ids": list({order_id for _, order_id in wanted}),
    }
    rows = await run(session, LOCK_NAMED_BILLS, values)
    return [BillState(**dict(zip(BILL_FIELDS, row, strict=True))) for row in rows]


async def lock_bills(
    session: AsyncSession, org_id: UUID, bill_ids: Collection[UUID]
) -> list[BillState]:
    """Lock bills, in the order of their ids."""
    rows = await run(session, LOCK_BILLS, {"org_id": org_id, "ids": list(bill_ids)})
    return [BillState(**dict(zip(BILL_FIELDS, row, strict=True))) for row in rows]


async def update_bills(session: AsyncSession, org_id: UUID, bills: Sequence[BillState]) -> None:
    """Write what payments did to locked bills (payments.bills.settling alone does)."""
    await send(
        session,
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


async def take_serials(
    session: AsyncSession, org_id: UUID, *, wanted: int, serials_max: int
) -> tuple[str, int] | None:
    """Take a run of serials: (organisation code, first serial), or None if all are used."""
    values = {"org_id": org_id, "wanted": wanted, "serials_max": serials_max}
    row = (await session.execute(TAKE_SERIALS, values)).one_or_none()
    return None if row is None else (row[0], row[1])
