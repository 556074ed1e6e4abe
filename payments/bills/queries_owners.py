"""SQL of the owners' inbox: what is due, handled, put off."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from payments.bills.owners_rules import Change, SubjectKind
from payments.bills.queries import COLUMNS, FROM_BILLS, read_bill
from payments.bills.rules import BillFacts

# The earlier change of the same subject comes first. Nothing is waited for: what another process
# has, it handles, and what it handled meanwhile is seen by the next look. It begins at an instant:
# what was handled before lies ahead of it in the index as long as an older snapshot is open. So
# that no plan reads it all the same, that index's condition stands nowhere else: not for the
# earlier changes, nor in PUT_OFF, which go by a key.
LOCK_DUE_CHANGE = text("""
    SELECT c.id, c.subject_kind, c.subject_id, c.seq, c.owner_kind, c.owner_id, c.from_status,
           c.to_status, c.created_at, c.attempts
    FROM bill_changes c
    WHERE c.org_id = :org_id AND c.owner_kind = :kind AND c.handled_at IS NULL
      AND c.next_attempt_at >= :since AND c.next_attempt_at <= :now
      AND coalesce((
          SELECT bool_and(e.handled_at IS NOT NULL) FROM bill_changes e
          WHERE e.org_id = c.org_id AND e.subject_id = c.subject_id AND e.seq < c.seq), true)
    ORDER BY c.next_attempt_at, c.id LIMIT 1
    FOR NO KEY UPDATE OF c SKIP LOCKED
""")
MARK_HANDLED = text("""
    UPDATE bill_changes SET handled_at = :now, attempts = attempts + 1, error = NULL
    WHERE org_id = :org_id AND id = :id
""")
PUT_OFF = text("""
    UPDATE bill_changes
    SET attempts = attempts + 1, next_attempt_at = :until, error = :why
    WHERE org_id = :org_id AND id = :id
      AND CASE WHEN handled_at IS NULL THEN attempts = :attempts END
    RETURNING id
""")
FIND_WAITING = text("""
    SELECT DISTINCT org_id FROM bill_changes
    WHERE handled_at IS NULL AND next_attempt_at <= :now
      AND owner_kind = ANY(CAST(:kinds AS text[]))
    LIMIT :limit
""")
FIND_LAST_OF_CREDIT = text("""
    SELECT owner_kind, owner_id, to_status FROM bill_changes
    WHERE org_id = :org_id AND subject_id = :credit_id ORDER BY seq DESC LIMIT 1
""")
FIND_CODE_OWNER = text("""
    SELECT owner_kind, owner_id FROM payee_accounts
    WHERE org_id = :org_id AND receiving_account_id = :account_id AND payee_id = :payee_id
      AND owner_kind IS NOT NULL AND status IN ('active', 'former')
    ORDER BY status, id LIMIT 1
""")
# A counter sale is taken as a whole.
FIND_SALE = text("""
    SELECT amount_vnd, occurred_at FROM bank_transactions
    WHERE org_id = :org_id AND id = :credit_id
""")

# What a cancelled bill was paid counts for its owner, unless it is to be given back.
SUM_OF_OWNERS = text("""
    SELECT b.owner_id, sum(b.paid_vnd)::bigint FROM bills b
    WHERE b.org_id = :org_id AND b.owner_kind = :kind
      AND b.owner_id = ANY(CAST(:owner_ids AS uuid[]))
      AND (b.status <> 'cancelled' OR NOT EXISTS (
          SELECT FROM breaks k
          WHERE k.org_id = b.org_id AND k.kind = 'refund_due' AND k.subject_id = b.id))
    GROUP BY b.owner_id
""")
OF_OWNER_MAX: Final = 50
LIST_OF_OWNER = text(f"""
    SELECT {COLUMNS} {FROM_BILLS}
    WHERE b.org_id = :org_id AND b.owner_kind = :kind AND b.owner_id = :owner_id
    ORDER BY b.id LIMIT :limit
""")


async def list_of_owner(
    session: AsyncSession, org_id: UUID, kind: str, owner_id: UUID
) -> list[BillFacts]:
    """List the bills of one owner, the oldest first (at most 50)."""
    values = {"org_id": org_id, "kind": kind, "owner_id": owner_id, "limit": OF_OWNER_MAX}
    return [read_bill(row) for row in await session.execute(LIST_OF_OWNER, values)]


async def sum_of_owners(
    session: AsyncSession, org_id: UUID, kind: str, owner_ids: Collection[UUID]
) -> dict[UUID, int]:
    """Return what the bills of each owner were paid, in đồng; owners without bills are left out."""
    values = {"org_id": org_id, "kind": kind, "owner_ids": list(owner_ids)}
    return {row[0]: row[1] for row in await run(session, SUM_OF_OWNERS, values)}


async def lock_due_change(
    session: AsyncSession, org_id: UUID, kind: str, *, since: datetime, now: datetime
) -> Change | None:
    """Lock the next change for an owner of this kind that became due since then."""
    values = {"org_id": org_id, "kind": kind, "since": since, "now": now}
    row = (await session.execute(LOCK_DUE_CHANGE, values)).mappings().one_or_none()
    if row is None:
        return None
    return Change(org_id=org_id, **{**row, "subject_kind": SubjectKind(row["subject_kind"])})


async def mark_handled(
    session: AsyncSession, org_id: UUID, change_id: UUID, *, now: datetime
) -> None:
    """Write that a change was handled, in the handler's own transaction."""
    await session.execute(MARK_HANDLED, {"org_id": org_id, "id": change_id, "now": now})


async def put_off(
    session: AsyncSession,
    org_id: UUID,
    change_id: UUID,
    *,
    attempts: int,
    until: datetime,
    why: str,
) -> bool:
    """Let a change that failed rest; False if another process counted this attempt before.

    Args:
        attempts: before the one that failed, as it was locked.
    """
    values = {
        "org_id": org_id, "id": change_id, "attempts": attempts, "until": until, "why": why,
    }  # fmt: skip
    return (await session.execute(PUT_OFF, values)).one_or_none() is not None


async def find_waiting(
    session: AsyncSession, *, kinds: Collection[str], limit: int, now: datetime
) -> list[UUID]:
    """Find organisations with changes that are due (worker: all of them)."""
    values = {"kinds": list(kinds), "limit": limit, "now": now}
    return list((await session.execute(FIND_WAITING, values)).scalars())


async def find_last_of_credit(
    session: AsyncSession, org_id: UUID, credit_id: UUID
) -> tuple[str, UUID, str] | None:
    """Find the last change of a sale that an owner got: (kind, id, status)."""
    values = {"org_id": org_id, "credit_id": credit_id}
    row = (await session.execute(FIND_LAST_OF_CREDIT, values)).one_or_none()
    return None if row is None else (row[0], row[1], row[2])


async def find_code_owner(
    session: AsyncSession, org_id: UUID, *, account_id: UUID, payee_id: UUID
) -> tuple[str, UUID] | None:
    """Find whom a payee's static code on an account is for: (kind, id)."""
    values = {"org_id": org_id, "account_id": account_id, "payee_id": payee_id}
    row = (await session.execute(FIND_CODE_OWNER, values)).one_or_none()
    return None if row is None else (row[0], row[1])


async def read_sale(session: AsyncSession, org_id: UUID, credit_id: UUID) -> tuple[int, datetime]:
    """Return (đồng, when by the bank's clock) of a counter sale that an owner is notified of."""
    values = {"org_id": org_id, "credit_id": credit_id}
    row = (await session.execute(FIND_SALE, values)).one()
    return row[0], row[1]
