"""Changes of a payee's account: proposed, approved, and how account and link stand."""

from uuid import UUID

from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.onboarding.service import approve_account
from payments.payees.accounts import propose_account
from payments.payees.models import PayeeAccount
from payments.payees.queries import find_routes
from tests.world.constants import APPROVER, MANAGER, NOON, VCB
from tests.world.endpoints import add_account
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.stalls import PayableStall

NEW_NUMBER = "0555666777"
TEST_MEMO = make_reference("HKXM", 900)
# (the account, its link)
WAITS, IN_FORCE = ("approved", "approved"), ("active", "active")


async def propose(
    database: Database,
    stall: PayableStall,
    *,
    payee_id: UUID | None = None,
    number: str = NEW_NUMBER,
    virtual_account: str | None = None,
    test_reference: str = TEST_MEMO,
    actor: Actor = MANAGER,
    bin_: str = VCB,
) -> PayeeAccount:
    async with open_org_transaction(database, stall.org.id) as session:
        return await propose_account(
            session,
            stall.org.id,
            payee_id=payee_id or stall.payee_id,
            bin_=bin_,
            account_number=number,
            virtual_account=virtual_account,
            holder_name="TRAN VAN B",
            test_reference=test_reference,
            actor=actor,
            now=NOON,
        )


async def approve(
    database: Database, stall: PayableStall, link: PayeeAccount, *, actor: Actor = APPROVER
) -> str:
    async with open_org_transaction(database, stall.org.id) as session:
        return (await approve_account(session, stall.org.id, link.id, actor=actor, now=NOON)).status


async def add_to_endpoint(database: Database, stall: PayableStall, link: PayeeAccount) -> None:
    """Let the stall's endpoint speak for the account of a link; the approver answers for it."""
    async with open_org_transaction(database, stall.org.id) as session:
        await add_account(
            session,
            stall.org,
            stall.endpoint_id,
            link.receiving_account_id,
            vouched_by_id=APPROVER.id,
        )


async def read_states(
    database: Database, stall: PayableStall, link: PayeeAccount
) -> tuple[str, str]:
    """Return (state of the link, state of its account)."""
    async with open_org_transaction(database, stall.org.id) as session:
        rows = await session.execute(
            text("""SELECT l.status, a.status FROM payee_accounts l
                    JOIN receiving_accounts a ON a.id = l.receiving_account_id
                    WHERE l.id = :id"""),
            {"id": link.id},
        )
        link_status, account_status = rows.one()
        return link_status, account_status


async def find_account_in_force(database: Database, stall: PayableStall) -> UUID:
    async with open_org_transaction(database, stall.org.id) as session:
        routes = await find_routes(session, stall.org.id, [stall.payee_id])
        return routes[stall.payee_id].receiving_account_id


async def report_transfer(
    database: Database,
    stall: PayableStall,
    *,
    memo: str,
    number: str = NEW_NUMBER,
    amount_vnd: int = 1_000,
    virtual_account: str | None = None,
) -> None:
    """Let SePay report money on the new account, and process what it says."""
    body = sepay_body(
        stall,
        amount_vnd=amount_vnd,
        memo=memo,
        account_number=number,
        virtual_account=virtual_account,
    )
    await store_notices(database, stall, body)
    await process_waiting(database, stall)
