"""Bills on payOS that are cancelled, paid elsewhere, or owed again: what becomes of their order."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts, CodeState, RailStatus
from payments.credits import assigning
from payments.rails.jobs import resume_requests
from payments.rails.payos import PayOSRequests
from payments.rails.protocol import RailProblem
from payments.rails.results import Result
from payments.rails.rules import ORDERS_MAX, RailAttempt
from payments.rails.service import RailService
from payments.refunds.service import cancel_bill_and_propose_refund
from payments.vietqr import parse
from tests.world.constants import MANAGER
from tests.world.endpoints import an_endpoint
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.rails import RailStall
from tests.world.reads import find_match, read_status

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def cancel(place: RailStall, bill_id: object) -> None:
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        await cancel_bill_and_propose_refund(
            session,
            place.stall.org.id,
            bill_id,  # type: ignore[arg-type]
            actor=MANAGER,
            reason=None,
            now=read_clock(),
        )


async def test_a_cancelled_bill_is_cancelled_at_payos(place: RailStall) -> None:
    bill = await place.open()
    await cancel(place, bill.id)
    place.fail(api_on="cancel", api_fault="error_before", api_calls_left=1)

    await place.resume(bill, rounds=1)
    assert (await place.status_of(bill), place.order(bill.provider_order_id)["status"]) == (
        "open",
        "PENDING",
    )
    await place.resume(bill)

    assert await place.status_of(bill) == "cancelled"
    assert place.order(bill.provider_order_id)["status"] == "CANCELLED"


async def test_a_bill_that_is_cancelled_while_it_is_opened_leaves_no_order_open(
    place: RailStall,
) -> None:
    place.fail(api_slow_ms=1_500, api_calls_left=1)
    opening = asyncio.create_task(place.open())
    while not place.is_asked():  # noqa: ASYNC110 (another program's state)
        await asyncio.sleep(0.01)
    await cancel(place, await place.wait_for_bill())

    bill = await opening
    assert (bill.status, bill.has_code) == ("cancelled", False)
    await place.resume(bill)

    assert place.order(bill.provider_order_id)["status"] == "CANCELLED"
    assert await place.status_of(bill) == "cancelled"


async def test_a_bill_that_is_cancelled_before_payos_is_asked_never_has_an_order(
    place: RailStall, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = asyncio.Event()
    read = RailService._read_attempt

    async def read_later(service: RailService, org_id: UUID, bill_id: UUID) -> RailAttempt:
        await asks.wait()
        return await read(service, org_id, bill_id)

    monkeypatch.setattr(RailService, "_read_attempt", read_later)
    opening = asyncio.create_task(place.open())
    await cancel(place, await place.wait_for_bill())
    asks.set()

    bill = await opening
    assert (bill.status, bill.has_code) == ("cancelled", False)
    assert (await place.status_of(bill), place.count_orders()) == ("cancelled", 0)


async def test_a_bill_that_was_paid_directly_is_cancelled_at_payos(place: RailStall) -> None:
    bill = await place.open()
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        other = await an_endpoint(
            session, place.stall.org, [place.stall.account_id], provider="sepay"
        )
    direct = replace(place.stall, endpoint_id=other, provider="sepay")
    await store_notices(
        place.database, direct, sepay_body(direct, amount_vnd=20_000, memo=bill.reference)
    )
    await process_waiting(place.database, direct)
    assert (await read_status(place.database, place.stall, bill))[0] == "paid"

    await place.resume(bill)

    assert place.order(bill.provider_order_id)["status"] == "CANCELLED"


async def test_a_bill_that_is_owed_again_gets_a_code_again(place: RailStall) -> None:
    """Paid directly, and so cancelled at payOS; then the payment turns out to be another's."""
    bill = await place.open()
    await pay_directly(place, bill)
    await place.resume(bill)
    before = place.order(bill.provider_order_id)
    assert before["status"] == "CANCELLED"
    await take_away(place)
    again = await place.read(bill)
    assert (again.status, again.code_state) == ("open", CodeState.PENDING)

    again = await place.resume(bill)

    assert (again.code_state, again.has_code) == (CodeState.READY, True)
    assert again.provider_order_id != bill.provider_order_id
    assert place.order(again.provider_order_id)["status"] == "PENDING"
    await place.push(place.pay(again, again.code_account))
    assert (await place.read(bill)).status == "paid"


async def test_a_bill_whose_order_was_paid_and_that_is_owed_again_gets_another_order(
    place: RailStall,
) -> None:
    bill = await place.open()
    await place.push(place.pay(bill, bill.code_account))
    await place.resume(bill)
    assert await place.status_of(bill) == "closed"
    await take_away(place)

    again = await place.resume(bill)

    assert (again.status, again.has_code) == ("open", True)
    assert again.provider_order_id != bill.provider_order_id


async def test_a_bill_that_is_owed_again_before_payos_heard_of_it_keeps_its_code(
    place: RailStall,
) -> None:
    bill = await place.open()
    await pay_directly(place, bill)
    await take_away(place)

    again = await place.resume(bill)

    assert (again.status, again.vietqr) == ("open", bill.vietqr)
    assert place.order(bill.provider_order_id)["status"] == "PENDING"
    assert not await place.service().resume(place.stall.org.id, bill.id), "it rests again"


async def test_a_bill_that_is_owed_again_without_its_connection_shows_no_code_of_payos(
    place: RailStall,
) -> None:
    """The other provider reports on the account, so that VietQR direct is safe."""
    bill = await place.open()
    await pay_directly(place, bill)
    await place.resume(bill)
    await take_away(place)
    async with place.owner.begin() as session:
        revoke = "UPDATE callback_endpoints SET revoked_at = now() WHERE provider = 'payos'"
        await session.execute(text(revoke))

    again = await place.resume(bill)

    assert (again.rail_status, again.rail_problem) == ("failed", "no_connection")
    assert (again.code_state, again.code_account) == (CodeState.READY, place.stall.account_number)
    assert parse(again.vietqr).account == place.stall.account_number


async def pay_directly(place: RailStall, bill: BillFacts) -> None:
    """Pay by a transfer that another provider reports."""
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        other = await an_endpoint(
            session, place.stall.org, [place.stall.account_id], provider="sepay"
        )
    direct = replace(place.stall, endpoint_id=other, provider="sepay")
    body = sepay_body(direct, amount_vnd=20_000, memo=bill.reference)
    await store_notices(place.database, direct, body)
    await process_waiting(place.database, direct)


async def take_away(place: RailStall) -> None:
    """Say that the last credit is a sale, and no payment of a bill."""
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        last = text("SELECT id FROM bank_transactions ORDER BY id DESC LIMIT 1")
        credit_id = (await session.execute(last)).scalar_one()
        await assigning.assign_credit(
            session,
            place.stall.org.id,
            credit_id,
            payee_id=place.stall.payee_id,
            by_management=True,
            seen_match_id=await find_match(place.database, place.stall, credit_id),
            actor=MANAGER,
            now=read_clock(),
        )


async def test_the_worker_cancels_at_payos_what_is_cancelled_here(
    place: RailStall, worker_database: Database
) -> None:
    kept, dropped = await place.open(), await place.open()
    await cancel(place, dropped.id)
    databases = JobDatabases(app=place.database, worker=worker_database)
    rails = place.service()

    assert await resume_requests(databases, rails, now=read_clock()) == 1
    assert await resume_requests(databases, rails, now=read_clock()) == 0

    assert place.order(dropped.provider_order_id)["status"] == "CANCELLED"
    assert place.order(kept.provider_order_id)["status"] == "PENDING"


async def test_a_refused_request_that_is_made_again_is_refused_as_plainly(
    place: RailStall,
) -> None:
    place.sandbox.delete(f"/control/subscriptions/{place.subscription_id}")
    bill = await place.open()
    assert (bill.rail_status, bill.rail_problem) == ("failed", "keys_refused")

    for n in range(2, ORDERS_MAX + 1):
        assert await place.service().request_again(bill.org_id, bill.id)
        again = await place.read(bill)
        assert (again.rail_status, again.rail_problem) == ("failed", "keys_refused")
        assert again.provider_order_id == PayOSRequests().number_order(bill.reference, n)

    assert not await place.service().request_again(bill.org_id, bill.id)  # numbers are used up
    place.introduce()
    assert place.count_orders() == 0


async def test_a_result_of_before_does_not_count_for_a_request_that_was_made_again(
    place: RailStall,
) -> None:
    bill = await place.open()
    service = place.service()
    late = await service._read_attempt(bill.org_id, bill.id)
    await cancel_there(place, bill)

    assert await service.request_again(bill.org_id, bill.id)

    assert late.attempts == 1
    result = Result(status=RailStatus.FAILED, problem=RailProblem.ORDER_REFUSED)
    await service._store(late, PayOSRequests(), result)
    again = await place.read(bill)
    assert (again.rail_status, again.code_state) == ("open", CodeState.READY)
    assert again.code_account != bill.code_account


@pytest.mark.parametrize("status", ["pending", "unknown", "open"])
async def test_nothing_is_requested_again_while_an_order_may_pay_the_bill(
    place: RailStall, status: str
) -> None:
    bill = await place.open()
    async with place.owner.begin() as session:
        await session.execute(text(f"UPDATE rail_requests SET status = '{status}'"))

    assert not await place.service().request_again(bill.org_id, bill.id)

    assert place.count_orders() == 1


async def test_a_bill_that_is_requested_again_many_times_at_once_has_one_new_order(
    place: RailStall,
) -> None:
    bill = await place.open()
    await cancel_there(place, bill)

    await asyncio.gather(*(place.service().request_again(bill.org_id, bill.id) for _ in range(6)))

    assert place.count_orders() == 2
    assert (await place.read(bill)).code_state is CodeState.READY


async def cancel_there(place: RailStall, bill: BillFacts) -> None:
    """Write that payOS has cancelled the order: as after a bill that cash had paid."""
    async with place.owner.begin() as session:
        await session.execute(text("UPDATE rail_requests SET status = 'cancelled'"))
