"""A bill on the payOS rail: opened in three steps, paid by its order, and left alone until then."""

import asyncio
import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payos import PayOS
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.errors import BillCodeFailed, BillCodePending
from payments.bills.references import SERIAL_COUNT, make_reference
from payments.bills.rules import CodeState
from payments.rails import calls
from payments.rails.errors import RailNeedsAmount, RailNotAvailable
from payments.rails.payos import ORDER_CODE_MAX, PayOSRequests, sign_create
from payments.rails.queries import find_due
from payments.rails.rules import ORDERS_MAX
from payments.vietqr import parse
from tests.payments.rails.test_payos_cancelled_and_owed_again import cancel, pay_directly
from tests.world.constants import BUSY_S
from tests.world.endpoints import an_endpoint
from tests.world.rails import RailStall
from tests.world.reads import read_status

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SOON_S = 0.4


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is given up after a moment."""
    monkeypatch.setattr(calls, "CALL_TIMEOUT_S", SOON_S)


async def rules_of(place: RailStall) -> list[str]:
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        return list(await session.scalars(text("SELECT rule FROM matches ORDER BY id")))


async def test_a_bill_shows_the_code_that_payos_made(place: RailStall) -> None:
    bill = await place.open()

    order = place.order(bill.provider_order_id)
    assert (order["status"], order["amount"]) == ("PENDING", 20_000)
    code = parse(bill.vietqr)
    assert (bill.rail, bill.rail_status, bill.code_state) == ("payos", "open", CodeState.READY)
    assert (code.account, code.amount_vnd) == (bill.code_account, 20_000)
    assert bill.code_account != bill.account_number, "the order's own virtual account"
    assert bill.reference in (code.additional.purpose or ""), "people read it in their app"
    assert bill.checkout_url is not None
    assert await place.count("events", "kind = 'bill.code_changed'") == 1


async def test_an_account_that_is_not_linked_gets_a_short_description(place: RailStall) -> None:
    place.sandbox.delete(f"/control/subscriptions/{place.subscription_id}")
    known = {"bin": "970436", "number": place.stall.account_number}
    facts = {"provider": "payos", "secret": "s3cret-of-the-test", "is_linked": False}
    keys = {"client_id": place.client_id, "api_key": place.token, "accounts": [known]}
    place.sandbox.post("/control/subscriptions", json={**facts, **keys}).raise_for_status()

    bill = await place.open()

    assert bill.rail_status == "open"
    purpose = parse(bill.vietqr).additional.purpose or ""
    assert purpose.endswith(bill.reference[-9:])
    assert bill.reference not in purpose
    assert place.count_orders() == 1


async def test_money_is_matched_by_its_order(place: RailStall) -> None:
    bill = await place.open()

    await place.push(place.pay(bill, bill.code_account))

    assert await read_status(place.database, place.stall, bill) == ("paid", 20_000, 20_000)
    assert await rules_of(place) == ["provider_order"]
    await place.resume(bill)
    assert await place.status_of(bill) == "closed"
    assert place.order(bill.provider_order_id)["status"] == "PAID"


async def test_a_lost_callback_is_found_by_asking_about_the_order(place: RailStall) -> None:
    bill = await place.open()
    place.pay(bill, bill.code_account)

    asked = await place.poll(bill)

    assert asked.rows == 1
    assert await read_status(place.database, place.stall, bill) == ("paid", 20_000, 20_000)
    assert await rules_of(place) == ["provider_order"]


async def test_money_that_comes_before_payos_has_answered_finds_its_bill(
    place: RailStall,
) -> None:
    place.fail(api_fault="no_answer")  # for the five seconds that a call lasts
    opening = asyncio.create_task(place.open())
    while not place.count_orders():  # noqa: ASYNC110 (another program's state)
        await asyncio.sleep(0.01)
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        order_id = await session.scalar(text("SELECT order_id FROM rail_requests"))
    accounts = place.sandbox.get("/control/payment-requests").json()["accounts"]

    body = {
        "bin": "970436",
        "number": accounts[order_id],
        "amount_vnd": 20_000,
        "memo": "payOS writes its own",
    }
    place.sandbox.post("/control/transfer", json=body).raise_for_status()
    await asyncio.to_thread(place.receiver.wait_for, 1)
    await place.push(place.receiver.received[-1])

    assert not opening.done()
    assert await rules_of(place) == ["provider_order"]
    bill = await opening
    assert await read_status(place.database, place.stall, bill) == ("paid", 20_000, 20_000)


async def test_an_order_whose_answer_was_lost_is_found_cancelled_and_opened_anew(
    place: RailStall, soon: None
) -> None:
    place.fail(api_fault="no_answer", api_calls_left=1)
    lost = await place.open()
    assert (lost.rail_status, lost.code_state) == ("unknown", CodeState.PENDING)
    with pytest.raises(BillCodePending):
        _ = lost.vietqr

    bill = await place.resume(lost)

    assert bill.rail_status == "open"
    assert bill.provider_order_id != lost.provider_order_id
    assert place.order(lost.provider_order_id)["status"] == "CANCELLED"
    assert place.order(bill.provider_order_id)["status"] == "PENDING"
    await place.push(place.pay(bill, bill.code_account))
    assert (await read_status(place.database, place.stall, bill))[0] == "paid"


@pytest.mark.parametrize(("fault", "orders"), [("error_before", 1), ("error_after", 2)])
async def test_payos_out_of_order_leaves_one_order_that_can_be_paid(
    place: RailStall, fault: str, orders: int
) -> None:
    place.fail(api_fault=fault, api_calls_left=1)

    lost = await place.open()
    bill = await place.resume(lost)

    assert (lost.rail_status, bill.rail_status) == ("unknown", "open")
    counted = place.sandbox.get("/control/payment-requests").json()
    assert (counted["count"], counted["by_status"]["PENDING"]) == (orders, 1)


async def test_while_payos_does_not_say_how_an_order_stands_none_is_opened(
    place: RailStall,
) -> None:
    place.fail(api_fault="error_after", api_calls_left=1)
    lost = await place.open()
    place.fail(api_on="show", api_fault="error_before")

    bill = await place.resume(lost)

    assert (bill.rail_status, place.count_orders()) == ("unknown", 1)
    assert bill.provider_order_id == lost.provider_order_id


async def test_a_number_that_another_shop_has_used_is_left_alone(place: RailStall) -> None:
    place.fail(api_fault="error_before", api_calls_left=1)
    lost = await place.open()
    other = await place.open(amount_vnd=30_000)
    async with place.owner.begin() as session:
        for table, column in (("bills", "provider_order_id"), ("rail_requests", "order_id")):
            key = "id" if table == "bills" else "bill_id"
            query = f"UPDATE {table} SET {column} = :order WHERE {key} = :id"
            if table == "bills":  # the other bill is of another hub's, on the same channel
                freed = "UPDATE bills SET provider_order_id = NULL WHERE id = :id"
                await session.execute(text(freed), {"id": other.id})
            values = {"order": other.provider_order_id, "id": lost.id}
            await session.execute(text(query), values)

    bill = await place.resume(lost)

    assert bill.rail_status == "open"
    assert place.order(other.provider_order_id)["status"] == "PENDING"
    assert place.order(bill.provider_order_id)["amount"] == 20_000


async def test_what_payos_refuses_has_no_code_where_nobody_else_reports(place: RailStall) -> None:
    place.sandbox.delete(f"/control/subscriptions/{place.subscription_id}")

    bill = await place.open()

    assert (bill.rail_status, bill.rail_problem) == ("failed", "keys_refused")
    assert bill.code_state is CodeState.FAILED
    with pytest.raises(BillCodeFailed):
        _ = bill.vietqr


async def test_what_payos_refuses_is_paid_directly_where_somebody_else_reports(
    place: RailStall,
) -> None:
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        await an_endpoint(session, place.stall.org, [place.stall.account_id], provider="sepay")
    place.sandbox.delete(f"/control/subscriptions/{place.subscription_id}")

    bill = await place.open()

    assert (bill.rail_status, bill.code_state) == ("failed", CodeState.READY)
    code = parse(bill.vietqr)
    assert (code.account, code.additional.purpose) == (bill.account_number, bill.reference)


async def test_of_two_hubs_with_one_key_one_asks_payos(place: RailStall) -> None:
    bills = await asyncio.gather(
        *(place.open(service=place.service(), key="order-1") for _ in range(4))
    )

    assert len({bill.id for bill in bills}) == 1
    assert place.count_orders() == 1
    assert (await place.read(bills[0])).rail_status == "open"


async def test_an_opened_request_rests_until_something_happens_to_its_bill(
    place: RailStall, worker_database: Database
) -> None:
    bill, other = await place.open(), await place.open()
    async with worker_database.begin() as session:
        assert await find_due(session, limit=10) == []
        rests = text("SELECT next_attempt_at FROM rail_requests")
        assert set(await session.scalars(rests)) == {bill.monitor_until, other.monitor_until}
    await pay_directly(place, bill)
    await cancel(place, other.id)
    async with worker_database.begin() as session:
        due = await find_due(session, limit=10)
    assert {bill_id for _, bill_id in due} == {bill.id, other.id}


async def test_leases_go_by_the_databases_clock(place: RailStall) -> None:
    """A hub whose clock is a minute ahead takes nothing over that another is at."""
    place.fail(api_fault="no_answer")
    opening = asyncio.create_task(place.open())
    bill_id = await place.wait_for_bill()
    try:
        assert not await place.service(later=timedelta(minutes=1)).resume(
            place.stall.org.id, bill_id
        )
    finally:
        await opening


async def test_what_is_not_answered_in_the_callers_time_is_left_to_the_worker(
    place: RailStall,
) -> None:
    place.fail(api_fault="error_after", api_calls_left=1)
    bill = await place.open()
    place.fail(api_on="show", api_fault="no_answer")
    await place.pass_time(timedelta(minutes=1))
    started_s = time.monotonic()

    assert await place.service().resume(place.stall.org.id, bill.id, within_s=0.3)

    assert time.monotonic() - started_s < 0.3 + BUSY_S
    assert await place.status_of(bill) == "unknown"
    place.fail()
    assert (await place.resume(bill)).has_code


async def test_after_a_part_the_code_asks_for_the_rest(place: RailStall) -> None:
    bill = await place.open(amount_vnd=50_000)

    await place.push(place.pay(bill, bill.code_account))

    rest = await place.read(bill)
    code = parse(rest.vietqr)
    assert (rest.status, code.amount_vnd, code.account) == ("part_paid", 30_000, bill.code_account)


async def test_who_has_no_keys_at_payos_gets_no_bill_there(place: RailStall) -> None:
    async with place.owner.begin() as session:
        await session.execute(text("UPDATE callback_endpoints SET sealed_pull_token = NULL"))

    with pytest.raises(RailNotAvailable):
        await place.open(key="order-1")
    with pytest.raises(RailNeedsAmount):
        await place.open(amount_vnd=None)

    assert await place.count("bills") == await place.count("idempotency_keys") == 0


async def test_what_nobody_watches_any_more_is_no_longer_requested(place: RailStall) -> None:
    place.fail(api_fault="error_before")
    bill = await place.open()

    await place.pass_time(timedelta(hours=25))
    service = place.service(later=timedelta(hours=25))
    assert await service.resume(place.stall.org.id, bill.id)

    assert (await place.status_of(bill), place.count_orders()) == ("closed", 0)
    assert not await service.resume(place.stall.org.id, bill.id)


@given(
    st.sampled_from(["HKXM", "2222", "ZZZZ", "QBSH"]),
    st.integers(0, SERIAL_COUNT - 1),
    st.integers(1, ORDERS_MAX),
)
def test_an_order_code_names_one_bill_and_fits_into_a_number(
    code: str, serial: int, n: int
) -> None:
    numbers = PayOSRequests()
    reference = make_reference(code, serial)
    other = make_reference(code, (serial + 1) % SERIAL_COUNT)

    order = int(numbers.number_order(reference, n))

    assert 10**15 <= order <= ORDER_CODE_MAX
    assert order != int(numbers.number_order(other, n))
    assert order != int(numbers.number_order(reference, n % ORDERS_MAX + 1))


def test_a_creation_is_signed_as_payos_own_sdk_signs_it() -> None:
    told = {
        "orderCode": 1_000_000_000_000_123,
        "amount": 20_000,
        "description": "PPHKXM2345678",
        "cancelUrl": "http://hub.test/p/HKXM-abc",
        "returnUrl": "http://hub.test/p/HKXM-abc",
    }
    with PayOS(client_id="c", api_key="k", checksum_key="key") as sdk:
        theirs = sdk.crypto.create_signature_of_payment_request(told, "key")

    assert sign_create(told, b"key") == theirs
