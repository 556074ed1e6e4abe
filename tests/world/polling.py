"""Stalls whose provider is polled: at a sandbox, or at what a test answers."""

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
from payos import PayOS
from payos.types import CreatePaymentLinkRequest

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts
from payments.connections.service import EndpointRequest, create_endpoint
from payments.credits.processor import NoticeProcessor
from payments.polling.service import PolledAccount, ProviderPoller
from payments.providers import PROVIDERS
from payments.providers.types import EndpointSecrets, RawCallback
from tests.world.bills import a_bill, put_on_rail
from tests.world.constants import MANAGER, VCB
from tests.world.notices import process_waiting, store_notices
from tests.world.reads import count_rows
from tests.world.receivers import ReceivedCallback, Receiver
from tests.world.sandboxes import SECRET
from tests.world.serials import next_number
from tests.world.stalls import PayableStall
from tests.world.waits import wait_until


@dataclass(kw_only=True)
class PolledStall:
    """A stall whose provider is a sandbox that calls a receiver back."""

    database: Database
    owner: Database
    sealer: Sealer
    sandbox: httpx.Client
    receiver: Receiver
    stall: PayableStall
    token: str
    client_id: str

    @property
    def by_order(self) -> bool:
        return self.stall.provider == "payos"

    def introduce(self) -> None:
        """Tell the sandbox of the stall's account, and whom to call back about it."""
        known = {"bin": VCB, "number": self.stall.account_number}
        holder = {**known, "holder": "HO KINH DOANH QUAY 7"}
        self.sandbox.post("/control/accounts", json=holder).raise_for_status()
        subscription = {
            "provider": self.stall.provider,
            "url": self.receiver.url,
            "secret": SECRET,
            "api_key": self.token,
            "client_id": self.client_id,
            "accounts": [known],
        }
        self.sandbox.post("/control/subscriptions", json=subscription).raise_for_status()

    async def open_bill(self) -> tuple[BillFacts, str]:
        """Open a bill, at payOS too where that is the provider; return it and what pays it."""
        bill = await a_bill(self.database, self.stall, now=read_clock())
        if not self.by_order:
            return bill, ""
        order = next_number()
        sdk = PayOS(
            client_id=self.client_id,
            api_key=self.token,
            checksum_key=SECRET,
            base_url=str(self.sandbox.base_url),
            max_retries=0,
        )
        with sdk:
            made = sdk.payment_requests.create(
                CreatePaymentLinkRequest(
                    order_code=order,
                    amount=20_000,
                    description=bill.reference,
                    cancel_url="http://shop/c",
                    return_url="http://shop/r",
                )
            )
        await put_on_rail(self.owner, bill, str(order))
        return bill, made.account_number

    def pay(self, bill: BillFacts, number: str) -> ReceivedCallback:
        """Pay a bill; return the callback about it."""
        count = len(self.receiver.received)
        body = {
            "bin": VCB,
            "number": number or self.stall.account_number,
            "amount_vnd": 20_000,
            "memo": bill.reference,
        }
        self.sandbox.post("/control/transfer", json=body).raise_for_status()
        wait_until(lambda: len(self.receiver.received) > count)
        return self.receiver.received[-1]

    async def poll(self, bill: BillFacts | None = None) -> PolledAccount:
        return await poll(self.database, self.sealer, self.stall, bill)

    async def push(self, heard: ReceivedCallback) -> None:
        """Take a callback as the door does: verified, stored, settled."""
        callback = RawCallback(headers=heard.headers, body=heard.body)
        secrets = EndpointSecrets(keys=(SECRET,))
        provider = PROVIDERS[self.stall.provider]
        assert provider.verify(callback, secrets, now=read_clock()).is_valid
        await store_notices(self.database, self.stall, heard.body, now=read_clock())
        await process_waiting(self.database, self.stall, now=read_clock())

    async def count(self, table: str, where: str = "true") -> int:
        return await count_rows(self.database, self.stall, table, where)


async def poll(
    database: Database,
    sealer: Sealer,
    stall: PayableStall,
    bill: BillFacts | None = None,
    *,
    client: httpx.AsyncClient | None = None,
    now: datetime | None = None,
) -> PolledAccount:
    """Poll the stall's account, by a client of the test's or a new one; `now` None: this moment."""
    async with AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        poller = ProviderPoller(
            database=database,
            processor=NoticeProcessor(database, read_clock=lambda: now or read_clock()),
            sealer=sealer,
            client=client,
        )
        return await poller.poll(
            stall.org,
            stall.account_id,
            payee_id=stall.payee_id,
            bill_id=bill.id if bill else None,
            now=now or read_clock(),
        )


def sepay_row(
    stall: PayableStall,
    *,
    memo: str,
    amount_vnd: int = 20_000,
    id_: str = "770001",
    occurred_at: datetime | None = None,
) -> dict[str, Any]:
    """Write a transaction as SePay's list does, of this moment unless told another."""
    local = (occurred_at or read_clock()) + timedelta(hours=7)
    return {
        "id": id_,
        "bank_brand_name": "Vietcombank",
        "account_number": stall.account_number,
        "transaction_date": f"{local:%Y-%m-%d %H:%M:%S}",
        "amount_in": f"{amount_vnd}.00",
        "transaction_content": memo,
        "reference_number": f"FT{id_}",
        "code": None,
        "sub_account": None,
    }


def sepay_listing(*rows: Any) -> bytes:
    """Write SePay's answer."""
    return json.dumps({"transactions": rows}).encode()


async def a_polled_endpoint(
    database: Database,
    sealer: Sealer,
    stall: PayableStall,
    url: str,
    *,
    token: str | None = "t0ken-of-the-test",
    client_id: str | None = None,
    secret: str = SECRET,
) -> PayableStall:
    """Make an endpoint that asks at this address; return the stall with it."""
    is_payos = stall.provider == "payos"
    async with open_org_transaction(database, stall.org.id) as session:
        endpoint, _ = await create_endpoint(
            session,
            stall.org,
            EndpointRequest(
                provider=stall.provider,
                name="Hỏi lại",
                secret=secret,
                is_sandbox=True,
                account_ids=[stall.account_id],
                pull_url=url,
                pull_token=token,
                pull_client_id=client_id or ("shop-of-the-test" if is_payos and token else None),
            ),
            sandbox_origins=(url,),
            sealer=sealer,
            actor=MANAGER,
            now=read_clock(),
        )
    return replace(stall, endpoint_id=endpoint.id)
