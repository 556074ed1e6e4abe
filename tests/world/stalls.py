"""Stalls that can be paid, and machines and people of theirs, for tests that speak HTTP."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from tests.api.http.contract import keep_contract
from tests.world.builders import Stall, a_stall
from tests.world.city import Hub, employ, found_city

CODE = "HKXM"


@dataclass(kw_only=True)
class Market:
    """A market board with one stall, its administrator and a machine that may do everything."""

    hub: Hub
    stall: Stall
    admin: httpx.AsyncClient  # the city's: acts for the market with ?org=CODE
    till: httpx.AsyncClient

    @property
    def org(self) -> dict[str, str]:
        """The query that lets the city's administrator act for the market."""
        return {"org": self.stall.org.code}

    async def staff(
        self, login: str, *roles: str, payee_id: UUID | None = None
    ) -> httpx.AsyncClient:
        """Let somebody of the market sign in."""
        answer = await employ(self.admin, login, *roles, org=self.stall.org.code, payee_id=payee_id)
        assert answer.status_code == 201, answer.text
        browser = await self.hub.browser(login)
        keep_contract(self.hub.app, browser)
        return browser

    async def open_bill(self, **facts: Any) -> dict[str, Any]:
        """Open a bill of 20.000 ₫ and return it."""
        answer = await self.till.post("/v1/bills", json=self.bill_body(**facts))
        assert answer.status_code == 201, answer.text
        bill: dict[str, Any] = answer.json()
        return bill

    def bill_body(self, **facts: Any) -> dict[str, Any]:
        """The body of a request for a bill."""
        body = {"payee_id": str(self.stall.payee_id), "amount_vnd": 20_000, "purpose": "2 phở bò"}
        return body | facts


SCOPES = (
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


async def found_market_with_stall(
    hub: Hub, *, is_live: bool = False, provider: str = "sepay"
) -> Market:
    """Set the hub up with a city, a market board, a stall that can be paid, and a till's key."""
    admin = await found_city(hub)
    stall = await a_stall(hub.services.database, code=CODE, is_live=is_live, provider=provider)
    till = await hub.machine(admin, *SCOPES, org=CODE)
    keep_contract(hub.app, admin)
    keep_contract(hub.app, till)
    return Market(hub=hub, stall=stall, admin=admin, till=till)
