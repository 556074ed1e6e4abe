"""Builders: each names only the facts that a test is about."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.db import Database
from core.ids import new_id, new_token
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts, OrgKind
from identity.organisations.service import create_organisation
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts, BillRequest
from payments.bills.service import open_bills
from payments.callbacks import queries as notice_queries
from payments.callbacks.types import NewNotice
from payments.credits.processor import NoticeProcessor
from payments.ledger import service as ledger
from payments.ledger.rules import bank_clearing, not_takings, takings, unapplied
from payments.onboarding.activation import note_test_transfer
from payments.onboarding.service import approve_account
from payments.payees.accounts import propose_account
from payments.payees.service import add_payee

NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)  # 12:00 in Hà Nội, a Friday
MANAGER = Actor(kind="staff", id=UUID(int=1), name="manager")
APPROVER = Actor(kind="staff", id=UUID(int=2), name="approver")
VENDOR = Actor(kind="staff", id=UUID(int=3), name="vendor")
VCB, MB = "970436", "970422"

_serials = count(1)
_transactions = count(1)


def an_id_number() -> int:
    """Return a number that no other call in this run returned."""
    return next(_transactions)


@dataclass(frozen=True, kw_only=True)
class Stall:
    """A payee that can be paid, with the endpoint that speaks for its account."""

    org: OrgFacts
    payee_id: UUID
    account_id: UUID
    account_number: str
    endpoint_id: UUID
    provider: str = "sepay"


async def an_organisation(
    session: AsyncSession, *, code: str = "HKXM", is_live: bool = True, now: datetime = NOON
) -> OrgFacts:
    """Make an organisation and enter it."""
    return await create_organisation(
        session,
        code=code,
        name=f"Ban quản lý {code}",
        kind=OrgKind.MARKET_BOARD,
        is_live=is_live,
        actor=MANAGER,
        now=now,
    )


async def a_payee(session: AsyncSession, org: OrgFacts, *, now: datetime = NOON) -> UUID:
    """Add a payee."""
    payee = await add_payee(
        session, org.id, name="Phở gia truyền", place="Quầy 12", actor=MANAGER, now=now
    )
    return payee.id


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
        account_number=account_number or f"01{an_id_number():08d}",
        virtual_account=virtual_account,
        holder_name="HO KINH DOANH B12",
        test_reference=make_reference(org.code, 700_000_000 + next(_serials)),
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


async def an_endpoint(
    session: AsyncSession,
    org: OrgFacts,
    account_ids: list[UUID],
    *,
    provider: str = "sepay",
    is_sandbox: bool = False,
    sealed_secrets: bytes = b"sealed",
    address: str | None = None,
    vouched_by_id: UUID | None = APPROVER.id,
    now: datetime = NOON,
) -> UUID:
    """Make a callback endpoint that speaks for these accounts; the approver answers for it."""
    endpoint_id = new_id()
    await session.execute(
        text("""INSERT INTO callback_endpoints (org_id, id, org_is_live, address, provider, name,
                is_sandbox, sealed_secrets, key_vouched_by, key_vouched_from, created_at)
                VALUES (:org_id, :id, :is_live, :address, :provider, 'test', :is_sandbox,
                        :sealed, :vouched_by_id, :vouched_from, :now)"""),
        {
            "org_id": org.id,
            "id": endpoint_id,
            "is_live": org.is_live,
            "address": address or f"{org.code}-{new_token()}",
            "provider": provider,
            "is_sandbox": is_sandbox,
            "sealed": sealed_secrets,
            "vouched_by_id": vouched_by_id,
            "vouched_from": now - timedelta(days=30),
            "now": now,
        },
    )
    for account_id in account_ids:
        await session.execute(
            text("""INSERT INTO callback_endpoint_accounts
                    SELECT org_id, :endpoint_id, id, account_number, :vouched_by_id
                    FROM receiving_accounts WHERE org_id = :org_id AND id = :account_id"""),
            {
                "org_id": org.id,
                "endpoint_id": endpoint_id,
                "account_id": account_id,
                "vouched_by_id": vouched_by_id,
            },
        )
    return endpoint_id


async def a_stall(
    database: Database, *, code: str = "HKXM", is_live: bool = True, provider: str = "sepay"
) -> Stall:
    """Make a payee with its own tested account and endpoint, in a new organisation."""
    async with database.begin() as session:
        org = await an_organisation(session, code=code, is_live=is_live)
        payee_id = await a_payee(session, org)
        account_id = await an_account(session, org, payee_id)
        endpoint_id = await an_endpoint(session, org, [account_id], provider=provider)
        number = await session.scalar(
            text("SELECT account_number FROM receiving_accounts WHERE id = :id"),
            {"id": account_id},
        )
    return Stall(
        org=org,
        payee_id=payee_id,
        account_id=account_id,
        account_number=str(number),
        endpoint_id=endpoint_id,
        provider=provider,
    )


async def a_bill(
    database: Database,
    stall: Stall,
    *,
    amount_vnd: int | None = 20_000,
    now: datetime = NOON,
    valid_for: timedelta = timedelta(minutes=15),
    owner: tuple[str, UUID] | None = None,
) -> BillFacts:
    """Open a bill; `owner` is (kind, id)."""
    request = BillRequest(
        payee_id=stall.payee_id,
        amount_vnd=amount_vnd,
        purpose="Phở bò",
        expires_at=now + valid_for,
        monitor_until=now + valid_for + timedelta(days=1),
        created_by=VENDOR.id or new_id(),
        owner_kind=None if owner is None else owner[0],
        owner_id=None if owner is None else owner[1],
    )
    reference = make_reference(stall.org.code, next(_serials))
    async with open_org_transaction(database, stall.org.id) as session:
        (bill,) = await open_bills(session, stall.org.id, [request], [reference], now=now)
    assert isinstance(bill, BillFacts), bill
    return bill


def sepay_body(
    stall: Stall,
    *,
    amount_vnd: int,
    memo: str,
    bank_reference: str | None = None,
    transaction_id: int | None = None,
    occurred_at: datetime = NOON,
    direction: str = "in",
    account_number: str | None = None,
    virtual_account: str | None = None,
    gateway: object = "Vietcombank",
) -> bytes:
    """Write a SePay notice."""
    number = transaction_id or an_id_number()
    local = occurred_at + timedelta(hours=7)
    return json.dumps(
        {
            "id": number,
            "gateway": gateway,
            "transactionDate": local.strftime("%Y-%m-%d %H:%M:%S"),
            "accountNumber": account_number or stall.account_number,
            "code": None,
            "content": memo,
            "transferType": direction,
            "transferAmount": amount_vnd,
            "accumulated": 0,
            "subAccount": virtual_account,
            "referenceCode": bank_reference or f"FT{number:012d}",
            "description": "",
        }
    ).encode()


async def store(
    database: Database, stall: Stall, *bodies: bytes, now: datetime = NOON
) -> list[UUID]:
    """Store notices as the callback route does, without processing them."""
    notices = [
        NewNotice(
            id=new_id(),
            endpoint_id=stall.endpoint_id,
            provider=stall.provider,
            source="callback",
            body=body,
            headers={},
            skew_s=None,
            received_at=now,
        )
        for body in bodies
    ]
    async with open_org_transaction(database, stall.org.id) as session:
        await notice_queries.insert_notices(session, stall.org.id, notices)
    return [notice.id for notice in notices]


async def settle(database: Database, stall: Stall, *, now: datetime = NOON) -> int:
    """Settle whatever waits for this organisation; return how many notices were handled."""
    return await NoticeProcessor(database, read_clock=lambda: now).process(stall.org)


async def pay(
    database: Database,
    stall: Stall,
    bill: BillFacts,
    *,
    amount_vnd: int | None = None,
    bank_reference: str | None = None,
    transaction_id: int | None = None,
    occurred_at: datetime | None = None,
    memo: str | None = None,
    now: datetime = NOON,
) -> str:
    """Pay a bill once and return the notice's outcome."""
    amount = amount_vnd if amount_vnd is not None else bill.amount_vnd
    assert amount is not None
    body = sepay_body(
        stall,
        amount_vnd=amount,
        memo=memo if memo is not None else bill.reference,
        bank_reference=bank_reference,
        transaction_id=transaction_id,
        occurred_at=occurred_at or now,
    )
    (notice_id,) = await store(database, stall, body, now=now)
    await settle(database, stall, now=now)
    async with open_org_transaction(database, stall.org.id) as session:
        values = {"org_id": stall.org.id, "id": notice_id}
        query = text("SELECT outcome FROM notices WHERE org_id = :org_id AND id = :id")
        return str(await session.scalar(query, values))


async def read_status(database: Database, stall: Stall, bill: BillFacts) -> tuple[str, int, int]:
    """Return (stored status, paid_vnd, received_vnd)."""
    async with open_org_transaction(database, stall.org.id) as session:
        row = (
            await session.execute(
                text(
                    "SELECT status, paid_vnd, received_vnd FROM bills"
                    " WHERE org_id = :org_id AND id = :id"
                ),
                {"org_id": stall.org.id, "id": bill.id},
            )
        ).one()
    return row[0], row[1], row[2]


async def read_ledger(database: Database, stall: Stall) -> dict[str, int]:
    """Return the balances that money in touches: clearing is negative by what was told."""
    async with open_org_transaction(database, stall.org.id) as session:
        keys = {
            "clearing": bank_clearing(stall.account_id),
            "takings": takings(stall.payee_id),
            "unapplied": unapplied(stall.account_id),
            "not_takings": not_takings(stall.payee_id),
        }
        return {
            name: await ledger.read_balance(session, stall.org.id, key)
            for name, key in keys.items()
        }


async def list_breaks(database: Database, stall: Stall) -> list[str]:
    """Return the kinds of open breaks, sorted."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT kind FROM breaks WHERE org_id = :org_id AND closed_at IS NULL")
        return sorted((await session.execute(query, {"org_id": stall.org.id})).scalars())


async def list_events(database: Database, stall: Stall) -> list[str]:
    """Return the kinds of events in the order they were written."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT kind FROM events WHERE org_id = :org_id ORDER BY id")
        return list((await session.execute(query, {"org_id": stall.org.id})).scalars())
