"""All SQL of toll accounts. Leases and waits are measured by the database's clock alone."""

from dataclasses import fields
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.rails.toll.errors import TollChargeNotFound, TollContractNotFound
from payments.rails.toll.models import TollContract
from payments.rails.toll.rules import NewToll, RefundStatus, TollFacts, TollProblem, TollStatus

NAMES = tuple(field.name for field in fields(TollFacts))
_FACTS = f"SELECT {', '.join(NAMES)} FROM toll_requests"  # noqa: S608
_OF_ONE = " WHERE org_id = :org_id AND id = :id"
FIND_REQUEST = text(_FACTS + _OF_ONE)
LOCK_REQUEST = text(_FACTS + _OF_ONE + " FOR NO KEY UPDATE")
FIND_UNRESOLVED = text("""
    SELECT id FROM toll_requests
    WHERE org_id = :org_id AND owner_id = :owner_id AND status IN ('pending', 'unknown')
""")
INSERT_REQUEST = text("""
    INSERT INTO toll_requests (
        org_id, id, contract_id, bill_id, owner_id, account_kind, account_label, amount_vnd, status,
        attempts, next_attempt_at, created_by, created_at)
    VALUES (:org_id, :id, :contract_id, :bill_id, :owner_id, :account_kind, :account_label,
            :amount_vnd, 'pending', 1, now() + CAST(:lease_for AS interval), :by, :now)
""")
TAKE_REQUEST = text("""
    UPDATE toll_requests
    SET attempts = attempts + 1, next_attempt_at = now() + CAST(:lease_for AS interval)
    WHERE org_id = :org_id AND id = :id
      AND CASE WHEN status IN ('pending', 'unknown') OR refund_status = 'pending'
               THEN next_attempt_at <= now() END
    RETURNING id
""")
# The row is locked.
STORE_STATUS = text("""
    UPDATE toll_requests
    SET status = CAST(:status AS text), problem = :problem, charge_id = :charge_id,
        kept_vnd = :kept_vnd, charged_at = :charged_at, resolved_at = :resolved_at,
        next_attempt_at = now() + CAST(:wait AS interval)
    WHERE org_id = :org_id AND id = :id
""")
STORE_REFUND = text("""
    UPDATE toll_requests
    SET refund_status = CAST(:status AS text), refunded_vnd = :refunded_vnd, attempts = :attempts,
        next_attempt_at = now() + CAST(:wait AS interval)
    WHERE org_id = :org_id AND id = :id
""")
FIND_DUE = text("""
    SELECT org_id, id FROM toll_requests
    WHERE (status IN ('pending', 'unknown') OR refund_status = 'pending')
      AND next_attempt_at <= now()
    ORDER BY next_attempt_at LIMIT :limit
""")


async def find_contract(session: AsyncSession, org_id: UUID) -> TollContract | None:
    """Find the contract in force."""
    wanted = select(TollContract).filter_by(org_id=org_id, revoked_at=None)
    found: TollContract | None = await session.scalar(wanted)
    return found


async def get_contract(
    session: AsyncSession, org_id: UUID, contract_id: UUID, *, is_to_change: bool = False
) -> TollContract:
    """Return a contract, in force or revoked.

    Raises:
        TollContractNotFound
    """
    wanted = select(TollContract).filter_by(org_id=org_id, id=contract_id)
    if is_to_change:
        wanted = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    found: TollContract | None = await session.scalar(wanted)
    if found is None:
        raise TollContractNotFound(contract_id)
    return found


async def list_contracts(session: AsyncSession, org_id: UUID, *, limit: int) -> list[TollContract]:
    """List the newest contracts."""
    wanted = select(TollContract).filter_by(org_id=org_id).order_by(TollContract.id.desc())
    return list(await session.scalars(wanted.limit(limit)))


async def find_request(session: AsyncSession, org_id: UUID, id_: UUID) -> TollFacts | None:
    """Find a charge, without a lock."""
    return await _find(session, FIND_REQUEST, org_id, id_)


async def get_request(session: AsyncSession, org_id: UUID, id_: UUID) -> TollFacts:
    """Return a charge, without a lock.

    Raises:
        TollChargeNotFound
    """
    if (found := await find_request(session, org_id, id_)) is None:
        raise TollChargeNotFound(id_)
    return found


async def lock_request(session: AsyncSession, org_id: UUID, id_: UUID) -> TollFacts:
    """Lock a charge; its bill is locked before.

    Raises:
        TollChargeNotFound
    """
    if (found := await _find(session, LOCK_REQUEST, org_id, id_)) is None:
        raise TollChargeNotFound(id_)
    return found


async def has_unresolved(session: AsyncSession, org_id: UUID, owner_id: UUID) -> bool:
    """Whether a charge of this owner is not decided; who asks holds the owner's lock."""
    found = await session.execute(FIND_UNRESOLVED, {"org_id": org_id, "owner_id": owner_id})
    return found.first() is not None


async def insert_request(
    session: AsyncSession,
    org_id: UUID,
    new: NewToll,
    *,
    contract_id: UUID,
    lease_for: timedelta,
    by: UUID,
    now: datetime,
) -> None:
    """Write a charge down, and take it."""
    values = {
        "org_id": org_id,
        "id": new.id,
        "contract_id": contract_id,
        "bill_id": new.bill_id,
        "owner_id": new.owner_id,
        "account_kind": new.account_kind.value,
        "account_label": new.account_label,
        "amount_vnd": new.amount_vnd,
        "lease_for": lease_for,
        "by": by,
        "now": now,
    }
    await session.execute(INSERT_REQUEST, values)


async def take_request(
    session: AsyncSession, org_id: UUID, id_: UUID, *, lease_for: timedelta
) -> TollFacts | None:
    """Take a charge that is due, so that no other process asks about it; None if none is."""
    values = {"org_id": org_id, "id": id_, "lease_for": lease_for}
    if (await session.execute(TAKE_REQUEST, values)).scalar() is None:
        return None
    return await find_request(session, org_id, id_)


async def store_status(
    session: AsyncSession,
    toll: TollFacts,
    status: TollStatus,
    *,
    problem: TollProblem | None = None,
    charge_id: str | None = None,
    kept_vnd: int = 0,
    charged_at: datetime | None = None,
    resolved_at: datetime | None = None,
    wait: timedelta = timedelta(0),
) -> None:
    """Write what became of a locked charge."""
    values = {
        "org_id": toll.org_id,
        "id": toll.id,
        "status": status.value,
        "problem": None if problem is None else problem.value,
        "charge_id": charge_id,
        "kept_vnd": kept_vnd,
        "charged_at": charged_at,
        "resolved_at": resolved_at,
        "wait": wait,
    }
    await session.execute(STORE_STATUS, values)


async def store_refund(
    session: AsyncSession,
    toll: TollFacts,
    status: RefundStatus,
    *,
    refunded_vnd: int,
    attempts: int,
    wait: timedelta,
) -> None:
    """Write how the refund of a locked charge stands."""
    values = {
        "org_id": toll.org_id,
        "id": toll.id,
        "status": status.value,
        "refunded_vnd": refunded_vnd,
        "attempts": attempts,
        "wait": wait,
    }
    await session.execute(STORE_REFUND, values)


async def find_due(session: AsyncSession, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Find charges that wait for somebody, as (organisation, charge) (worker: all of them)."""
    rows = await session.execute(FIND_DUE, {"limit": limit})
    return [(row[0], row[1]) for row in rows]


async def _find(
    session: AsyncSession, statement: TextClause, org_id: UUID, id_: UUID
) -> TollFacts | None:
    row = (await session.execute(statement, {"org_id": org_id, "id": id_})).first()
    return None if row is None else TollFacts(**dict(zip(NAMES, row, strict=True)))
