"""Asking where what an endpoint keeps sealed does not open: that endpoint's trouble alone."""

from dataclasses import replace

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from core.clock import read_clock
from core.db import Sessions
from core.sealing import Sealer
from core.settings import Settings
from payments.callbacks.errors import (
    AskingFailed,
    ProviderAnswerUnreadable,
    ProviderDidNotAnswer,
    ProviderRefusedToken,
)
from tests.builders import Stall, a_bill, a_stall, read_status
from tests.integration.asking_places import a_server, ask, listen, listing, row, say

pytestmark = pytest.mark.anyio

# The column, its seal broken in one of the ways in which one breaks, and what the vendor is told.
BROKEN = [
    ("sealed_ask_token", "set_byte(sealed_ask_token, 20, 255 - get_byte(sealed_ask_token, 20))",
     ProviderRefusedToken),
    ("sealed_ask_token", "'\\x'", ProviderRefusedToken),
    ("sealed_secrets", "set_byte(sealed_secrets, 2, 255 - get_byte(sealed_secrets, 2))",
     ProviderAnswerUnreadable),
]  # fmt: skip


@pytest.fixture
def sealer(settings: Settings) -> Sealer:
    return Sealer.from_settings(settings)


@pytest.fixture
async def stall(app_sessions: Sessions) -> Stall:
    return await a_stall(app_sessions, is_live=False)


async def break_seal(owner_sessions: Sessions, stall: Stall, column: str, broken: str) -> None:
    query = text(f"UPDATE callback_endpoints SET {column} = {broken} WHERE id = :id")
    async with owner_sessions.begin() as session:
        await session.execute(query, {"id": stall.endpoint_id})


@pytest.mark.parametrize(("column", "broken", "problem"), BROKEN)
async def test_a_broken_seal_at_one_endpoint_takes_no_other_with_it(
    app_sessions: Sessions,
    owner_sessions: Sessions,
    sealer: Sealer,
    stall: Stall,
    column: str,
    broken: str,
    problem: type[AskingFailed],
) -> None:
    bill = await a_bill(app_sessions, stall, now=read_clock())
    body = listing(row(stall, memo=bill.reference))
    async with a_server(say("200 OK", body)) as (url, _), a_server(say("200 OK")) as (odd, lines):
        at_odd = await listen(app_sessions, sealer, replace(stall, provider="casso"), odd)
        await break_seal(owner_sessions, at_odd, column, broken)
        with capture_logs() as logs:
            with pytest.raises(problem):
                await ask(app_sessions, sealer, stall)
            await listen(app_sessions, sealer, stall, url)
            asked = await ask(app_sessions, sealer, stall)

    assert asked.providers == ("sepay",)
    assert (await read_status(app_sessions, stall, bill))[0] == "paid"
    assert lines == []  # nothing was sent there
    failed = [one for one in logs if one["event"] == "asking.failed"]
    assert {one["endpoint"] for one in failed} == {str(at_odd.endpoint_id)}
    assert [(one["problems"], one["surprises"]) for one in failed] == [
        ([problem.code], ["SecretNotReadable"])
    ] * 2


async def test_a_broken_seal_and_a_silent_provider_lead_to_the_seal(
    app_sessions: Sessions, owner_sessions: Sessions, sealer: Sealer, stall: Stall
) -> None:
    async with a_server(say("502 Bad Gateway")) as (url, _):
        await listen(app_sessions, sealer, stall, url)
        with pytest.raises(ProviderDidNotAnswer):
            await ask(app_sessions, sealer, stall)
        other = await listen(app_sessions, sealer, replace(stall, provider="casso"), url)
        await break_seal(owner_sessions, other, "sealed_ask_token", "'\\x'")

        with pytest.raises(ProviderRefusedToken):
            await ask(app_sessions, sealer, stall)
