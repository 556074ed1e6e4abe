"""Payees and their receiving accounts, made within a transaction of the test's."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from identity.organisations.rules import OrgFacts
from payments.bills.references import make_reference
from payments.onboarding.activation import note_test_transfer
from payments.onboarding.service import approve_account
from payments.payees.accounts import propose_account
from payments.payees.service import add_payee
from tests.world.constants import APPROVER, MANAGER, NOON, VCB
from tests.world.serials import next_number, next_serial


async def a_payee(session: AsyncSession, org: OrgFacts, *, now: datetime = NOON) -> UUID:
    """Add a payee."""
    payee = await add_payee(
        session, org.id, name="Phở gia truyền", place="Quầy 12", actor=MANAGER, now=now
    )
    return payee.id


async def many_payees(
    session: AsyncSession, org: OrgFacts, count: int, *, now: datetime = NOON
) -> None:
    """Add payees that are only there to be listed, in one statement: "Quầy 1" and on."""
    await session.execute(
        text("""INSERT INTO payees (org_id, id, name, place, created_at)
                SELECT :org_id,
                       CAST(lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000' AS uuid),
                       'Quầy ' || n, '', :now
                FROM generate_series(1, :count) AS n"""),
        {"org_id": org.id, "count": count, "now": now},
    )


def an_account_number() -> str:
    """Return the number of an account that nobody has."""
    return f"01{next_number():08d}"


async def an_account(
    session: AsyncSession,
    org: OrgFacts,
    payee_id: UUID,
    *,
    account_number: str | None = None,
    virtual_account: str | None = None,
    bin_: str = VCB,
    is_tested: bool = True,
    now: datetime = NOON,
) -> UUID:
    """Give a payee a receiving account: proposed, approved and, unless told not to, tested."""
    link = await propose_account(
        session,
        org.id,
        payee_id=payee_id,
        bin_=bin_,
        account_number=account_number or an_account_number(),
        virtual_account=virtual_account,
        holder_name="HO KINH DOANH B12",
        test_reference=make_reference(org.code, 600_000 + next_serial()),
        actor=MANAGER,
        now=now - timedelta(days=30),
    )
    await approve_account(session, org.id, link.id, actor=APPROVER, now=now - timedelta(days=30))
    if is_tested:
        await note_test_transfer(
            session,
            org.id,
            link.receiving_account_id,
            credit_id=new_id(),
            references={link.test_reference},
            virtual_account=virtual_account,
            vouched_by={APPROVER.id} if org.is_live and APPROVER.id else None,
            now=now - timedelta(days=29),
        )
    return link.receiving_account_id
