"""Polling that fails: no poll possible, or no usable answer. Each failure has a name."""

import json
import time
from typing import Any

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.connections.errors import BadPullToken
from payments.connections.service import EndpointRequest, create_endpoint
from payments.polling.service import PolledAccount
from payments.providers.errors import (
    PollFailed,
    ProviderCannotBePolled,
    ProviderDidNotRespond,
    ProviderRefusedToken,
    ProviderResponseUnreadable,
)
from tests.world.bills import a_bill, put_on_rail
from tests.world.constants import MANAGER
from tests.world.polling import a_polled_endpoint, poll
from tests.world.sandboxes import SECRET
from tests.world.serials import next_number
from tests.world.servers import a_server, answering, drip
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PROMISED_S = 5.0
BUSY_S = 3.0  # what a busy machine may add; without the limit it would be hours


async def test_vietqrvn_cannot_be_polled_and_takes_no_token(
    app_database: Database, sealer: Sealer
) -> None:
    stall = await a_payable_stall(app_database, is_live=False, provider="vietqrvn")
    with pytest.raises(BadPullToken):
        await a_polled_endpoint(app_database, sealer, stall, "http://127.0.0.1:1")
    await a_polled_endpoint(app_database, sealer, stall, "http://127.0.0.1:1", token=None)

    with pytest.raises(ProviderCannotBePolled):
        await poll(app_database, sealer, stall)


@pytest.mark.parametrize(
    ("provider", "token", "client_id"),
    [
        ("payos", "key", None),
        ("payos", None, "shop"),
        ("casso", "key", "shop"),
        ("casso", "mã có dấu", None),
        ("sepay", "two\r\nlines: x", None),
    ],
)
async def test_what_cannot_be_used_for_asking_is_not_kept(
    app_database: Database,
    sealer: Sealer,
    provider: str,
    token: str | None,
    client_id: str | None,
) -> None:
    stall = await a_payable_stall(app_database, is_live=False, provider=provider)
    with pytest.raises(BadPullToken):
        async with open_org_transaction(app_database, stall.org.id) as session:
            await create_endpoint(
                session,
                stall.org,
                EndpointRequest(
                    provider=provider,
                    name="Hỏi lại",
                    secret=SECRET,
                    is_sandbox=True,
                    account_ids=[],
                    pull_token=token,
                    pull_client_id=client_id,
                ),
                sealer=sealer,
                actor=MANAGER,
                now=read_clock(),
            )


async def test_tokens_are_sealed(app_database: Database, sealer: Sealer) -> None:
    stall = await a_payable_stall(app_database, is_live=False, provider="payos")
    await a_polled_endpoint(
        app_database, sealer, stall, "http://127.0.0.1:1", token="k3y", client_id="sh0p"
    )

    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT e::text FROM callback_endpoints e")
        stored = " ".join((await session.execute(query)).scalars())
    for text_ in ("k3y", "sh0p"):
        assert text_ not in stored
        assert text_.encode().hex() not in stored


async def a_polled_stall(
    url: str, app_database: Database, owner_database: Database, sealer: Sealer, provider: str
) -> PayableStall:
    stall = await a_payable_stall(app_database, is_live=False, provider=provider)
    stall = await a_polled_endpoint(app_database, sealer, stall, url)
    if provider == "payos":
        for _ in range(3):
            bill = await a_bill(app_database, stall, now=read_clock())
            await put_on_rail(owner_database, bill, str(next_number()))
    return stall


async def polled_at(
    url: str, app_database: Database, owner_database: Database, sealer: Sealer, provider: str
) -> PolledAccount:
    stall = await a_polled_stall(url, app_database, owner_database, sealer, provider)
    return await poll(app_database, sealer, stall)


@pytest.mark.parametrize("provider", ["casso", "payos"])
async def test_a_provider_that_only_drips_is_given_up_within_five_seconds(
    app_database: Database, owner_database: Database, sealer: Sealer, provider: str
) -> None:
    async with a_server(drip) as (url, lines):
        stall = await a_polled_stall(url, app_database, owner_database, sealer, provider)
        began = time.monotonic()
        with pytest.raises(ProviderDidNotRespond):
            await poll(app_database, sealer, stall)
        assert time.monotonic() - began < PROMISED_S + BUSY_S
        assert len(lines) == (3 if provider == "payos" else 1)


@pytest.mark.parametrize("provider", ["casso", "payos", "sepay"])
async def test_nobody_sends_the_token_elsewhere(
    app_database: Database, owner_database: Database, sealer: Sealer, provider: str
) -> None:
    async with (
        a_server(answering("200 OK", b"{}")) as (elsewhere, heard_there),
        a_server(answering("302 Found", b"", f"Location: {elsewhere}/")) as (url, lines),
    ):
        with pytest.raises(ProviderResponseUnreadable):
            await polled_at(url, app_database, owner_database, sealer, provider)
    assert lines
    assert heard_there == []


@pytest.mark.parametrize("provider", ["casso", "payos", "sepay"])
@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        ("200 OK", b"<html>", ProviderResponseUnreadable),
        ("200 OK", b"[]", ProviderResponseUnreadable),
        (
            "200 OK",
            b'{"error":0,"code":"00","data":7,"transactions":7}',
            ProviderResponseUnreadable,
        ),
        (
            "200 OK",
            b'{"error":0,"data":{"records":[7]},"transactions":[7]}',
            ProviderResponseUnreadable,
        ),
        ("200 OK", b" " * 1_000_001, ProviderResponseUnreadable),
        ("401 Unauthorized", b"", ProviderRefusedToken),
        ("403 Forbidden", b"", ProviderRefusedToken),
        ("429 Too Many Requests", b"", ProviderDidNotRespond),
        ("502 Bad Gateway", b"", ProviderDidNotRespond),
    ],
)
async def test_what_is_wrong_with_an_answer_has_a_name(
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    provider: str,
    status: str,
    body: bytes,
    problem: type[PollFailed],
) -> None:
    async with a_server(answering(status, body)) as (url, _):
        with pytest.raises(problem):
            await polled_at(url, app_database, owner_database, sealer, provider)


async def test_casso_is_pulled_for_more_pages_while_they_are_full(
    app_database: Database, owner_database: Database, sealer: Sealer
) -> None:
    row = {"id": 1, "tid": "FT1", "amount": 5_000, "bankSubAccId": "0", "when": "2026-11-20"}
    full = json.dumps({"error": 0, "data": {"records": [row] * 100}}).encode()
    async with a_server(answering("200 OK", full)) as (url, lines):
        asked = await polled_at(url, app_database, owner_database, sealer, "casso")

    assert asked.rows == 0  # all of another account
    pages = [line.partition("page=")[2].partition(" ")[0] for line in lines]
    assert pages == ["1", "2", "3"]


async def test_a_row_that_cannot_be_read_hides_no_other(
    app_database: Database, owner_database: Database, sealer: Sealer
) -> None:
    stall = await a_payable_stall(app_database, is_live=False, provider="casso")
    good: dict[str, Any] = {
        "id": 2, "tid": "FT2", "amount": 5_000, "description": "", "when": "2026-11-20",
        "bankSubAccId": stall.account_number,
    }  # fmt: skip
    rows = [{**good, "amount": "5000"}, None, good, {**good, "id": 3, "amount": -700}]
    body = json.dumps({"error": 0, "data": {"records": rows}}).encode()
    async with a_server(answering("200 OK", body)) as (url, _):
        stall = await a_polled_endpoint(app_database, sealer, stall, url)
        assert (await poll(app_database, sealer, stall)).rows == 1
