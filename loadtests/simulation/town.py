"""The town of a simulation: organisations with stalls, a lot each, and the people who work there.

Founded by the hub's own services; everything after that goes through the API.
"""

from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Final
from uuid import UUID

import httpx

from core.ids import IdMaker
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgKind
from identity.people import service
from identity.people.rules import Role, Scope, ScopeKind
from loadtests.booths import found_lots
from loadtests.city import BIN, Market, found_market
from loadtests.simulation.lines import AccountLines
from loadtests.simulation.model import Account, Model, Payee
from loadtests.simulation.stage import Stage, new_client
from registry import REGISTRY
from sandbox.providers.contract import Subscription

STALLS_EACH: Final = 4  # with an account of their own; the first is the lot's
# A statement whose largest amount is 103,000 does not say what its comma is; seven digits do.
OPENING_VND: Final = 50_000_000
PASSWORD: Final = "mô phỏng một thành phố nhỏ"
PAYERS: Final = (
    ("an", "970407", "19036000012345", "NGUYEN VAN AN"),
    ("binh", "970436", "0011004079999", "TRAN THI BINH"),
    ("chi", "970422", "0345000111", "LE THI CHI"),
)
ROLES: Final = {
    "manager": Role.MANAGER,
    "finance": Role.FINANCE,
    "approver": Role.APPROVER,
    "attendant": Role.ATTENDANT,
}


class Unexpected(Exception):
    """The hub refused what should have been done, or did what should have been refused."""


@dataclass(kw_only=True)
class Organisation:
    """An organisation, its lot, and its people's browsers."""

    number: int
    market: Market
    lot_id: str
    subscription: str  # at the sandbox
    people: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    silent_until: datetime | None = None  # its provider loses every callback meanwhile
    shift: str | None = None  # of the attendant
    shift_cash_vnd: int = 0
    closed_days: int = 0  # of its books

    def is_silent(self, now: datetime) -> bool:
        """Whether its provider calls nobody back at an instant."""
        return self.silent_until is not None and now < self.silent_until

    @property
    def code(self) -> str:
        """How people name it."""
        return self.market.org.code


@dataclass(kw_only=True)
class Town:
    """All that the steps of a simulation act on."""

    stage: Stage
    model: Model
    chance: Random
    orgs: list[Organisation]
    ids: IdMaker
    vehicles: int = 0
    stays: list[Any] = field(default_factory=list)
    # Of accepted statements, by account number.
    booked: dict[str, AccountLines] = field(default_factory=dict)
    matched: dict[str, datetime] = field(default_factory=dict)  # the hub's last run, by account id

    def new_id(self) -> str:
        """Return an id as a client makes one: UUIDv7 of the simulated time."""
        return str(self.ids.make())

    def org_of(self, payee: Payee) -> Organisation:
        """Return whose stall it is."""
        return self.orgs[payee.org]

    async def sign_in(self) -> None:
        """Let everybody sign in, as in the morning."""
        for org in self.orgs:
            for name, client in org.people.items():
                body = {"login": _login(org.number, name), "password": PASSWORD}
                await ask(client, "POST", "/v1/sign-ins", json=body)


async def ask(client: httpx.AsyncClient, method: str, path: str, **said: Any) -> Any:
    """Ask the hub; return its answer.

    Raises:
        Unexpected: it refused.
    """
    answer = await client.request(method, path, **said)
    if not answer.is_success:
        msg = f"{method} {path} answered {answer.status_code}: {answer.text[:400]}"
        raise Unexpected(msg)
    return answer.json() if answer.content else None


async def list_all(client: httpx.AsyncClient, path: str, of: str, **query: Any) -> list[Any]:
    """Read a list of the API to its end, page by page."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        params = {"limit": 100, **query} | ({"cursor": cursor} if cursor else {})
        page = await ask(client, "GET", path, params=params)
        found += page[of]
        cursor = page["next_cursor"]
        if not cursor:
            return found


async def found_town(stage: Stage, *, seed: int, orgs: int) -> Town:
    """Make a town of so many organisations, at the stage's time."""
    town = Town(
        stage=stage,
        model=Model(),
        chance=Random(seed),
        orgs=[],
        ids=IdMaker(lambda: int(stage.clock.now.timestamp() * 1_000)),
    )
    for name, bin_, account, holder in PAYERS:
        stage.sandbox.bank.open_account(bin_, account, holder, balance_vnd=10**14, payer=name)
    for number in range(orgs):
        town.orgs.append(await _found(town, number))
    await town.sign_in()
    for org in town.orgs:
        await _share_account(town, org)
        await _hold_accounts(org)
    return town


async def _found(town: Town, number: int) -> Organisation:
    stage, now = town.stage, town.stage.clock.now
    database, sealer = stage.services.database, stage.services.sealer
    market = await found_market(
        database,
        sealer,
        number + 1,
        kind=OrgKind.PARKING_OPERATOR,
        payees=STALLS_EACH,
        sandbox_url=stage.sandbox_url,
        now=now,
    )
    (lot,) = await found_lots(database, market, 1, now=now)
    for stall in market.stalls:
        stage.sandbox.bank.open_account(
            BIN, stall.account_number, "NGUYEN THI A", balance_vnd=OPENING_VND
        )
        account = Account(id=str(stall.account_id), number=stall.account_number)
        payee = Payee(
            number=len(town.model.payees), id=str(stall.payee_id), account=account, org=number
        )
        account.payees.append(payee)
        town.model.payees.append(payee)
    org = Organisation(
        number=number, market=market, lot_id=str(lot.id), subscription=_subscribe(stage, market)
    )
    for name, role in ROLES.items():
        await _employ(stage, org, name, role, lot.id)
        org.people[name] = new_client(stage)
    return org


def _subscribe(stage: Stage, market: Market) -> str:
    subscription, _ = stage.sandbox.subscribe(
        Subscription(
            id="",
            provider="sepay",
            url=f"{stage.hub_url}/v1/callbacks/sepay/{market.address}",
            secret=market.secret,
            api_key=market.secret,
            accounts=[(BIN, stall.account_number) for stall in market.stalls],
        )
    )
    return subscription.id


async def _employ(stage: Stage, org: Organisation, name: str, role: Role, lot_id: UUID) -> None:
    scopes = [Scope(ScopeKind.LOT, lot_id)] if role is Role.ATTENDANT else []
    async with open_org_transaction(stage.services.database, org.market.org.id) as session:
        await service.add_staff(
            session,
            org.market.org.id,
            granter=service.HUB,
            passwords=stage.services.passwords,
            login=_login(org.number, name),
            display_name=name.title(),
            password=PASSWORD,
            roles=[role],
            scopes=scopes,
            hooks=REGISTRY.hooks,
            now=stage.clock.now,
        )


async def _share_account(town: Town, org: Organisation) -> None:
    """Let a fifth stall sell on the last one's account: what names no bill is nobody's there."""
    manager, approver = org.people["manager"], org.people["approver"]
    shared = [one for one in town.model.payees if one.org == org.number][-1].account
    made = await ask(
        manager, "POST", "/v1/payees", json={"name": "Cô Hoa nước mía", "place": "Cạnh quầy 3"}
    )
    body = {"bin": BIN, "account_number": shared.number, "holder_name": "NGUYEN THI A"}
    link = await ask(manager, "POST", f"/v1/payees/{made['id']}/accounts", json=body)
    await ask(approver, "POST", f"/v1/accounts/{link['id']}/approve")
    payee = Payee(number=len(town.model.payees), id=made["id"], account=shared, org=org.number)
    shared.payees.append(payee)
    town.model.payees.append(payee)


async def _hold_accounts(org: Organisation) -> None:
    """Let the organisation hold its accounts, so that its own people give money back."""
    manager = org.people["manager"]
    held = set()
    for link in await list_all(manager, "/v1/accounts", "accounts"):
        if link["receiving_account_id"] in held:
            continue
        held.add(link["receiving_account_id"])
        body = {"held_by": "organisation"}
        await ask(manager, "POST", f"/v1/accounts/{link['id']}/holder", json=body)


def _login(number: int, name: str) -> str:
    return f"{name}.{number}"
