"""A market of the city with a stall that can be paid, its administrator and a till."""

from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import Cookie
from typing import Any

import httpx

from core.clock import read_clock
from core.db import Database
from payments.bills.rules import BillFacts
from payments.providers import RawCallback
from tests.api.http.contract import keep_contract
from tests.world.bills import a_bill
from tests.world.cities import employ, set_up_city
from tests.world.hubs import Hub
from tests.world.notices import pay
from tests.world.stalls import PayableStall, a_payable_stall

CODE = "HKXM"
ENDPOINT_SECRET = "a-secret-of-the-provider-0001"
TILL_SCOPES = (
    "bills.open",
    "bills.read",
    "bills.cancel",
    "sales.read",
    "events.read",
    "payees.read",
    "payees.manage",
    "accounts.read",
    "callback_endpoints.read",
    "breaks.read",
    "ledger.read",
)


@dataclass(frozen=True, kw_only=True)
class KnownMarket:
    """What must be known of a market to work with it at another hub on a clone of its database."""

    stall: PayableStall
    admin_cookies: tuple[Cookie, ...]
    till_key: str  # as a header has it


@dataclass(kw_only=True)
class Market:
    """A market board with one stall, its administrator and a machine that may do everything."""

    hub: Hub
    stall: PayableStall
    admin: httpx.AsyncClient  # the city's: acts for the market with ?org=CODE
    till: httpx.AsyncClient

    @property
    def org(self) -> dict[str, str]:
        """The query that lets the city's administrator act for the market."""
        return {"org": self.stall.org.code}

    async def hire(self, login: str, *roles: str, **scope: Any) -> httpx.Response:
        """Ask to add somebody to the market, held to `payee_id` or `lot_ids` if named."""
        return await employ(self.admin, login, *roles, org=self.stall.org.code, **scope)

    async def staff(self, login: str, *roles: str, **scope: Any) -> httpx.AsyncClient:
        """Let somebody of the market sign in."""
        answer = await self.hire(login, *roles, **scope)
        assert answer.status_code == 201, answer.text
        browser = await self.hub.browser(login)
        keep_contract(self.hub.app, browser)
        return browser

    def known(self) -> KnownMarket:
        """Return how to find this market again."""
        return KnownMarket(
            stall=self.stall,
            admin_cookies=tuple(self.admin.cookies.jar),
            till_key=self.till.headers["Authorization"],
        )

    @property
    def database(self) -> Database:
        """The running hub's."""
        return self.hub.services.database

    async def add_bill(self, **facts: Any) -> BillFacts:
        """Open a bill now, past the API, as the clock of the running hub says."""
        return await a_bill(self.database, self.stall, **{"now": read_clock(), **facts})

    async def pay(self, bill: BillFacts, **facts: Any) -> None:
        """Let money come for a bill, as its bank would report it."""
        await pay(self.database, self.stall, bill, **{"now": read_clock(), **facts})

    def pay_path(self, bill: BillFacts) -> str:
        """Return the address of a bill's public page."""
        return f"/p/{self.stall.org.code}-{bill.public_token}"

    async def ask_for_endpoint(self, provider: str, **facts: Any) -> httpx.Response:
        """Ask for a callback endpoint of the stall's account, with the secret ENDPOINT_SECRET."""
        body = {
            "provider": provider,
            "name": f"{provider} của chợ",
            "secret": ENDPOINT_SECRET,
            "account_ids": [str(self.stall.account_id)],
            **facts,
        }
        return await self.admin.post("/v1/callback-endpoints", json=body, params=self.org)

    async def add_endpoint(self, provider: str, **facts: Any) -> dict[str, Any]:
        """Make an endpoint, as `ask_for_endpoint` asks for it, and return it."""
        answer = await self.ask_for_endpoint(provider, **facts)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def call_back(
        self, endpoint: Mapping[str, Any], callback: RawCallback, **headers: str
    ) -> httpx.Response:
        """Call the hub at an endpoint, as its provider does."""
        path = address_of(endpoint) + (f"/{callback.subpath}" if callback.subpath else "")
        return await self.hub.client.post(
            path,
            content=callback.body,
            headers={**callback.headers, "Content-Type": "application/json"} | headers,
        )

    async def open_bill(self, **facts: Any) -> dict[str, Any]:
        """Let the till open a bill of 20.000 ₫, and return it."""
        answer = await self.till.post("/v1/bills", json=self.bill_body(**facts))
        assert answer.status_code == 201, answer.text
        bill: dict[str, Any] = answer.json()
        return bill

    def bill_body(self, **facts: Any) -> dict[str, Any]:
        """The body of a request for a bill."""
        body = {"payee_id": str(self.stall.payee_id), "amount_vnd": 20_000, "purpose": "2 phở bò"}
        return body | facts


async def set_up_market(hub: Hub, *, is_live: bool = False, provider: str = "sepay") -> Market:
    """Set the hub up with a city, a market board, a stall that can be paid, and a till's key."""
    admin = await set_up_city(hub)
    stall = await a_payable_stall(
        hub.services.database, code=CODE, is_live=is_live, provider=provider
    )
    till = await hub.machine(admin, *TILL_SCOPES, org=CODE)
    return _open_market(hub, stall, admin, till)


def find_market(hub: Hub, known: KnownMarket) -> Market:
    """Return the market that stands in the hub's database since it was cloned."""
    admin = hub.new_browser()
    for cookie in known.admin_cookies:
        admin.cookies.jar.set_cookie(cookie)
    return _open_market(hub, known.stall, admin, hub.new_client(Authorization=known.till_key))


def address_of(endpoint: Mapping[str, Any]) -> str:
    """Return the path of an endpoint's address."""
    return str(httpx.URL(endpoint["url"]).path)


def _open_market(
    hub: Hub, stall: PayableStall, admin: httpx.AsyncClient, till: httpx.AsyncClient
) -> Market:
    keep_contract(hub.app, admin)
    keep_contract(hub.app, till)
    return Market(hub=hub, stall=stall, admin=admin, till=till)
