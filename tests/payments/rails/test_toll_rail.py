"""Charges to toll accounts: what the operator may answer, and what each answer comes to."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import Database
from core.errors import HubError
from core.ids import new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from parking.exits.errors import NothingDue
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.paying import collect
from parking.exits.toll import NextStep, next_step
from payments.bills.queries import get_bill
from payments.bills.rules import BillStatus
from payments.breaks.errors import BreakHeld
from payments.breaks.service import close_break
from payments.ledger.rules import toll_receivable, unapplied
from payments.ledger.service import read_balance
from payments.rails.toll import settling
from payments.rails.toll.errors import TollIdTaken, TollNotRefundable, TollUnderWay
from payments.rails.toll.protocol import TollAnswer
from payments.rails.toll.rules import RefundStatus, TollFacts
from tests.payments.invariants import find_violations
from tests.world.constants import BUSY_S, MANAGER
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_stay, cash
from tests.world.tolls import (
    CLIENT_ID,
    ENOUGH_VND,
    PLATE,
    TOLL_SECRET,
    TollGate,
    a_gate_of_today,
    a_toll_gate,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    with a_template(cluster, a_gate_of_today) as template:
        yield template


@pytest.fixture
async def place(
    gate_template: Template[Gate], app_database: Database, owner_database: Database, sealer: Sealer
) -> AsyncIterator[TollGate]:
    async with a_toll_gate(gate_template.holds, app_database, owner_database, sealer) as made:
        yield made


async def a_guest(place: TollGate) -> UUID:
    return await a_stay(place.database, place.gate, plate=PLATE, entered_at=read_clock())


async def take_cash(place: TollGate, stay_id: UUID) -> object:
    now = read_clock()
    async with open_org_transaction(place.database, place.org_id) as session:
        return await collect(
            session,
            place.org_id,
            stay_id,
            cash(PER_VISIT_VND),
            priced_at=now,
            actor=place.gate.attendant,
            now=now,
        )


async def read_balances(place: TollGate) -> tuple[int, int]:
    async with open_org_transaction(place.database, place.org_id) as session:
        owed = await read_balance(session, place.org_id, toll_receivable(place.contract_id))
        open_ = await read_balance(session, place.org_id, unapplied(place.contract_id))
    return -owed, open_


async def read_bill_status(place: TollGate, toll: TollFacts) -> str:
    async with open_org_transaction(place.database, place.org_id) as session:
        return (await get_bill(session, place.org_id, toll.bill_id)).status


def read_wallet(place: TollGate) -> int:
    (wallet,) = place.read_operator()["wallets"]
    balance_vnd: int = wallet["balance_vnd"]
    return balance_vnd


async def test_a_charge_pays_the_bill_and_the_vehicle_may_leave(
    place: TollGate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_guest(place)

    toll = await place.charge(stay_id)

    assert (toll.status, toll.kept_vnd, next_step(toll)) == (
        "charged",
        PER_VISIT_VND,
        NextStep.LEAVE,
    )
    assert await read_bill_status(place, toll) == BillStatus.PAID
    assert await read_balances(place) == (PER_VISIT_VND, 0)
    assert read_wallet(place) == ENOUGH_VND - PER_VISIT_VND
    async with open_org_transaction(place.database, place.org_id) as session:
        request = LeaveRequest(session_id=stay_id, actor=place.gate.attendant)
        (left,) = await leave(session, place.org_id, [request], now=read_clock())
    assert not isinstance(left, HubError)
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize(
    ("wallet", "problem"),
    [
        ({"balance_vnd": PER_VISIT_VND - 1}, "not_enough_money"),
        ({"is_locked": True}, "account_locked"),
    ],
)
async def test_a_declined_charge_leaves_the_bill_to_its_qr(
    place: TollGate, wallet: dict[str, object], problem: str
) -> None:
    place.fill_wallet(**wallet)
    stay_id = await a_guest(place)

    toll = await place.charge(stay_id)

    assert (toll.status, toll.problem) == ("declined", problem)
    assert next_step(toll) is NextStep.OTHER_PAYMENT
    async with open_org_transaction(place.database, place.org_id) as session:
        bill = await get_bill(session, place.org_id, toll.bill_id)
    assert bill.has_code
    place.fill_wallet()
    assert (await place.charge(stay_id)).status == "charged"  # another id: another try


async def test_a_plate_without_a_wallet_is_declined(place: TollGate) -> None:
    toll = await place.charge(await a_guest(place), account="30A99999")

    assert (toll.status, toll.problem) == ("declined", "account_unknown")


@pytest.mark.parametrize("fault", ["no_answer", "error_after", "wrong_signature", "wrong_amount"])
async def test_an_answer_that_proves_nothing_is_looked_up_and_never_sent_again(
    place: TollGate, fault: str
) -> None:
    place.misbehave(fault=fault, calls_left=1)
    stay_id = await a_guest(place)
    id_ = await place.write(stay_id)
    began = time.monotonic()

    toll = await place.tolls.charge(place.org_id, id_, account=PLATE)

    assert time.monotonic() - began < 3 + BUSY_S
    assert (toll.status, next_step(toll)) == ("unknown", NextStep.OTHER_PAYMENT)
    with pytest.raises(TollUnderWay):
        await place.write(stay_id)
    found = await place.look_up(toll.id)
    assert (found.status, found.kept_vnd) == ("charged", PER_VISIT_VND)
    assert read_wallet(place) == ENOUGH_VND - PER_VISIT_VND


async def test_a_request_that_never_arrived_is_declined_once_it_cannot_arrive_any_more(
    place: TollGate,
) -> None:
    place.misbehave(fault="error_before", calls_left=1)
    toll = await place.charge(await a_guest(place))
    assert toll.status == "unknown"

    assert (await place.look_up(toll.id)).status == "unknown"  # it may still be on its way
    late = await place.look_up(toll.id, is_old=True)

    assert (late.status, late.problem) == ("declined", "not_arrived")
    assert read_wallet(place) == ENOUGH_VND


async def test_a_pending_charge_that_succeeds_after_cash_is_a_refund_due(
    place: TollGate, fresh_database: FreshDatabase
) -> None:
    place.misbehave(fault="pending")
    stay_id = await a_guest(place)
    toll = await place.charge(stay_id)
    assert (toll.status, next_step(toll)) == ("pending", NextStep.OTHER_PAYMENT)
    await take_cash(place, stay_id)
    place.operator.post(f"/control/toll/charges/{toll.id}/decide").raise_for_status()

    late = await place.look_up(toll.id)

    assert (late.status, late.kept_vnd, late.left_vnd) == ("charged", 0, PER_VISIT_VND)
    assert await read_bill_status(place, toll) == BillStatus.CANCELLED
    (due,) = await place.read_breaks()
    assert (due.kind, due.subject_id, due.amount_vnd) == ("refund_due", toll.id, PER_VISIT_VND)
    assert await read_balances(place) == (PER_VISIT_VND, PER_VISIT_VND)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_refund_gives_the_money_back_and_closes_its_break(
    place: TollGate, fresh_database: FreshDatabase
) -> None:
    place.misbehave(fault="no_answer", calls_left=1)
    stay_id = await a_guest(place)
    toll = await place.charge(stay_id)
    await take_cash(place, stay_id)
    await place.look_up(toll.id)
    place.misbehave(fault="error_after", on="reverse", calls_left=1)

    first = await place.tolls.refund(place.org_id, toll.id, actor=MANAGER, reason="Trả hai lần")

    assert first.refund_status == "pending"  # carried out, and the answer was lost
    done = await place.look_up(toll.id)
    assert (done.refund_status, done.refunded_vnd, done.left_vnd) == ("refunded", PER_VISIT_VND, 0)
    assert read_wallet(place) == ENOUGH_VND  # given back once
    again = await place.tolls.refund(place.org_id, toll.id, actor=MANAGER, reason="Lần nữa")
    assert again == done
    assert await read_balances(place) == (0, 0)
    assert [(one.decision, one.closed_at is None) for one in await place.read_breaks()] == [
        ("refunded", False)
    ]
    assert find_violations(fresh_database.owner_url) == []


async def close_in_words(place: TollGate) -> None:
    (one,) = await place.read_breaks()
    async with open_org_transaction(place.database, place.org_id) as session:
        await close_break(
            session,
            place.org_id,
            one.id,
            resolution="đã trả khách tiền mặt",
            actor=MANAGER,
            now=read_clock(),
        )


async def test_a_refund_that_is_under_way_is_not_closed_in_words(
    place: TollGate, fresh_database: FreshDatabase
) -> None:
    place.misbehave(fault="no_answer", calls_left=1)
    stay_id = await a_guest(place)
    toll = await place.charge(stay_id)
    await take_cash(place, stay_id)
    await place.look_up(toll.id)
    place.misbehave(fault="error_after", on="reverse", calls_left=1)
    await place.tolls.refund(place.org_id, toll.id, actor=MANAGER, reason="Trả hai lần")

    with pytest.raises(BreakHeld):
        await close_in_words(place)

    assert (await place.look_up(toll.id)).refund_status == "refunded"
    (done,) = await place.read_breaks()
    assert (done.decision, done.closed_at is None) == ("refunded", False)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_refund_that_was_refused_can_be_closed_in_words(place: TollGate) -> None:
    place.misbehave(fault="no_answer", calls_left=1)
    stay_id = await a_guest(place)
    toll = await place.charge(stay_id)
    await take_cash(place, stay_id)
    await place.look_up(toll.id)
    place.misbehave(fault="error_before", on="reverse", calls_left=1)
    await place.tolls.refund(place.org_id, toll.id, actor=MANAGER, reason="Trả hai lần")
    async with open_org_transaction(place.database, place.org_id) as session:
        await settling.store_refund(
            session, place.org_id, toll.id, RefundStatus.REFUSED, now=read_clock()
        )

    await close_in_words(place)

    (done,) = await place.read_breaks()
    assert done.resolution == "đã trả khách tiền mặt"


async def test_the_books_show_a_charge_that_is_neither_kept_nor_going_back(
    place: TollGate, owner_database: Database, fresh_database: FreshDatabase
) -> None:
    await place.charge(await a_guest(place))
    assert find_violations(fresh_database.owner_url) == []

    async with owner_database.begin() as session:
        await session.execute(text("UPDATE toll_requests SET kept_vnd = 0"))

    found = find_violations(fresh_database.owner_url)
    assert any(line.startswith("toll_charges_are_kept_or_go_back") for line in found)


async def test_what_a_person_gave_back_in_cash_is_not_given_back_again(place: TollGate) -> None:
    place.misbehave(fault="no_answer", calls_left=1)
    stay_id = await a_guest(place)
    toll = await place.charge(stay_id)
    await take_cash(place, stay_id)
    await place.look_up(toll.id)
    async with open_org_transaction(place.database, place.org_id) as session:
        (due,) = await place.read_breaks()
        await close_break(
            session,
            place.org_id,
            due.id,
            resolution="đã trả khách tiền mặt",
            actor=MANAGER,
            now=read_clock(),
        )

    with pytest.raises(TollNotRefundable):
        await place.tolls.refund(place.org_id, toll.id, actor=MANAGER, reason="Trả hai lần")
    assert read_wallet(place) == ENOUGH_VND - PER_VISIT_VND


async def test_what_a_bill_keeps_cannot_be_refunded(place: TollGate) -> None:
    toll = await place.charge(await a_guest(place))

    with pytest.raises(TollNotRefundable):
        await place.tolls.refund(place.org_id, toll.id, actor=MANAGER, reason="Không")


async def test_the_same_id_charges_once_and_another_stay_cannot_have_it(place: TollGate) -> None:
    stay_id, id_ = await a_guest(place), new_id()
    await place.charge(stay_id, id_=id_)
    other_id = await a_stay(place.database, place.gate, plate="29AA54321", entered_at=read_clock())

    await place.write(stay_id, id_=id_)  # a repeat writes nothing

    assert len(place.read_operator()["charges"]) == 1
    with pytest.raises(TollIdTaken):
        await place.write(other_id, id_=id_)


async def test_an_operator_that_is_away_costs_the_driver_no_three_seconds(
    gate_template: Template[Gate], app_database: Database, owner_database: Database, sealer: Sealer
) -> None:
    away = a_toll_gate(
        gate_template.holds, app_database, owner_database, sealer, url="http://127.0.0.1:9"
    )
    async with away as place:
        id_ = await place.write(await a_guest(place))
        began = time.monotonic()
        toll = await place.tolls.charge(place.org_id, id_, account=PLATE)

    assert (toll.status, time.monotonic() - began < 3 + BUSY_S) == ("unknown", True)


UNSIGNED = (302, 400, 401, 403, 404, 409, 422, 429, 500, 503)


@pytest.mark.parametrize("status", UNSIGNED)
async def test_an_unsigned_answer_is_no_decision_whatever_its_status(
    place: TollGate, fresh_database: FreshDatabase, status: int
) -> None:
    place.misbehave(fault="error_after", status=status, calls_left=1)

    toll = await place.charge(await a_guest(place))

    assert (toll.status, toll.problem) == ("unknown", None)
    assert next_step(toll) is NextStep.OTHER_PAYMENT
    alarms = [one.kind for one in await place.read_breaks()]
    assert alarms == (["keys_doubted"] if status in (401, 403) else [])
    place.misbehave(fault="error_before", on="find", status=status, calls_left=1)
    assert (await place.look_up(toll.id, is_old=True)).status == "unknown"
    found = await place.look_up(toll.id)  # it was carried out all the same
    assert (found.status, found.kept_vnd) == ("charged", PER_VISIT_VND)
    assert all(one.closed_at is not None for one in await place.read_breaks())
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("status", [401, 403, 404, 500])
async def test_an_unsigned_answer_to_a_refund_leaves_it_under_way(
    place: TollGate, status: int
) -> None:
    place.misbehave(fault="no_answer", calls_left=1)
    stay_id = await a_guest(place)
    toll = await place.charge(stay_id)
    await take_cash(place, stay_id)
    await place.look_up(toll.id)
    place.misbehave(fault="error_after", on="reverse", status=status, calls_left=1)

    asked = await place.tolls.refund(place.org_id, toll.id, actor=MANAGER, reason="Trả hai lần")

    assert asked.refund_status == "pending"
    assert (await place.look_up(toll.id)).refund_status == "refunded"
    assert read_wallet(place) == ENOUGH_VND


async def test_a_key_that_is_not_taken_is_put_to_the_manager_until_it_is_right(
    place: TollGate,
) -> None:
    changed = {"client_id": CLIENT_ID, "secret": "another-secret-of-the-operator"}
    place.operator.post("/control/toll/clients", json=changed).raise_for_status()

    toll = await place.charge(await a_guest(place))
    await place.look_up(toll.id)

    assert (toll.status, toll.problem) == ("unknown", None)
    (alarm,) = await place.read_breaks()
    assert (alarm.kind, alarm.reason, alarm.subject_id) == (
        "keys_doubted",
        "toll_keys_not_taken",
        place.contract_id,
    )
    right = {"client_id": CLIENT_ID, "secret": TOLL_SECRET}
    place.operator.post("/control/toll/clients", json=right).raise_for_status()
    late = await place.look_up(toll.id, is_old=True)
    assert (late.status, late.problem) == ("declined", "not_arrived")
    (alarm,) = await place.read_breaks()
    assert alarm.closed_at is not None


async def test_what_stays_unanswered_for_an_hour_is_put_to_a_person(place: TollGate) -> None:
    place.misbehave(fault="no_answer", calls_left=1)
    toll = await place.charge(await a_guest(place))
    place.misbehave(fault="error_before", on="find")
    async with place.owner.begin() as session:
        await session.execute(text("UPDATE toll_requests SET attempts = 19"))

    await place.look_up(toll.id)

    (question,) = await place.read_breaks()
    assert (question.kind, question.reason) == ("stuck", "toll_unanswered")
    with pytest.raises(BreakHeld):  # the driver may have been charged
        await close_in_words(place)
    place.misbehave()
    await place.look_up(toll.id)
    (answered,) = await place.read_breaks()
    assert answered.closed_at is not None


@pytest.mark.parametrize("round_", range(4))
async def test_of_a_late_success_and_cash_at_once_one_is_kept(
    place: TollGate, fresh_database: FreshDatabase, round_: int
) -> None:
    stay_id = await a_guest(place)
    id_ = await place.write(stay_id)
    ready = asyncio.Barrier(2)
    answer = TollAnswer(
        request_id=id_, status="charged", amount_vnd=PER_VISIT_VND, charged_at=read_clock()
    )

    async def succeed() -> None:
        async with open_org_transaction(place.database, place.org_id) as session:
            await session.connection()
            await ready.wait()
            await asyncio.sleep(0.01 * round_**2)
            await settling.store_charged(session, place.org_id, id_, answer, now=read_clock())

    async def take() -> object:
        await ready.wait()
        try:
            return await take_cash(place, stay_id)
        except NothingDue as error:
            return error

    _, taken = await asyncio.gather(succeed(), take())

    toll = await place.read(id_)
    assert (toll.kept_vnd > 0) == isinstance(taken, NothingDue)
    breaks = await place.read_breaks()
    assert [one.kind for one in breaks] == ([] if toll.kept_vnd else ["refund_due"])
    assert find_violations(fresh_database.owner_url) == []


async def test_a_charge_told_twice_pays_once(place: TollGate) -> None:
    stay_id = await a_guest(place)
    id_ = await place.write(stay_id)
    answer = TollAnswer(
        request_id=id_, status="charged", amount_vnd=PER_VISIT_VND, charged_at=read_clock()
    )
    ready = asyncio.Barrier(3)

    async def store() -> None:
        async with open_org_transaction(place.database, place.org_id) as session:
            await session.connection()
            await ready.wait()
            await settling.store_charged(session, place.org_id, id_, answer, now=read_clock())

    await asyncio.gather(store(), store(), store())

    assert await read_balances(place) == (PER_VISIT_VND, 0)
