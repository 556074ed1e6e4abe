"""A stall whose provider can be polled, a sandbox to poll, and servers that are no sandbox."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from payos import PayOS
from payos.types import CreatePaymentLinkRequest
from sqlalchemy import text

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
from tests.contracts.sandbox_world import PullResult, Receiver, until
from tests.world.builders import MANAGER, VCB, Stall, a_bill, an_id_number, settle, store

SECRET = "s3cret-of-the-test"
READY_WITHIN_S = 15.0


@dataclass(kw_only=True)
class Place:
    """A stall whose provider is a sandbox that calls a receiver back."""

    database: Database
    owner: Database
    sealer: Sealer
    sandbox: httpx.Client
    receiver: Receiver
    stall: Stall
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
        order = an_id_number()
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
        async with self.owner.begin() as session:
            query = "UPDATE bills SET rail = 'payos', provider_order_id = :order WHERE id = :id"
            await session.execute(text(query), {"order": str(order), "id": bill.id})
        return bill, made.account_number

    def pay(self, bill: BillFacts, number: str) -> PullResult:
        """Pay a bill; return the callback about it."""
        count = len(self.receiver.heard)
        body = {
            "bin": VCB,
            "number": number or self.stall.account_number,
            "amount_vnd": 20_000,
            "memo": bill.reference,
        }
        self.sandbox.post("/control/transfer", json=body).raise_for_status()
        until(lambda: len(self.receiver.heard) > count)
        return self.receiver.heard[-1]

    async def ask(self, bill: BillFacts | None = None) -> PolledAccount:
        return await ask(self.database, self.sealer, self.stall, bill)

    async def push(self, heard: PullResult) -> None:
        """Take a callback as the door does: verified, stored, settled."""
        callback = RawCallback(headers=heard.headers, body=heard.body)
        secrets = EndpointSecrets(keys=(SECRET,))
        provider = PROVIDERS[self.stall.provider]
        assert provider.verify(callback, secrets, now=read_clock()).is_valid
        await store(self.database, self.stall, heard.body, now=read_clock())
        await settle(self.database, self.stall, now=read_clock())

    async def count(self, table: str, where: str = "true") -> int:
        async with open_org_transaction(self.database, self.stall.org.id) as session:
            return int(await session.scalar(text(f"SELECT count(*) FROM {table} WHERE {where}")))


async def ask(
    database: Database,
    sealer: Sealer,
    stall: Stall,
    bill: BillFacts | None = None,
    *,
    client: httpx.AsyncClient | None = None,
) -> PolledAccount:
    """Ask about the stall's account, by a client of the test's or by a new one."""
    async with AsyncExitStack() as stack:
        if client is None:
            client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        poller = ProviderPoller(
            database=database,
            processor=NoticeProcessor(database, read_clock=read_clock),
            sealer=sealer,
            client=client,
        )
        return await poller.poll(
            stall.org,
            stall.account_id,
            payee_id=stall.payee_id,
            bill_id=bill.id if bill else None,
            now=read_clock(),
        )


def row(stall: Stall, *, memo: str, amount_vnd: int = 20_000, id_: str = "770001") -> Any:
    """Write a transaction as SePay's list does."""
    return {
        "id": id_,
        "account_number": stall.account_number,
        "transaction_date": f"{read_clock():%Y-%m-%d %H:%M:%S}",
        "amount_in": f"{amount_vnd}.00",
        "transaction_content": memo,
        "reference_number": f"FT{id_}",
    }


def listing(*rows: Any) -> bytes:
    """Write SePay's answer."""
    return json.dumps({"transactions": rows}).encode()


async def listen(
    database: Database,
    sealer: Sealer,
    stall: Stall,
    url: str,
    *,
    token: str | None = "t0ken-of-the-test",
    client_id: str | None = None,
    secret: str = SECRET,
) -> Stall:
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


async def with_order(owner: Database, bill: BillFacts, order: str) -> None:
    async with owner.begin() as session:
        query = "UPDATE bills SET rail = 'payos', provider_order_id = :order WHERE id = :id"
        await session.execute(text(query), {"order": order, "id": bill.id})


@contextmanager
def a_sandbox_process() -> Iterator[httpx.Client]:
    """Run a sandbox that changes no memos; yields a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--time-scale", "0.0001"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=5) as client:
            end = time.monotonic() + READY_WITHIN_S
            while not _is_up(client):
                assert process.poll() is None, "the sandbox ended at its start"
                assert time.monotonic() < end, "the sandbox did not answer"
                time.sleep(0.05)
            client.post("/control/pace", json={"memo_style": "as_typed"}).raise_for_status()
            yield client
    finally:
        process.terminate()
        process.wait(10)


def _is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/").is_success
    except httpx.TransportError:
        return False


Speak = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def a_server(speak: Speak) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve whatever is said, over real sockets; yields the address and the first lines heard."""
    lines: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lines.append(head.partition(b"\r\n")[0].decode())
            await speak(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lines


def say(status: str, body: bytes = b"", *headers: str) -> Speak:
    async def speak(writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
        writer.write("\r\n".join(head).encode() + body)
        await writer.drain()

    return speak


async def drip(writer: asyncio.StreamWriter) -> None:
    """Answer for ever, a byte at a time: no wait between two bytes is long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.3)
