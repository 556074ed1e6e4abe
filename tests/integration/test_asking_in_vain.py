"""Asking a provider that cannot be asked, or answers nothing that can be used: each has a name."""

import json
import time
from typing import Any

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Sessions, open_org_transaction
from core.sealing import Sealer
from core.settings import Settings
from payments.callbacks.asking import Asked
from payments.callbacks.errors import (
    AskingFailed,
    BadAskToken,
    ProviderAnswerUnreadable,
    ProviderCannotBeAsked,
    ProviderDidNotAnswer,
    ProviderRefusedToken,
)
from payments.callbacks.service import create_endpoint
from tests.builders import MANAGER, a_bill, a_stall, an_id_number
from tests.integration.asking_places import SECRET, a_server, ask, drip, listen, say, with_order

pytestmark = pytest.mark.anyio

PROMISED_S = 5.0


@pytest.fixture
def sealer(settings: Settings) -> Sealer:
    return Sealer.from_settings(settings)


async def test_vietqrvn_cannot_be_asked_and_takes_no_token(
    app_sessions: Sessions, sealer: Sealer
) -> None:
    stall = await a_stall(app_sessions, is_live=False, provider="vietqrvn")
    with pytest.raises(BadAskToken):
        await listen(app_sessions, sealer, stall, "http://127.0.0.1:1")
    await listen(app_sessions, sealer, stall, "http://127.0.0.1:1", token=None)

    with pytest.raises(ProviderCannotBeAsked):
        await ask(app_sessions, sealer, stall)


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
    app_sessions: Sessions,
    sealer: Sealer,
    provider: str,
    token: str | None,
    client_id: str | None,
) -> None:
    stall = await a_stall(app_sessions, is_live=False, provider=provider)
    with pytest.raises(BadAskToken):
        async with open_org_transaction(app_sessions, stall.org.id) as session:
            await create_endpoint(
                session,
                stall.org,
                provider=provider,
                name="Hỏi lại",
                secret=SECRET,
                is_sandbox=True,
                account_ids=[],
                ask_url=None,
                ask_token=token,
                ask_client_id=client_id,
                sealer=sealer,
                actor=MANAGER,
                now=read_clock(),
            )


async def test_tokens_are_sealed(app_sessions: Sessions, sealer: Sealer) -> None:
    stall = await a_stall(app_sessions, is_live=False, provider="payos")
    await listen(app_sessions, sealer, stall, "http://127.0.0.1:1", token="k3y", client_id="sh0p")

    async with open_org_transaction(app_sessions, stall.org.id) as session:
        query = text("SELECT e::text FROM callback_endpoints e")
        stored = " ".join((await session.execute(query)).scalars())
    for text_ in ("k3y", "sh0p"):
        assert text_ not in stored
        assert text_.encode().hex() not in stored


async def asked_at(
    url: str, app_sessions: Sessions, owner_sessions: Sessions, sealer: Sealer, provider: str
) -> Asked:
    stall = await a_stall(app_sessions, is_live=False, provider=provider)
    stall = await listen(app_sessions, sealer, stall, url)
    if provider == "payos":
        for _ in range(3):
            bill = await a_bill(app_sessions, stall, now=read_clock())
            await with_order(owner_sessions, bill, str(an_id_number()))
    return await ask(app_sessions, sealer, stall)


@pytest.mark.parametrize("provider", ["casso", "payos"])
async def test_a_provider_that_only_drips_is_given_up_within_five_seconds(
    app_sessions: Sessions, owner_sessions: Sessions, sealer: Sealer, provider: str
) -> None:
    async with a_server(drip) as (url, lines):
        began = time.monotonic()
        with pytest.raises(ProviderDidNotAnswer):
            await asked_at(url, app_sessions, owner_sessions, sealer, provider)
        assert time.monotonic() - began < PROMISED_S
        assert len(lines) == (3 if provider == "payos" else 1)


@pytest.mark.parametrize("provider", ["casso", "payos", "sepay"])
async def test_nobody_sends_the_token_elsewhere(
    app_sessions: Sessions, owner_sessions: Sessions, sealer: Sealer, provider: str
) -> None:
    async with (
        a_server(say("200 OK", b"{}")) as (elsewhere, heard_there),
        a_server(say("302 Found", b"", f"Location: {elsewhere}/")) as (url, lines),
    ):
        with pytest.raises(ProviderAnswerUnreadable):
            await asked_at(url, app_sessions, owner_sessions, sealer, provider)
    assert lines
    assert heard_there == []


@pytest.mark.parametrize("provider", ["casso", "payos", "sepay"])
@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        ("200 OK", b"<html>", ProviderAnswerUnreadable),
        ("200 OK", b"[]", ProviderAnswerUnreadable),
        ("200 OK", b'{"error":0,"code":"00","data":7,"transactions":7}', ProviderAnswerUnreadable),
        (
            "200 OK",
            b'{"error":0,"data":{"records":[7]},"transactions":[7]}',
            ProviderAnswerUnreadable,
        ),
        ("200 OK", b" " * 1_000_001, ProviderAnswerUnreadable),
        ("401 Unauthorized", b"", ProviderRefusedToken),
        ("403 Forbidden", b"", ProviderRefusedToken),
        ("429 Too Many Requests", b"", ProviderDidNotAnswer),
        ("502 Bad Gateway", b"", ProviderDidNotAnswer),
    ],
)
async def test_what_is_wrong_with_an_answer_has_a_name(
    app_sessions: Sessions,
    owner_sessions: Sessions,
    sealer: Sealer,
    provider: str,
    status: str,
    body: bytes,
    problem: type[AskingFailed],
) -> None:
    async with a_server(say(status, body)) as (url, _):
        with pytest.raises(problem):
            await asked_at(url, app_sessions, owner_sessions, sealer, provider)


async def test_casso_is_asked_for_more_pages_while_they_are_full(
    app_sessions: Sessions, owner_sessions: Sessions, sealer: Sealer
) -> None:
    row = {"id": 1, "tid": "FT1", "amount": 5_000, "bankSubAccId": "0", "when": "2026-11-20"}
    full = json.dumps({"error": 0, "data": {"records": [row] * 100}}).encode()
    async with a_server(say("200 OK", full)) as (url, lines):
        asked = await asked_at(url, app_sessions, owner_sessions, sealer, "casso")

    assert asked.rows == 0  # all of another account
    pages = [line.partition("page=")[2].partition(" ")[0] for line in lines]
    assert pages == ["1", "2", "3"]


async def test_a_row_that_cannot_be_read_hides_no_other(
    app_sessions: Sessions, owner_sessions: Sessions, sealer: Sealer
) -> None:
    stall = await a_stall(app_sessions, is_live=False, provider="casso")
    good: dict[str, Any] = {
        "id": 2, "tid": "FT2", "amount": 5_000, "description": "", "when": "2026-11-20",
        "bankSubAccId": stall.account_number,
    }  # fmt: skip
    rows = [{**good, "amount": "5000"}, None, good, {**good, "id": 3, "amount": -700}]
    body = json.dumps({"error": 0, "data": {"records": rows}}).encode()
    async with a_server(say("200 OK", body)) as (url, _):
        stall = await listen(app_sessions, sealer, stall, url)
        assert (await ask(app_sessions, sealer, stall)).rows == 1
