"""All SQL of bills."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import first_id_at
from core.sql import run, send
from identity.organisations.models import SERVER_AND_TIMELINE
from payments.bills.errors import BillNotFound
from payments.bills.owners_rules import NewChange, SubjectKind
from payments.bills.queries_payments import insert_changes
from payments.bills.rules import (
    ID_AGE_MAX,
    ID_AHEAD_MAX,
    BillFacts,
    BillState,
    BillStatus,
)
from payments.payees.queries import SKIPPED

# One table and conditions on its own columns, nothing joined. When another transaction has changed
# a bill that this waits for, PostgreSQL checks the row again by the plan that found it. A plan that
# joins, as `id IN (SELECT … UNION ALL …)` did on a grown table, then drops the row without a word
# (READ COMMITTED, EvalPlanQual; tests/concurrency/test_grown_tables.py).
_LOCKED = """
    SELECT id, payee_id, receiving_account_id, virtual_account, rail, provider_order_id, reference,
           amount_vnd, paid_vnd, received_vnd, status, is_late, expires_at, monitor_until, paid_at,
           owner_kind, owner_id, status AS status_locked
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
# REVERSE_MATCH, and for FINISH_NOTICES on notices that were locked.
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


# What this server knows at this hour, a standby or a copy of it knows too: only what is taken from
# now on may be missing there. So a code that is seldom used does not skip the months of its rest.
CONFIRM_SERIALS = text(f"""
    UPDATE organisation_codes SET taken_at = now()
    WHERE taken_on = {SERVER_AND_TIMELINE} AND taken_at < now() - INTERVAL '1 hour'
""")  # noqa: S608 (our own constant)

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
CLOCKS_APART: Final = timedelta(hours=1)  # of processes: one makes the id, another reads the time
# Each filter that is given, and only those: `:since IS NULL OR …` keeps a plan that serves any
# values from every index.
FILTERS: Final = {
    "before_id": "b.id < :before_id",
    "payee_id": "b.payee_id = :payee_id",
    "references": "b.reference = ANY(CAST(:references AS text[]))",
    "external_id": "b.external_id = :external_id",
    # Lists go by ids; a client's own may be some days older than its bill, and a little newer.
    "since": "b.created_at >= :since AND b.id >= :first_id",
    "until": "b.created_at < :until AND b.id < :last_id",
}
IS_UNPAID = "b.status IN ('open', 'part_paid')"
IN_STATUS: Final = {
    # What can still be paid is found by its expiry (ix_bills_expiry): an index on the status would
    # have to be written anew by each payment.
    BillStatus.OPEN: "b.status = 'open' AND b.expires_at > :now",
    BillStatus.PART_PAID: "b.status = 'part_paid' AND b.expires_at > :now",
    BillStatus.EXPIRED: f"(b.status = 'expired' OR ({IS_UNPAID} AND b.expires_at <= :now))",
    # Rare ones by their times, which never change: an index on the status, even in its condition,
    # would have to be written anew by each payment, too.
    BillStatus.CANCELLED: "b.status = 'cancelled' AND b.cancelled_at IS NOT NULL",
    BillStatus.PART_REFUNDED: "b.status = 'part_refunded' AND b.refunded_at IS NOT NULL",
    BillStatus.REFUNDED: "b.status = 'refunded' AND b.refunded_at IS NOT NULL",
}
UNPAID_LISTED_FOR: Final = timedelta(days=62)  # before a payment; ids are in the order of time
# Those that were watched when the payment came, or the day before: a bank may tell a day alone.
LIST_UNPAID_OF_PAYEE = text(f"""
    SELECT {COLUMNS} {FROM_BILLS}
    WHERE b.org_id = :org_id AND b.payee_id = :payee_id AND b.receiving_account_id = :account_id
      AND b.id >= :first_id AND b.status IN ('open', 'part_paid', 'expired')
      AND b.amount_vnd IS NOT NULL AND b.monitor_until >= :watched_until
    ORDER BY b.id LIMIT :limit
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
    WHERE status IN ('open', 'part_paid') AND monitor_until >= :since AND monitor_until < :now
""")
# An array of locked ids, made once: as IN (…) it would be joined, and a plan may read the inner
# side again for each bill, lock more than the limit, and lose a bill that changed just before.
STORE_EXPIRY = text("""
    UPDATE bills SET status = 'expired'
    WHERE org_id = :org_id AND id = ANY(ARRAY(
        SELECT id FROM bills
        WHERE org_id = :org_id AND status IN ('open', 'part_paid')
          AND monitor_until >= :since AND monitor_until < :now
        ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED))
    RETURNING id, paid_vnd > 0, owner_kind, owner_id
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
    filters = {
        "before_id": before_id,
        "payee_id": payee_id,
        "references": None if references is None else list(references),
        "external_id": external_id,
        "since": since,
        "until": until,
    }
    given = {name: value for name, value in filters.items() if value is not None}
    wanted = None if statuses is None else tuple(sorted({BillStatus(one) for one in statuses}))
    values = {"org_id": org_id, "limit": limit, **given}
    if since is not None:
        values["first_id"] = first_id_at(since - ID_AGE_MAX)
    if until is not None:
        values["last_id"] = first_id_at(until + ID_AHEAD_MAX + CLOCKS_APART)
    if wanted is not None:
        values["now"] = now
    statement = _write_list(frozenset(given), wanted)
    return [read_bill(row) for row in await session.execute(statement, values)]


async def list_unpaid_of_payee(
    session: AsyncSession,
    org_id: UUID,
    payee_id: UUID,
    *,
    account_id: UUID,
    paid_at: datetime,
    limit: int,
) -> list[BillFacts]:
    """List a payee's bills on an account that a payment of then could pay, oldest first."""
    values = {
        "org_id": org_id,
        "payee_id": payee_id,
        "account_id": account_id,
        "first_id": first_id_at(paid_at - UNPAID_LISTED_FOR),
        "watched_until": paid_at - timedelta(days=1),
        "limit": limit,
    }
    return [read_bill(row) for row in await session.execute(LIST_UNPAID_OF_PAYEE, values)]


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
            from_status=BillStatus.PART_PAID.value if has_part else BillStatus.OPEN.value,
            to_status=BillStatus.EXPIRED.value,
        )
        for bill_id, has_part, owner_kind, owner_id in rows
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


@lru_cache(maxsize=256)
def _write_list(given: frozenset[str], statuses: tuple[BillStatus, ...] | None) -> TextClause:
    """Write the statement of a list of bills with these filters."""
    wanted = [condition for name, condition in FILTERS.items() if name in given]
    if statuses is not None:
        either = ["(" + IN_STATUS.get(one, f"b.status = '{one.value}'") + ")" for one in statuses]
        wanted.append(f"({' OR '.join(either) or 'false'})")
    return text(f"""
        SELECT {COLUMNS} {FROM_BILLS}
        WHERE {" AND ".join(["b.org_id = :org_id", *wanted])}
        ORDER BY b.id DESC LIMIT :limit
    """)


async def confirm_serials(session: AsyncSession) -> int:
    """Note that every code's serial was known at this hour (worker role); return how many codes."""
    result = await session.execute(CONFIRM_SERIALS)
    return int(result.rowcount)  # type: ignore[attr-defined]
