"""Stalls that can be paid: a payee with its account and endpoint, in an organisation."""

from dataclasses import asdict, dataclass, replace
from uuid import UUID

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts, OrgKind
from identity.people.callers import Caller, Org
from identity.people.keys import add_key
from identity.people.rules import Permission
from payments.connections.service import EndpointRequest, create_endpoint
from tests.world.constants import CALLBACK_SECRET, MANAGER, NOON
from tests.world.endpoints import an_endpoint
from tests.world.organisations import an_organisation
from tests.world.payees import a_payee, an_account, an_account_number


@dataclass(frozen=True, kw_only=True)
class PayableStall:
    """A payee that can be paid, with the endpoint that speaks for its account."""

    org: OrgFacts
    payee_id: UUID
    account_id: UUID
    account_number: str
    endpoint_id: UUID
    provider: str = "sepay"


@dataclass(frozen=True, kw_only=True)
class CallableStall(PayableStall):
    """A stall whose endpoint is called over HTTP, and a key of its integrator."""

    address: str
    api_key: str

    @property
    def path(self) -> str:
        return f"/v1/callbacks/sepay/{self.address}"


async def a_payable_stall(
    database: Database, *, code: str = "HKXM", is_live: bool = True, provider: str = "sepay"
) -> PayableStall:
    """Make a payee with its own tested account and endpoint, in a new organisation."""
    async with database.begin() as session:
        org = await an_organisation(session, code=code, is_live=is_live)
        payee_id = await a_payee(session, org)
        account_number = an_account_number()
        account_id = await an_account(session, org, payee_id, account_number=account_number)
        endpoint_id = await an_endpoint(session, org, [account_id], provider=provider)
    return PayableStall(
        org=org,
        payee_id=payee_id,
        account_id=account_id,
        account_number=account_number,
        endpoint_id=endpoint_id,
        provider=provider,
    )


async def a_callable_stall(
    database: Database, settings: Settings, *, code: str, is_live: bool = True
) -> CallableStall:
    """Make a stall that a provider can call about, and an integrator can ask about, from now on."""
    now = read_clock()
    async with database.begin() as session:
        org = await an_organisation(session, code=code, is_live=is_live, now=now)
        payee_id = await a_payee(session, org, now=now)
        account_number = an_account_number()
        account_id = await an_account(
            session, org, payee_id, account_number=account_number, now=now
        )
        endpoint, _ = await create_endpoint(
            session,
            org,
            EndpointRequest(
                provider="sepay", name="SePay", secret=CALLBACK_SECRET, account_ids=[account_id]
            ),
            sealer=Sealer.from_settings(settings),
            actor=MANAGER,
            now=now,
        )
        caller = Caller(
            org=Org(**asdict(org), kind=OrgKind.MARKET_BOARD.value),
            home=Org(**asdict(org), kind=OrgKind.MARKET_BOARD.value),
            kind="staff",
            id=MANAGER.id or endpoint.id,
            name="manager",
            roles=frozenset(),
            permissions=frozenset(Permission),
            scopes=frozenset(),
            sign_in_id=None,
        )
        scopes = [Permission.BILLS_OPEN, Permission.BILLS_READ, Permission.BILLS_CANCEL]
        made = await add_key(session, caller, name="till", scopes=scopes, now=now)
    return CallableStall(
        org=org,
        payee_id=payee_id,
        account_id=account_id,
        account_number=account_number,
        endpoint_id=endpoint.id,
        address=endpoint.address,
        api_key=made.text,
    )


async def another_endpoint(
    database: Database, stall: PayableStall, *, provider: str
) -> PayableStall:
    """Let another provider report on the stall's account; returns the stall as it sees it."""
    async with open_org_transaction(database, stall.org.id) as session:
        endpoint_id = await an_endpoint(
            session, stall.org, [stall.account_id], provider=provider, now=NOON
        )
    return replace(stall, endpoint_id=endpoint_id, provider=provider)


async def another_stall(database: Database, stall: PayableStall) -> PayableStall:
    """Add a payee with its own account and endpoint to the stall's organisation."""
    account_number = an_account_number()
    async with open_org_transaction(database, stall.org.id) as session:
        payee_id = await a_payee(session, stall.org)
        account_id = await an_account(session, stall.org, payee_id, account_number=account_number)
        endpoint_id = await an_endpoint(session, stall.org, [account_id], provider=stall.provider)
    return replace(
        stall,
        payee_id=payee_id,
        account_id=account_id,
        account_number=account_number,
        endpoint_id=endpoint_id,
    )


async def another_payee(database: Database, stall: PayableStall) -> UUID:
    """Add a payee without an account to the stall's organisation."""
    async with open_org_transaction(database, stall.org.id) as session:
        return await a_payee(session, stall.org)


async def a_neighbour(database: Database, stall: PayableStall) -> UUID:
    """Add a payee that shares the stall's account, without a virtual account."""
    async with open_org_transaction(database, stall.org.id) as session:
        payee_id = await a_payee(session, stall.org)
        await an_account(session, stall.org, payee_id, account_number=stall.account_number)
    return payee_id
