""" "Kiểm tra giao dịch": whom the hub asks, what it keeps of the answer, and what it settles."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.db import Sessions, open_org_transaction
from core.sealing import Sealer
from core.settings import Settings, read_origin
from payments.callbacks.asking import Asked, ask_about_account
from payments.callbacks.errors import BadAskUrl, ProviderAnswerUnreadable
from payments.callbacks.questions import ANSWER_BYTES_MAX
from payments.callbacks.service import create_endpoint
from payments.callbacks.settler import Settler
from tests.builders import (
    MANAGER,
    NOON,
    Stall,
    a_bill,
    a_stall,
    list_breaks,
    read_status,
    sepay_body,
    store,
)

pytestmark = pytest.mark.anyio

SANDBOX = "http://sandbox.test:8300"


@pytest.fixture
async def stall(app_sessions: Sessions) -> Stall:
    return await a_stall(app_sessions, is_live=False)


@pytest.fixture
def sealer(settings: Settings) -> Sealer:
    return Sealer.from_settings(settings)


async def listen(sessions: Sessions, sealer: Sealer, stall: Stall, *, ask_url: str) -> str | None:
    """Make an endpoint that can be asked; return where."""
    async with open_org_transaction(sessions, stall.org.id) as session:
        endpoint, _ = await create_endpoint(
            session,
            stall.org,
            provider="sepay",
            name="SePay",
            secret=None,
            is_sandbox=True,
            account_ids=[stall.account_id],
            ask_url=ask_url,
            ask_token="token-of-the-provider",
            sandbox_origins=(SANDBOX,),
            sealer=sealer,
            actor=MANAGER,
            now=NOON,
        )
        return endpoint.ask_url


def row(stall: Stall, *, memo: str, amount_vnd: int = 20_000) -> dict[str, Any]:
    """Write a transaction as SePay's list does."""
    return {
        "id": "770001",
        "bank_brand_name": "Vietcombank",
        "account_number": stall.account_number,
        "transaction_date": "2026-11-20 12:00:00",
        "amount_in": f"{amount_vnd}.00",
        "transaction_content": memo,
        "reference_number": "FT770001",
        "code": None,
        "sub_account": None,
    }


async def ask(
    sessions: Sessions,
    sealer: Sealer,
    stall: Stall,
    answer: Callable[[httpx.Request], httpx.Response],
) -> Asked:
    """Ask a provider that answers like this."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        return await ask_about_account(
            sessions,
            Settler(sessions, read_clock=lambda: NOON),
            sealer,
            client,
            stall.org,
            stall.account_id,
            payee_id=stall.payee_id,
            now=NOON,
        )


def tell(*rows: dict[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    body = json.dumps({"transactions": rows}).encode()
    return lambda _: httpx.Response(200, stream=Whole(body))


async def count_asked(sessions: Sessions, stall: Stall) -> int:
    async with open_org_transaction(sessions, stall.org.id) as session:
        query = text("SELECT count(*) FROM notices WHERE source = 'asked'")
        return int(await session.scalar(query) or 0)


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254",
        "http://127.0.0.1:5432/",
        "http://sandbox.test:8300@evil.test",
        "http://sandbox.test",
        "https://sandbox.test:8300",
        "http://sandbox.test:83000",
        "ftp://sandbox.test:8300",
    ],
)
async def test_no_tenant_chooses_where_the_hub_asks(
    app_sessions: Sessions, stall: Stall, sealer: Sealer, address: str
) -> None:
    with pytest.raises(BadAskUrl):
        await listen(app_sessions, sealer, stall, ask_url=address)


async def test_of_an_allowed_address_the_origin_alone_is_kept(
    app_sessions: Sessions, stall: Stall, sealer: Sealer
) -> None:
    address = f"{SANDBOX.upper()}/admin?x=1#y"

    assert await listen(app_sessions, sealer, stall, ask_url=address) == SANDBOX


def test_an_operator_names_origins_and_nothing_more(settings: Settings) -> None:
    facts = settings.model_dump()
    named = Settings(**facts | {"sandbox_origins": f"{SANDBOX}, https://[::1]:8300"})
    assert named.sandbox_origins == (SANDBOX, "https://[::1]:8300")
    assert read_origin("https://user:secret@a.test/path") == "https://a.test"
    for wrong in ("sandbox.test", f"{SANDBOX}/", "http://A.test", "http://"):
        with pytest.raises(ValueError, match="PHOPAY_SANDBOX_ORIGINS"):
            Settings(**facts | {"sandbox_origins": wrong})


async def test_what_is_told_again_is_not_kept_again(
    app_sessions: Sessions, stall: Stall, sealer: Sealer
) -> None:
    await listen(app_sessions, sealer, stall, ask_url=SANDBOX)
    bill = await a_bill(app_sessions, stall)
    answer = tell(row(stall, memo=bill.reference))

    asked = [await ask(app_sessions, sealer, stall, answer) for _ in range(3)]

    assert [one.rows for one in asked] == [1, 1, 1]
    assert await count_asked(app_sessions, stall) == 1
    assert await read_status(app_sessions, stall, bill) == ("paid", 20_000, 20_000)


async def test_another_amount_is_kept_as_evidence(
    app_sessions: Sessions, stall: Stall, sealer: Sealer
) -> None:
    await listen(app_sessions, sealer, stall, ask_url=SANDBOX)
    bill = await a_bill(app_sessions, stall)
    await ask(app_sessions, sealer, stall, tell(row(stall, memo=bill.reference)))

    changed = row(stall, memo=bill.reference, amount_vnd=90_000)
    await ask(app_sessions, sealer, stall, tell(changed))

    assert await count_asked(app_sessions, stall) == 2
    assert await list_breaks(app_sessions, stall) == ["contradiction"]


async def test_a_vendor_who_asks_waits_for_no_backlog(
    app_sessions: Sessions, stall: Stall, sealer: Sealer
) -> None:
    await listen(app_sessions, sealer, stall, ask_url=SANDBOX)
    waiting, mine = await a_bill(app_sessions, stall), await a_bill(app_sessions, stall)
    await store(app_sessions, stall, sepay_body(stall, amount_vnd=20_000, memo=waiting.reference))

    await ask(app_sessions, sealer, stall, tell(row(stall, memo=mine.reference)))

    assert (await read_status(app_sessions, stall, mine))[0] == "paid"
    assert (await read_status(app_sessions, stall, waiting))[0] == "open"


class Whole(httpx.AsyncByteStream):
    """An answer as it comes from a socket."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body


class Endless(httpx.AsyncByteStream):
    """An answer without an end."""

    def __init__(self) -> None:
        self.sent_bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent_bytes += 65_536
            yield b" " * 65_536


async def test_an_answer_without_an_end_is_cut_off(
    app_sessions: Sessions, stall: Stall, sealer: Sealer
) -> None:
    await listen(app_sessions, sealer, stall, ask_url=SANDBOX)
    endless = Endless()

    with pytest.raises(ProviderAnswerUnreadable):
        await ask(app_sessions, sealer, stall, lambda _: httpx.Response(200, stream=endless))

    assert endless.sent_bytes < ANSWER_BYTES_MAX + 2 * 65_536
