"""Asking where what an endpoint keeps sealed does not open: that endpoint's trouble alone."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from ops.postgres.supervisor import Cluster
from payments.providers.errors import (
    PollFailed,
    ProviderDidNotRespond,
    ProviderRefusedToken,
    ProviderResponseUnreadable,
)
from tests.world.bills import a_bill
from tests.world.databases import Template, a_template
from tests.world.polling import a_polled_endpoint, poll, sepay_listing, sepay_row
from tests.world.reads import read_status
from tests.world.servers import a_server, answering
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio

# The column, its seal broken in one of the ways in which one breaks, and what the vendor is told.
BROKEN = [
    ("sealed_pull_token", "set_byte(sealed_pull_token, 20, 255 - get_byte(sealed_pull_token, 20))",
     ProviderRefusedToken),
    ("sealed_pull_token", "'\\x'", ProviderRefusedToken),
    ("sealed_secrets", "set_byte(sealed_secrets, 2, 255 - get_byte(sealed_secrets, 2))",
     ProviderResponseUnreadable),
]  # fmt: skip


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, partial(a_payable_stall, is_live=False)) as template:
        yield template


async def break_seal(
    owner_database: Database, stall: PayableStall, column: str, broken: str
) -> None:
    query = text(f"UPDATE callback_endpoints SET {column} = {broken} WHERE id = :id")
    async with owner_database.begin() as session:
        await session.execute(query, {"id": stall.endpoint_id})


@pytest.mark.slow
@pytest.mark.parametrize(("column", "broken", "problem"), BROKEN)
async def test_a_broken_seal_at_one_endpoint_takes_no_other_with_it(
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    stall: PayableStall,
    column: str,
    broken: str,
    problem: type[PollFailed],
) -> None:
    bill = await a_bill(app_database, stall, now=read_clock())
    body = sepay_listing(sepay_row(stall, memo=bill.reference))
    async with (
        a_server(answering("200 OK", body)) as (url, _),
        a_server(answering("200 OK")) as (odd, lines),
    ):
        at_odd = await a_polled_endpoint(
            app_database, sealer, replace(stall, provider="casso"), odd
        )
        await break_seal(owner_database, at_odd, column, broken)
        with capture_logs() as logs:
            with pytest.raises(problem):
                await poll(app_database, sealer, stall)
            await a_polled_endpoint(app_database, sealer, stall, url)
            asked = await poll(app_database, sealer, stall)

    assert asked.providers == ("sepay",)
    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert lines == []  # nothing was sent there
    failed = [one for one in logs if one["event"] == "polling.failed"]
    assert {one["endpoint"] for one in failed} == {str(at_odd.endpoint_id)}
    assert [(one["problems"], one["surprises"]) for one in failed] == [
        ([problem.code], ["SecretNotReadable"])
    ] * 2


async def test_a_broken_seal_and_a_silent_provider_lead_to_the_seal(
    app_database: Database, owner_database: Database, sealer: Sealer, stall: PayableStall
) -> None:
    async with a_server(answering("502 Bad Gateway")) as (url, _):
        await a_polled_endpoint(app_database, sealer, stall, url)
        with pytest.raises(ProviderDidNotRespond):
            await poll(app_database, sealer, stall)
        other = await a_polled_endpoint(app_database, sealer, replace(stall, provider="casso"), url)
        await break_seal(owner_database, other, "sealed_pull_token", "'\\x'")

        with pytest.raises(ProviderRefusedToken):
            await poll(app_database, sealer, stall)
