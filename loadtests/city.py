"""The city that a run happens in: made by the hub's own services, under the hub's own role."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from core.audit import Actor
from core.db import Database
from core.ids import new_id, new_token
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts, OrgKind
from identity.organisations.service import create_organisation
from identity.people.callers import Caller, Org
from identity.people.keys import add_key
from identity.people.rules import API_SCOPES, Permission
from payments.bills.references import ALPHABET
from payments.bills.rules import BillFacts, BillRequest
from payments.bills.serials import ReferenceSource
from payments.bills.service import open_bills
from payments.connections.service import EndpointRequest, create_endpoint
from payments.onboarding.activation import note_test_transfer
from payments.onboarding.service import approve_account
from payments.payees.accounts import propose_account
from payments.payees.service import add_payee

ORGANISATIONS: Final = 10
PAYEES_EACH: Final = 20
PAYEES_OF_FIRST: Final = 60  # a large market: half of a history is its own
STREAMS_OF_KEY: Final = 10  # a caller may have twelve open
BIN: Final = "970436"
BILLS_A_COMMIT: Final = 500
VALID_FOR: Final = timedelta(hours=2)  # no bill of a run expires during the run
MANAGER: Final = Actor(kind="staff", id=UUID(int=1), name="manager")
APPROVER: Final = Actor(kind="staff", id=UUID(int=2), name="approver")


@dataclass(frozen=True, kw_only=True)
class Stall:
    """A payee with a receiving account of its own."""

    payee_id: UUID
    account_id: UUID
    account_number: str


@dataclass(frozen=True, kw_only=True)
class Market:
    """One organisation: its stalls, its SePay endpoint and API keys."""

    org: OrgFacts
    endpoint_id: UUID
    address: str
    secret: str
    keys: tuple[str, ...]
    reference: str  # of no bill
    stalls: list[Stall] = field(default_factory=list)


async def found_market(
    database: Database,
    sealer: Sealer,
    number: int,
    *,
    kind: OrgKind = OrgKind.MARKET_BOARD,
    payees: int | None = None,
    sandbox_url: str | None = None,
    now: datetime,
) -> Market:
    """Make an organisation whose stalls can be paid and call the API.

    Args:
        payees: how many stalls; None: as many as a run under load wants.
        sandbox_url: of a sandbox that its connection polls, with its secret as the token; the
            organisation is a test one then.
    """
    payees = payees or (PAYEES_EACH if number else PAYEES_OF_FIRST)
    secret = None if sandbox_url is None else new_token()
    code = "BN" + ALPHABET[number // len(ALPHABET)] + ALPHABET[number % len(ALPHABET)]
    async with database.begin() as session:
        org = await create_organisation(
            session,
            code=code,
            name=f"Chợ {code}",
            kind=kind,
            is_live=sandbox_url is None,
            actor=MANAGER,
            now=now,
        )
    references = ReferenceSource(database, run_length=payees)
    tests = await references.take(org, payees)
    stalls = []
    async with open_org_transaction(database, org.id) as session:
        for i, test_reference in enumerate(tests):
            payee = await add_payee(
                session, org.id, name="Phở gia truyền", place=f"Quầy {i}", actor=MANAGER, now=now
            )
            account_number = f"{number:04d}{i:06d}"
            link = await propose_account(
                session,
                org.id,
                payee_id=payee.id,
                bin_=BIN,
                account_number=account_number,
                virtual_account=None,
                holder_name="NGUYEN THI A",
                test_reference=test_reference,
                actor=MANAGER,
                now=now,
            )
            await approve_account(session, org.id, link.id, actor=APPROVER, now=now)
            account_id = link.receiving_account_id
            await note_test_transfer(
                session,
                org.id,
                account_id,
                credit_id=new_id(),
                references={test_reference},
                virtual_account=None,
                vouched_by=[APPROVER.id] if APPROVER.id else [],
                now=now,
            )
            stall = Stall(payee_id=payee.id, account_id=account_id, account_number=account_number)
            stalls.append(stall)
        endpoint, secrets = await create_endpoint(
            session,
            org,
            EndpointRequest(
                provider="sepay",
                name="SePay",
                account_ids=[stall.account_id for stall in stalls],
                secret=secret,
                is_sandbox=sandbox_url is not None,
                pull_url=sandbox_url,
                pull_token=secret,
            ),
            sandbox_origins=() if sandbox_url is None else (sandbox_url,),
            sealer=sealer,
            actor=MANAGER,
            now=now,
        )
        caller = _manager_of(org)
        scopes = [Permission.BILLS_OPEN, Permission.EVENTS_READ]
        made = [
            await add_key(session, caller, name="till", scopes=scopes, now=now)
            for _ in range(max(1, payees // STREAMS_OF_KEY))
        ]
    return Market(
        org=org,
        endpoint_id=endpoint.id,
        address=endpoint.address,
        secret=secrets.keys[0],
        keys=tuple(key.text for key in made),
        reference=tests[0],
        stalls=stalls,
    )


async def open_market_bills(
    database: Database,
    market: Market,
    amounts_vnd: Sequence[int],
    *,
    owner_kind: str | None = None,
    now: datetime,
) -> list[BillFacts]:
    """Open one bill per amount, at one stall after the other, each for an owner if one is given."""
    references = ReferenceSource(database)
    bills: list[BillFacts] = []
    for start in range(0, len(amounts_vnd), BILLS_A_COMMIT):
        requests = [
            BillRequest(
                payee_id=market.stalls[(start + i) % len(market.stalls)].payee_id,
                amount_vnd=amount_vnd,
                purpose="Phở bò",
                expires_at=now + VALID_FOR,
                monitor_until=now + VALID_FOR + timedelta(days=1),
                created_by=UUID(int=3),
                owner_kind=owner_kind,
                owner_id=None if owner_kind is None else new_id(),
            )
            for i, amount_vnd in enumerate(amounts_vnd[start : start + BILLS_A_COMMIT])
        ]
        fresh = await references.take(market.org, len(requests))
        async with open_org_transaction(database, market.org.id) as session:
            opened = await open_bills(session, market.org.id, requests, fresh, now=now)
        for bill in opened:
            assert isinstance(bill, BillFacts), bill
            bills.append(bill)
    return bills


def _manager_of(org: OrgFacts) -> Caller:
    home = Org(
        id=org.id, code=org.code, name=org.name, is_live=org.is_live, kind=OrgKind.MARKET_BOARD
    )
    return Caller(
        org=home,
        home=home,
        kind="staff",
        id=UUID(int=1),
        name="manager",
        roles=frozenset({"manager"}),
        permissions=frozenset(API_SCOPES),
        scopes=frozenset(),
        sign_in_id=None,
    )
