"""A stall on the payOS rail: a sandbox that keeps its orders, and rail services that call it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.idempotency import Repeatable
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.bills.queries import get_bill
from payments.bills.rules import BillFacts, BillRequest
from payments.bills.writer import BillWriter
from payments.rails.service import RailService
from tests.world.bills import a_bill_request
from tests.world.constants import MANAGER
from tests.world.polling import PolledStall, a_polled_endpoint
from tests.world.receivers import a_receiver
from tests.world.sandboxes import a_sandbox
from tests.world.stalls import PayableStall

TOKEN, CLIENT = "t0ken-of-the-test", "shop-of-the-test"


@dataclass(kw_only=True)
class RailStall(PolledStall):
    """A stall whose bills are opened at payOS."""

    client: httpx.AsyncClient

    def service(self, *, later: timedelta = timedelta(0)) -> RailService:
        """Return another process's service, perhaps of a later time."""
        return RailService(
            self.database,
            self.sealer,
            self.client,
            public_url="http://hub.test",
            read_clock=lambda: read_clock() + later,
        )

    async def open(self, *, service: RailService | None = None, **facts: Any) -> BillFacts:
        """Open a bill of 20.000 ₫ on the rail."""
        writer = BillWriter(self.database, read_clock=read_clock)
        request = a_rail_request(self.stall, **facts)
        return await (service or self.service()).open_on_rail(writer, self.stall.org, request)

    async def resume(self, bill: BillFacts, *, rounds: int = 3, after_s: int = 60) -> BillFacts:
        """Let a worker take the bill's request over, as often as it is due; return the bill."""
        for n in range(rounds):
            later = timedelta(seconds=after_s * (n + 1))
            await self.pass_time(timedelta(seconds=after_s))
            await self.service(later=later).resume(self.stall.org.id, bill.id)
        return await self.read(bill)

    async def pass_time(self, passed: timedelta) -> None:
        """Let the time of the database, by which requests are leased and due, seem to pass."""
        pass_ = text("UPDATE rail_requests SET next_attempt_at = next_attempt_at - :passed")
        async with open_org_transaction(self.database, self.stall.org.id) as session:
            await session.execute(pass_, {"passed": passed})

    async def read(self, bill: BillFacts) -> BillFacts:
        """Return the bill as it stands now."""
        return await self.read_id(bill.id)

    async def wait_for_bill(self) -> UUID:
        """Wait until a bill's request is written down, before its provider has answered."""
        find = text("SELECT bill_id FROM rail_requests")
        for _ in range(200):
            async with open_org_transaction(self.database, self.stall.org.id) as session:
                if (found := await session.scalar(find)) is not None:
                    return UUID(str(found))
            await asyncio.sleep(0.02)
        raise AssertionError("no request was written down")

    async def read_id(self, bill_id: UUID | str) -> BillFacts:
        """Return the bill with this id."""
        async with open_org_transaction(self.database, self.stall.org.id) as session:
            return await get_bill(session, self.stall.org.id, UUID(str(bill_id)))

    def fail(self, **profile: Any) -> None:
        """Let payOS's merchant API misbehave; nothing: be honest again."""
        body = {"subscription": self.subscription_id, "profile": profile}
        self.sandbox.post("/control/faults", json=body).raise_for_status()

    def is_asked(self) -> bool:
        """Say whether every call that was to misbehave has begun at payOS."""
        profiles = self.sandbox.get("/control/faults").json()["subscriptions"].values()
        return all(profile["api_calls_left"] == 0 for profile in profiles)

    @property
    def subscription_id(self) -> str:
        subscriptions = self.sandbox.get("/control/subscriptions").json()["subscriptions"]
        return str(subscriptions[0]["id"])

    def order(self, order_id: str | None) -> dict[str, Any]:
        """Look up at payOS, as the merchant's own software would, how an order stands."""
        headers = {"x-client-id": self.client_id, "x-api-key": self.token}
        path = f"/v2/payment-requests/{order_id}"
        answer: dict[str, Any] = self.sandbox.get(path, headers=headers).json()
        return answer.get("data") or answer

    def count_orders(self) -> int:
        """Return how many orders payOS has, whatever became of them."""
        return int(self.sandbox.get("/control/payment-requests").json()["count"])

    async def status_of(self, bill: BillFacts) -> str:
        query = text("SELECT status FROM rail_requests WHERE bill_id = :id")
        async with open_org_transaction(self.database, self.stall.org.id) as session:
            return str(await session.scalar(query, {"id": bill.id}))


def a_rail_request(stall: PayableStall, *, key: str | None = None, **facts: Any) -> BillRequest:
    """Ask for a bill of 20.000 ₫ on the rail."""
    now = read_clock()
    repeatable = None
    if key is not None:
        repeatable = Repeatable(route="POST /v1/bills", key=key, body_hash=b"same")
    return a_bill_request(
        stall,
        **{
            "now": now,
            "purpose": "2 phở bò",
            "monitor_until": now + timedelta(hours=24),
            "created_by": MANAGER.id,
            "rail": "payos",
            "repeatable": repeatable,
            **facts,
        },
    )


@contextmanager
def payos_sandbox_for(
    database: Database,
    owner: Database,
    sealer: Sealer,
    stall: PayableStall,
    client: httpx.AsyncClient,
) -> Iterator[RailStall]:
    """Serve a sandbox that knows nobody yet; `connect` makes the stall its merchant."""
    with a_sandbox() as sandbox, a_receiver() as receiver:
        yield RailStall(
            database=database,
            owner=owner,
            sealer=sealer,
            sandbox=sandbox,
            receiver=receiver,
            stall=stall,
            token=TOKEN,
            client_id=CLIENT,
            client=client,
        )


async def connect_to_payos(place: RailStall) -> None:
    """Make the stall a merchant of the sandbox's payOS, with an endpoint that has its keys."""
    place.stall = replace(place.stall, provider="payos")
    place.introduce()
    url = str(place.sandbox.base_url).rstrip("/")
    place.stall = await a_polled_endpoint(place.database, place.sealer, place.stall, url)
