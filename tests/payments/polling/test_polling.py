""" "Kiểm tra giao dịch": whom the hub asks, what it keeps of the answer, and what it settles."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from core.db import Database
from core.sealing import Sealer
from core.settings import Settings, read_origin
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from payments.connections.errors import BadPullUrl
from payments.connections.service import EndpointRequest, create_endpoint
from payments.polling.client import RESPONSE_BYTES_MAX
from payments.polling.service import PolledAccount
from payments.providers.errors import ProviderResponseUnreadable
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON
from tests.world.databases import Template, a_template
from tests.world.notices import sepay_body, store_notices
from tests.world.polling import poll, sepay_row
from tests.world.reads import count_rows, list_breaks, read_status
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio

SANDBOX = "http://sandbox.test:8300"


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, partial(a_payable_stall, is_live=False)) as template:
        yield template


async def listen(
    database: Database, sealer: Sealer, stall: PayableStall, *, pull_url: str
) -> str | None:
    """Make an endpoint that can be polled; return where."""
    async with open_org_transaction(database, stall.org.id) as session:
        endpoint, _ = await create_endpoint(
            session,
            stall.org,
            EndpointRequest(
                provider="sepay",
                name="SePay",
                is_sandbox=True,
                account_ids=[stall.account_id],
                pull_url=pull_url,
                pull_token="token-of-the-provider",
            ),
            sandbox_origins=(SANDBOX,),
            sealer=sealer,
            actor=MANAGER,
            now=NOON,
        )
        return endpoint.pull_url


async def ask(
    database: Database,
    sealer: Sealer,
    stall: PayableStall,
    answer: Callable[[httpx.Request], httpx.Response],
) -> PolledAccount:
    """Ask a provider that answers like this."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        return await poll(database, sealer, stall, client=client, now=NOON)


def tell(*rows: dict[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    body = json.dumps({"transactions": rows}).encode()
    return lambda _: httpx.Response(200, stream=Whole(body))


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
    app_database: Database, stall: PayableStall, sealer: Sealer, address: str
) -> None:
    with pytest.raises(BadPullUrl):
        await listen(app_database, sealer, stall, pull_url=address)


async def test_of_an_allowed_address_the_origin_alone_is_kept(
    app_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    address = f"{SANDBOX.upper()}/admin?x=1#y"

    assert await listen(app_database, sealer, stall, pull_url=address) == SANDBOX


def test_an_operator_names_origins_and_nothing_more(settings: Settings) -> None:
    facts = settings.model_dump()
    named = Settings(**facts | {"sandbox_origins": f"{SANDBOX}, https://[::1]:8300"})
    assert named.sandbox_origins == (SANDBOX, "https://[::1]:8300")
    assert read_origin("https://user:secret@a.test/path") == "https://a.test"
    for wrong in ("sandbox.test", f"{SANDBOX}/", "http://A.test", "http://"):
        with pytest.raises(ValueError, match="PHOPAY_SANDBOX_ORIGINS"):
            Settings(**facts | {"sandbox_origins": wrong})


async def test_what_is_reported_again_is_not_kept_again(
    app_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    await listen(app_database, sealer, stall, pull_url=SANDBOX)
    bill = await a_bill(app_database, stall)
    answer = tell(sepay_row(stall, memo=bill.reference, occurred_at=NOON))

    asked = [await ask(app_database, sealer, stall, answer) for _ in range(3)]

    assert [one.rows for one in asked] == [1, 1, 1]
    assert await count_rows(app_database, stall, "notices", "source = 'pulled'") == 1
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)


@pytest.mark.parametrize("cut", ["pho", ""])
async def test_a_reference_that_only_a_later_answer_has_pays_its_bill(
    app_database: Database, stall: PayableStall, sealer: Sealer, cut: str
) -> None:
    await listen(app_database, sealer, stall, pull_url=SANDBOX)
    bill = await a_bill(app_database, stall)

    for memo in (cut, bill.reference, bill.reference, cut):
        await ask(app_database, sealer, stall, tell(sepay_row(stall, memo=memo, occurred_at=NOON)))

    assert await count_rows(app_database, stall, "notices", "source = 'pulled'") == 2
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, stall) == []


async def test_another_amount_is_kept_as_evidence(
    app_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    await listen(app_database, sealer, stall, pull_url=SANDBOX)
    bill = await a_bill(app_database, stall)
    await ask(
        app_database, sealer, stall, tell(sepay_row(stall, memo=bill.reference, occurred_at=NOON))
    )

    changed = sepay_row(stall, memo=bill.reference, amount_vnd=90_000, occurred_at=NOON)
    await ask(app_database, sealer, stall, tell(changed))

    assert await count_rows(app_database, stall, "notices", "source = 'pulled'") == 2
    assert await list_breaks(app_database, stall) == ["contradiction"]


async def test_a_vendor_who_polls_waits_for_no_backlog(
    app_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    await listen(app_database, sealer, stall, pull_url=SANDBOX)
    waiting, mine = await a_bill(app_database, stall), await a_bill(app_database, stall)
    await store_notices(
        app_database, stall, sepay_body(stall, amount_vnd=20_000, memo=waiting.reference)
    )

    await ask(
        app_database, sealer, stall, tell(sepay_row(stall, memo=mine.reference, occurred_at=NOON))
    )

    assert (await read_status(app_database, stall, mine))[0] == "paid"
    assert (await read_status(app_database, stall, waiting))[0] == "open"


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
    app_database: Database, stall: PayableStall, sealer: Sealer
) -> None:
    await listen(app_database, sealer, stall, pull_url=SANDBOX)
    endless = Endless()

    with pytest.raises(ProviderResponseUnreadable):
        await ask(app_database, sealer, stall, lambda _: httpx.Response(200, stream=endless))

    assert endless.sent_bytes < RESPONSE_BYTES_MAX + 2 * 65_536
