"""Asking each provider, over HTTP, at a sandbox in a process of its own.

Money is reported by a callback and by an answer, in both orders, and counted once.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts
from payments.providers import PROVIDERS
from payments.providers.errors import (
    NoOrderToPoll,
    ProviderRefusedToken,
    ProviderResponseUnreadable,
)
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill, put_on_rail
from tests.world.constants import VCB
from tests.world.databases import FreshDatabase
from tests.world.polling import PolledStall, a_polled_endpoint
from tests.world.reads import list_breaks, read_status
from tests.world.receivers import Receiver, a_receiver
from tests.world.sandboxes import SECRET, a_sandbox_process
from tests.world.serials import next_number
from tests.world.stalls import a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PULLS = ["casso", "payos", "sepay", "sepay_apikey"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[httpx.Client]:
    with a_sandbox_process() as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


@pytest.fixture(params=PULLS)
async def place(
    request: pytest.FixtureRequest,
    app_database: Database,
    owner_database: Database,
    sealer: Sealer,
    sandbox: httpx.Client,
    receiver: Receiver,
) -> PolledStall:
    """A stall of each provider that can be polled, known to the sandbox."""
    number = next_number()
    stall = await a_payable_stall(app_database, is_live=False, provider=request.param)
    # The sandbox outlives the databases of the tests, which begin with the same numbers.
    account = f"77{time.time_ns() % 10**12:012d}"
    async with owner_database.begin() as session:
        for table in ("receiving_accounts", "callback_endpoint_accounts"):
            query = f"UPDATE {table} SET account_number = :number WHERE org_id = :org_id"
            await session.execute(text(query), {"number": account, "org_id": stall.org.id})
    stall = replace(stall, account_number=account)
    token, client_id = f"token-{account}", f"shop-{account}-{number}"
    base_url = str(sandbox.base_url).rstrip("/")
    is_payos = request.param == "payos"
    stall = await a_polled_endpoint(
        app_database,
        sealer,
        stall,
        base_url,
        token=token,
        client_id=client_id if is_payos else None,
    )
    place = PolledStall(
        database=app_database,
        owner=owner_database,
        sealer=sealer,
        sandbox=sandbox,
        receiver=receiver,
        stall=stall,
        token=token,
        client_id=client_id,
    )
    place.introduce()
    return place


async def test_what_was_polled_and_is_then_called_back_counts_once(
    place: PolledStall, fresh_database: FreshDatabase
) -> None:
    bill, number = await place.open_bill()
    heard = place.pay(bill, number)

    asked = await place.poll(bill)
    assert (asked.rows, asked.providers) == (1, (place.stall.provider,))
    assert await read_status(place.database, place.stall, bill) == ("paid", 20_000, 20_000)
    await place.push(heard)

    assert await read_status(place.database, place.stall, bill) == ("paid", 20_000, 20_000)
    assert await place.count("bank_transactions") == 1
    assert await place.count("notices", "source = 'callback' AND outcome = 'repeat'") == 1
    assert await list_breaks(place.database, place.stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_what_was_called_back_and_is_then_polled_counts_once(
    place: PolledStall, fresh_database: FreshDatabase
) -> None:
    bill, number = await place.open_bill()
    await place.push(place.pay(bill, number))
    assert await read_status(place.database, place.stall, bill) == ("paid", 20_000, 20_000)

    assert (await place.poll()).rows == 1
    assert (await place.poll(bill)).rows == 1

    assert await read_status(place.database, place.stall, bill) == ("paid", 20_000, 20_000)
    assert await place.count("bank_transactions") == 1
    assert await place.count("notices", "source = 'pulled'") == 0  # known: nothing to keep
    assert await list_breaks(place.database, place.stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_money_paid_twice_is_reported_twice_only(place: PolledStall) -> None:
    bill, number = await place.open_bill()
    first, second = place.pay(bill, number), place.pay(bill, number)
    await place.push(second)

    assert (await place.poll()).rows == 2
    await place.push(first)

    assert await place.count("bank_transactions") == 2
    assert (await read_status(place.database, place.stall, bill))[1:] == (20_000, 40_000)


async def test_no_money_is_an_answer(place: PolledStall) -> None:
    bill, _ = await place.open_bill()

    assert (await place.poll(bill)).rows == 0


async def test_a_callback_and_an_answer_tell_the_same_facts(place: PolledStall) -> None:
    bill, number = await place.open_bill()
    heard = place.pay(bill, number)
    await place.poll()

    async with open_org_transaction(place.database, place.stall.org.id) as session:
        body = await session.scalar(text("SELECT body FROM notices WHERE source = 'pulled'"))
    provider = PROVIDERS[place.stall.provider]
    [asked] = provider.read(body).transactions
    [told] = provider.read(heard.body).transactions
    assert replace(asked, bank_names=()) == replace(told, bank_names=())
    assert asked.bank_names in (told.bank_names, ())  # Casso's list names no bank


async def test_a_token_that_is_not_accepted_is_said(
    place: PolledStall, app_database: Database, sealer: Sealer
) -> None:
    await place.open_bill()
    async with place.owner.begin() as session:
        await session.execute(text("UPDATE callback_endpoints SET revoked_at = now()"))
    await a_polled_endpoint(
        app_database, sealer, place.stall, str(place.sandbox.base_url).rstrip("/"), token="0ld"
    )
    bill, *_ = await place_bill(place)

    with pytest.raises(ProviderRefusedToken):
        await place.poll(bill)
    assert await place.count("notices") == 0


async def place_bill(place: PolledStall) -> tuple[BillFacts]:
    """Open a bill that names an order where the provider wants one."""
    bill = await a_bill(place.database, place.stall, now=read_clock())
    await put_on_rail(place.owner, bill, str(next_number()))
    return (bill,)


@pytest.mark.parametrize("place", ["payos"], indirect=True)
async def test_payos_is_not_accepted_without_its_checksum_key(place: PolledStall) -> None:
    bill, number = await place.open_bill()
    place.pay(bill, number)
    async with place.owner.begin() as session:
        await session.execute(text("UPDATE callback_endpoints SET revoked_at = now()"))
    await a_polled_endpoint(
        place.database,
        place.sealer,
        place.stall,
        str(place.sandbox.base_url).rstrip("/"),
        token=place.token,
        client_id=place.client_id,
        secret="another-checksum-key",
    )

    with pytest.raises(ProviderResponseUnreadable):
        await place.poll(bill)
    assert await place.count("notices") == 0


@pytest.mark.parametrize("place", ["payos"], indirect=True)
async def test_payos_is_pulled_about_the_stalls_own_orders_only(place: PolledStall) -> None:
    with pytest.raises(NoOrderToPoll):
        await place.poll()  # no bill has one
    plain = await a_bill(place.database, place.stall, now=read_clock())
    other, number = await place.open_bill()
    place.pay(other, number)

    with pytest.raises(NoOrderToPoll):
        await place.poll(plain)
    assert (await place.poll()).rows == 1
    assert (await read_status(place.database, place.stall, other))[0] == "paid"


@pytest.mark.parametrize("place", ["payos"], indirect=True)
async def test_an_order_that_payos_does_not_know_hides_no_other(place: PolledStall) -> None:
    bill, number = await place.open_bill()
    place.pay(bill, number)
    await place_bill(place)

    assert (await place.poll()).rows == 1


@pytest.mark.parametrize("place", ["casso"], indirect=True)
async def test_rows_of_another_account_are_left_alone(place: PolledStall) -> None:
    other = {"bin": VCB, "number": f"88{time.time_ns() % 10**12:012d}"}
    holder = {**other, "holder": "HO KINH DOANH QUAY 8"}
    place.sandbox.post("/control/accounts", json=holder).raise_for_status()
    subscription = {
        "provider": "casso",
        "secret": SECRET,
        "api_key": place.token,
        "accounts": [other],
    }
    place.sandbox.post("/control/subscriptions", json=subscription).raise_for_status()
    bill, _ = await place.open_bill()
    strange = {**other, "amount_vnd": 20_000, "memo": bill.reference}
    place.sandbox.post("/control/transfer", json=strange).raise_for_status()

    assert (await place.poll()).rows == 0
    assert await place.count("notices") == 0
