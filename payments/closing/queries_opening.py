"""SQL of proofs, opening balances, and of two people's word that a day is to be closed over."""

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.closing.errors import OpeningBalanceNotFound
from payments.closing.models import AccountProof, ClosedOverDay, OpeningBalance
from payments.closing.rules import Proof
from payments.payees.models import ReceivingAccount
from payments.statements.errors import ReceivingAccountNotFound

SET_PROOF = text("""
    INSERT INTO account_proofs (org_id, receiving_account_id, from_day, proof, set_by, set_at)
    VALUES (:org_id, :account_id, :from_day, :proof, :set_by, :now)
    ON CONFLICT (org_id, receiving_account_id, from_day)
    DO UPDATE SET proof = excluded.proof, set_by = excluded.set_by, set_at = excluded.set_at
    WHERE account_proofs.proof <> excluded.proof
""")
# The first has a say, and one other; whoever comes later changes nothing.
SAY_OVER = text("""
    INSERT INTO closed_over_days (org_id, day, receiving_account_id, reason, by_1, at_1)
    VALUES (:org_id, :day, :account_id, :reason, :by, :now)
    ON CONFLICT (org_id, day, receiving_account_id)
    DO UPDATE SET by_2 = :by, at_2 = :now
    WHERE closed_over_days.by_2 IS NULL AND closed_over_days.by_1 <> :by
    RETURNING by_2 IS NOT NULL
""")
IS_CARRYING = text("""
    SELECT EXISTS (
        SELECT FROM carried_items
        WHERE org_id = :org_id AND receiving_account_id = :account_id AND cleared_day IS NULL)
""")
# What of these credits came to the account and is money of its own.
LIST_CREDITS = text("""
    SELECT c.id, c.received_at FROM bank_transactions c
    WHERE c.org_id = :org_id AND c.id = ANY(CAST(:ids AS uuid[]))
      AND c.receiving_account_id = :account_id AND c.direction = 'in'
""")


async def get_account(session: AsyncSession, org_id: UUID, account_id: UUID) -> ReceivingAccount:
    """Return a receiving account.

    Raises:
        ReceivingAccountNotFound
    """
    found = await session.get(ReceivingAccount, (org_id, account_id))
    if found is None:
        raise ReceivingAccountNotFound(account_id)
    return found


async def find_proof(
    session: AsyncSession, org_id: UUID, account_id: UUID, day: date
) -> AccountProof | None:
    """Find what proves an account on a day; None: callbacks only, since ever."""
    query = (
        select(AccountProof)
        .where(
            AccountProof.org_id == org_id,
            AccountProof.receiving_account_id == account_id,
            AccountProof.from_day <= day,
        )
        .order_by(AccountProof.from_day.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )
    return await session.scalar(query)


async def set_proof(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    from_day: date,
    proof: Proof,
    *,
    set_by: UUID,
    now: datetime,
) -> None:
    """Write what proves an account from a day on. The books are held, and the day is open."""
    await session.execute(
        SET_PROOF,
        {
            "org_id": org_id,
            "account_id": account_id,
            "from_day": from_day,
            "proof": proof.value,
            "set_by": set_by,
            "now": now,
        },
    )


async def say_over(
    session: AsyncSession,
    org_id: UUID,
    day: date,
    account_id: UUID,
    *,
    reason: str,
    by: UUID,
    now: datetime,
) -> bool | None:
    """Store one person's word; return whether it was the second one. None: it changed nothing."""
    values = {
        "org_id": org_id,
        "day": day,
        "account_id": account_id,
        "reason": reason,
        "by": by,
        "now": now,
    }
    is_second: bool | None = (await session.execute(SAY_OVER, values)).scalar_one_or_none()
    return is_second


async def find_over(
    session: AsyncSession, org_id: UUID, day: date, account_id: UUID
) -> ClosedOverDay | None:
    """Find who said that a day of an account is to be closed over."""
    return await session.get(ClosedOverDay, (org_id, day, account_id), populate_existing=True)


async def find_opening(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, day: date | None = None
) -> OpeningBalance | None:
    """Find the opening balance that is proposed or in force: of a day, or the newest."""
    query = select(OpeningBalance).where(
        OpeningBalance.org_id == org_id,
        OpeningBalance.receiving_account_id == account_id,
        OpeningBalance.ended_at.is_(None),
    )
    if day is not None:
        query = query.where(OpeningBalance.day == day)
    return await session.scalar(query.order_by(OpeningBalance.day.desc()).limit(1))


async def find_opening_day(session: AsyncSession, org_id: UUID, account_id: UUID) -> date | None:
    """Find the day of an account's newest opening balance that is confirmed: its go-live."""
    query = select(func.max(OpeningBalance.day)).where(
        OpeningBalance.org_id == org_id,
        OpeningBalance.receiving_account_id == account_id,
        OpeningBalance.confirmed_at.is_not(None),
        OpeningBalance.ended_at.is_(None),
    )
    return await session.scalar(query)


async def get_opening(session: AsyncSession, org_id: UUID, opening_id: UUID) -> OpeningBalance:
    """Return an opening balance, whatever became of it.

    Raises:
        OpeningBalanceNotFound
    """
    found = await session.get(OpeningBalance, (org_id, opening_id), populate_existing=True)
    if found is None:
        raise OpeningBalanceNotFound
    return found


async def lock_opening(
    session: AsyncSession, org_id: UUID, account_id: UUID, opening_id: UUID
) -> OpeningBalance:
    """Lock an opening balance of an account.

    Raises:
        OpeningBalanceNotFound
    """
    query = (
        select(OpeningBalance)
        .filter_by(org_id=org_id, id=opening_id, receiving_account_id=account_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(query)
    if found is None:
        raise OpeningBalanceNotFound
    return found


async def is_carrying(session: AsyncSession, org_id: UUID, account_id: UUID) -> bool:
    """Return whether an account carries credits one by one at the end of the last closed day."""
    values = {"org_id": org_id, "account_id": account_id}
    return bool((await session.execute(IS_CARRYING, values)).scalar_one())


async def list_credits(
    session: AsyncSession, org_id: UUID, account_id: UUID, ids: Collection[UUID]
) -> dict[UUID, datetime]:
    """Return {credit: when it was received} of those of an account's credits that are named."""
    values = {"org_id": org_id, "account_id": account_id, "ids": list(ids)}
    return {row.id: row.received_at for row in await session.execute(LIST_CREDITS, values)}
