"""Organisations, people, stalls and connections of the frozen city, made over HTTP."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import psycopg

from core.clock import read_clock
from payments.providers import EndpointSecrets
from payments.providers.types import RawCallback
from tests.world import callbacks
from tests.world.cities import employ, set_up_city
from tests.world.constants import VCB
from tests.world.databases import FreshDatabase
from tests.world.hubs import Hub

READY_WITHIN_S: Final = 15.0
NEXT_SECRET: Final = "made-up-next-secret"  # of the first stall's endpoint, at the end
USERNAME: Final = "phopay-hub"
PAYOS_TOKEN: Final = "made-up-api-key"
PAYOS_CLIENT: Final = "made-up-client-id"
SCOPES: Final = ("bills.open", "bills.read", "bills.cancel", "sales.read", "events.read")
PATHS: Final = {"vietqrvn": "/bank/api/transaction-sync"}


@dataclass(kw_only=True)
class Office:
    """An organisation and its people's browsers."""

    code: str
    id: str
    manager: httpx.AsyncClient
    approver: httpx.AsyncClient
    finance: httpx.AsyncClient


@dataclass(kw_only=True)
class Place:
    """A stall: its account, who works there, and how money to it is reported."""

    office: Office
    payee_id: str
    number: str
    link: dict[str, Any]
    owner: httpx.AsyncClient
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)  # by provider

    @property
    def account_id(self) -> str:
        return str(self.link["receiving_account_id"])


class City:
    """A running hub, its database, and what is done in it."""

    def __init__(self, hub: Hub, database: FreshDatabase) -> None:
        self.hub = hub
        self.database = database
        self.numbers = count(1)

    async def found(self) -> None:
        """Let the city's first administrator in."""
        self.admin = await set_up_city(self.hub)

    async def ask(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        """Ask the hub for what it must not refuse; return its answer."""
        answer = await client.request(method, path, json=body, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def person(
        self, login: str, role: str, *, org: str, payee_ids: list[str] | None = None
    ) -> httpx.AsyncClient:
        """Employ somebody and sign them in."""
        answer = await employ(self.admin, login, role, org=org, payee_ids=payee_ids or [])
        assert answer.status_code == 201, answer.text
        return await self.hub.browser(login)

    async def office(self, code: str, name: str, *, is_live: bool) -> Office:
        """Make an organisation with a manager, an approver and somebody of finance."""
        body = {"code": code, "name": name, "kind": "market_board", "is_live": is_live}
        made = await self.ask(self.admin, "POST", "/v1/organisations", body)
        people = {
            role: await self.person(f"{role}.{code.lower()}", role, org=code)
            for role in ("manager", "approver", "finance")
        }
        return Office(code=code, id=made["id"], **people)

    async def stall(
        self, office: Office, name: str, *, virtual_account: str | None = None, of: Any = None
    ) -> Place:
        """Open a stall with an owner; its account is approved and waits for its test transfer.

        Args:
            of: another stall whose account this one shares.
        """
        number = of.number if of else f"1036{next(self.numbers):06d}"
        payee = await self.ask(
            office.manager, "POST", "/v1/payees", {"name": name, "place": "Dãy B, quầy 12"}
        )
        login = f"stall{next(self.numbers)}.{office.code.lower()}"
        owner = await self.person(login, "vendor_owner", org=office.code, payee_ids=[payee["id"]])
        link = await self.propose(office, payee["id"], number, virtual_account=virtual_account)
        link = await self.ask(office.approver, "POST", f"/v1/accounts/{link['id']}/approve")
        return Place(office=office, payee_id=payee["id"], number=number, link=link, owner=owner)

    async def propose(self, office: Office, payee_id: str, number: str, **facts: Any) -> Any:
        """Propose an account of a payee."""
        body = {"bin": VCB, "account_number": number, "holder_name": "HO KINH DOANH B12", **facts}
        return await self.ask(office.manager, "POST", f"/v1/payees/{payee_id}/accounts", body)

    async def connect(self, place: Place, provider: str, **facts: Any) -> dict[str, Any]:
        """Make an endpoint of a provider that speaks for a stall's account."""
        body = {
            "provider": provider,
            "name": f"{provider} {place.number}",
            "secret": f"made-up secret of {provider}".replace(" ", "-"),
            "account_ids": [place.account_id],
            **facts,
        }
        made: dict[str, Any] = await self.ask(
            place.office.approver, "POST", "/v1/callback-endpoints", body
        )
        place.endpoints[provider] = made
        return made

    async def activate(self, place: Place, *, provider: str = "sepay", **facts: Any) -> None:
        """Let the test transfer of a stall's account come, and its owner see it."""
        await self.transfer(place, 1_000, place.link["test_reference"], provider=provider, **facts)
        shown = await self.ask(place.office.manager, "GET", f"/v1/accounts/{place.link['id']}")
        assert shown["status"] == "active", shown
        await self.ask(place.owner, "POST", f"/v1/accounts/{place.link['id']}/seen")

    async def transfer(
        self,
        place: Place,
        amount_vnd: int,
        memo: str,
        *,
        provider: str = "sepay",
        **facts: Any,
    ) -> None:
        """Let a provider report money, and wait until the hub has processed it.

        Args:
            facts: what `write_notice` takes.
        """
        secret = facts.pop("secret", None) or place.endpoints[provider]["secret"]
        body = write_notice(provider, place.number, amount_vnd, memo, next(self.numbers), **facts)
        await self.call(place, provider, sign(provider, body, secret))
        await self.settle()

    async def call(self, place: Place, provider: str, callback: RawCallback) -> int:
        """Call the hub as a provider does; return the status of its answer."""
        path = urlsplit(place.endpoints[provider]["url"]).path + PATHS.get(provider, "")
        answer = await self.hub.client.post(
            path, content=callback.body, headers=dict(callback.headers)
        )
        return answer.status_code

    async def settle(self) -> None:
        """Wait until every notice is processed or waits for a person."""
        await self.wait_for("SELECT 1 FROM notices WHERE handled_at IS NULL AND attempts = 0")

    async def wait_for(self, query: str, *, count: int = 0) -> None:
        """Wait until a query finds so many rows."""
        end = time.monotonic() + READY_WITHIN_S
        while len(self.query(query)) != count:
            assert time.monotonic() < end, query
            await asyncio.sleep(0.02)

    def query(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Look into the database past the border between tenants."""
        with psycopg.connect(self.database.owner_url) as owner:
            found: list[tuple[Any, ...]] = owner.execute(query.encode(), values).fetchall()
            return found

    async def open_bill(self, place: Place, client: httpx.AsyncClient, **facts: Any) -> Any:
        """Open a bill of 20.000 ₫ at a stall."""
        headers = {"Idempotency-Key": key} if (key := facts.pop("key", None)) else {}
        body = {"payee_id": place.payee_id, "amount_vnd": 20_000, "purpose": "2 phở bò", **facts}
        return await self.ask(client, "POST", "/v1/bills", body, headers=headers)

    async def machine(self, office: Office) -> httpx.AsyncClient:
        """Make an API key of the organisation, and a client that has it."""
        body = {"name": "till", "scopes": list(SCOPES)}
        made = await self.ask(office.manager, "POST", "/v1/keys", body)
        return self.hub.new_client(Authorization=f"Bearer {made['key']}")


def write_notice(
    provider: str,
    account_number: str,
    amount_vnd: int,
    memo: str,
    number: int,
    *,
    id_: str | int | None = None,
    reference: str | None = None,
    direction: str = "in",
    order_id: str = "",
    sub_account: str | None = None,
) -> dict[str, Any]:
    """Write what a provider says about one transfer, a second from now at the latest."""
    at = read_clock() + timedelta(seconds=1)
    local = f"{at + timedelta(hours=7):%Y-%m-%d %H:%M:%S}"
    number = 700_000 + number
    reference = reference or f"FT{number:012d}"
    if provider == "casso":
        data = {
            "id": id_ or number,
            "reference": reference,
            "description": memo,
            "amount": amount_vnd,
            "transactionDateTime": local,
            "accountNumber": account_number,
            "bankName": "Vietcombank",
            "bankAbbreviation": "VCB",
        }
        return {"error": 0, "data": {**callbacks.CASSO_NOTICE["data"], **data}}
    if provider == "vietqrvn":
        return {
            **callbacks.VIETQRVN_PUSH,
            "transactionid": id_ or f"VQR-{number}",
            "transactiontime": int(at.timestamp() * 1_000),
            "referencenumber": reference,
            "amount": amount_vnd,
            "content": memo,
            "bankaccount": account_number,
            "orderId": order_id,
        }
    return {
        **callbacks.SEPAY_NOTICE,
        "id": id_ or number,
        "transactionDate": local,
        "accountNumber": account_number,
        "content": memo,
        "transferType": direction,
        "transferAmount": amount_vnd,
        "subAccount": sub_account,
        "referenceCode": reference,
    }


def sign(
    provider: str, body: dict[str, Any], secret: str, *, at: datetime | None = None
) -> RawCallback:
    """Sign a notice as its provider does, now or at another time."""
    now = at or read_clock()
    if provider == "casso":
        return callbacks.casso_callback(body, key=secret, at=now)
    if provider == "vietqrvn":
        secrets = EndpointSecrets(keys=(secret,), username=USERNAME)
        return callbacks.vietqrvn_callback(body, secrets=secrets, at=now)
    if provider == "sepay_apikey":
        return callbacks.sepay_apikey_callback(body, key=secret)
    return callbacks.sepay_callback(body, key=secret, at=now)
