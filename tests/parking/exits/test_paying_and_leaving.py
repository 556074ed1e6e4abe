"""A vehicle is quoted, pays by a code, in cash, by a pass or an exemption, and leaves."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.collections.errors import CollectionIdTaken
from parking.collections.rules import CollectionFacts, CollectionRail
from parking.exits.errors import AmountNotDue, NothingDue, NotPaid, PlateDiffers
from parking.exits.leaving import LeaveFacts, LeaveRequest, leave
from parking.exits.owner import handle_bill_change
from parking.exits.paying import Taken, collect, open_bill
from parking.exits.rules import OWNER_KIND, ExitReason
from parking.exits.standing import Standing, get_stay, read_standing
from parking.shifts.errors import NoOpenShift
from payments.bills.owners import OwnersInbox
from payments.bills.rules import BillFacts
from payments.credits import corrections
from tests.payments.invariants import find_violations
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.lots import CAR
from tests.world.notices import pay
from tests.world.parking_sessions import (
    GRACE,
    HOURLY_VND,
    PER_VISIT_VND,
    Gate,
    a_bill_wanted,
    a_stay,
    an_attendant,
    cash,
)
from tests.world.reads import list_breaks, list_events, read_status

pytestmark = pytest.mark.anyio

LATER = NOON + timedelta(hours=1)


async def show_bill(
    database: Database,
    gate: Gate,
    stay_id: UUID,
    amount_vnd: int,
    *,
    now: datetime = NOON,
    id_: UUID | None = None,
) -> BillFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await open_bill(
            session,
            gate.org_id,
            stay_id,
            a_bill_wanted(gate, amount_vnd, id_=id_),
            priced_at=now,
            actor=gate.attendant,
            now=now,
        )


async def take(
    database: Database, gate: Gate, stay_id: UUID, taken: Taken, *, now: datetime = NOON
) -> CollectionFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await collect(
            session, gate.org_id, stay_id, taken, priced_at=now, actor=gate.attendant, now=now
        )


async def let_out(
    database: Database, gate: Gate, *stay_ids: UUID, now: datetime = NOON, **facts: Any
) -> list[Any]:
    async with open_org_transaction(database, gate.org_id) as session:
        requests = [LeaveRequest(session_id=one, actor=gate.attendant, **facts) for one in stay_ids]
        return await leave(session, gate.org_id, requests, now=now)


async def look(database: Database, gate: Gate, stay_id: UUID, *, now: datetime = NOON) -> Standing:
    async with open_org_transaction(database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, stay_id)
        return await read_standing(session, gate.org_id, stay, at=now)


async def notify(database: Database, gate: Gate, *, now: datetime = NOON) -> int:
    inbox = OwnersInbox(database, {OWNER_KIND: handle_bill_change}, read_clock=lambda: now)
    return await inbox.sweep([gate.org_id], wait_s=5)


async def count_inside(database: Database, gate: Gate) -> tuple[int, int]:
    """Credentials inside, and what the occupancy says."""
    async with open_org_transaction(database, gate.org_id) as session:
        rows = await session.scalar(text("SELECT count(*) FROM inside"))
        said = await session.scalar(text("SELECT sum(inside_count) FROM occupancy"))
    return int(rows or 0), int(said or 0)


async def test_a_motorbike_pays_by_code_and_leaves(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)
    assert (await look(app_database, gate, stay_id)).due_vnd == PER_VISIT_VND

    bill = await show_bill(app_database, gate, stay_id, PER_VISIT_VND)
    assert (await let_out(app_database, gate, stay_id))[0].__class__ is NotPaid
    assert await pay(app_database, gate.stall, bill) == "settle"
    assert await notify(app_database, gate) == 1

    (left,) = await let_out(app_database, gate, stay_id)
    assert isinstance(left, LeaveFacts)
    assert (left.reason, left.price_vnd, left.paid_vnd, left.arrears_vnd) == (
        "paid",
        5_000,
        5_000,
        0,
    )
    assert await count_inside(app_database, gate) == (0, 0)
    events = await list_events(app_database, gate.stall)
    assert events[-2:] == ["parking.session_paid", "parking.left"]
    assert find_violations(fresh_database.owner_url) == []


async def test_a_paid_vehicle_leaves_before_its_session_has_heard_of_it(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    bill = await show_bill(app_database, gate, stay_id, PER_VISIT_VND)
    await pay(app_database, gate.stall, bill)

    (left,) = await let_out(app_database, gate, stay_id)
    assert isinstance(left, LeaveFacts)
    assert left.paid_vnd == PER_VISIT_VND

    assert await notify(app_database, gate) == 1
    assert (await look(app_database, gate, stay_id)).stay.paid_vnd == PER_VISIT_VND


async def test_cash_closes_the_bill_and_what_comes_on_it_is_to_be_given_back(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)
    bill = await show_bill(app_database, gate, stay_id, PER_VISIT_VND)

    taken = await take(app_database, gate, stay_id, cash(PER_VISIT_VND))

    assert taken.receipt_number == "PT26-01-000001"
    assert (await read_status(app_database, gate.stall, bill))[0] == "cancelled"
    assert isinstance((await let_out(app_database, gate, stay_id))[0], LeaveFacts)
    assert await pay(app_database, gate.stall, bill) == "closed_bill"
    assert await list_breaks(app_database, gate.stall) == ["refund_due"]
    await notify(app_database, gate)
    assert (await look(app_database, gate, stay_id)).stay.paid_vnd == PER_VISIT_VND
    assert find_violations(fresh_database.owner_url) == []


async def test_a_part_that_came_by_code_stays_paid_when_the_rest_is_taken_in_cash(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate)
    bill = await show_bill(app_database, gate, stay_id, PER_VISIT_VND)
    assert await pay(app_database, gate.stall, bill, amount_vnd=3_000) == "part"

    with pytest.raises(AmountNotDue, match="2000"):
        await take(app_database, gate, stay_id, cash(PER_VISIT_VND))
    await take(app_database, gate, stay_id, cash(2_000))

    assert isinstance((await let_out(app_database, gate, stay_id))[0], LeaveFacts)
    assert await list_breaks(app_database, gate.stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_the_ladder_goes_on_where_it_stood_after_the_grace(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, vehicle_class=CAR)  # since eleven
    now = NOON + timedelta(minutes=30)  # the second hour
    await take(app_database, gate, stay_id, cash(2 * HOURLY_VND), now=now)

    assert (await look(app_database, gate, stay_id, now=now + GRACE)).due_vnd == 0
    late = now + GRACE + timedelta(seconds=1)
    assert (await look(app_database, gate, stay_id, now=late)).due_vnd == 0  # still its hour
    third = NOON + timedelta(minutes=61)
    assert (await look(app_database, gate, stay_id, now=third)).due_vnd == HOURLY_VND
    assert isinstance((await let_out(app_database, gate, stay_id, now=third))[0], NotPaid)


async def test_within_its_grace_a_vehicle_leaves_though_another_hour_has_begun(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, vehicle_class=CAR)
    now = NOON - timedelta(minutes=1)
    await take(app_database, gate, stay_id, cash(HOURLY_VND), now=now)

    (left,) = await let_out(app_database, gate, stay_id, now=now + GRACE)

    assert isinstance(left, LeaveFacts)
    assert (left.paid_vnd, left.arrears_vnd) == (HOURLY_VND, 0)


async def test_a_bill_for_another_amount_than_is_due_is_refused(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)

    with pytest.raises(AmountNotDue, match="5000 ₫ are due"):
        await show_bill(app_database, gate, stay_id, 4_000)
    with pytest.raises(AmountNotDue):
        await take(app_database, gate, stay_id, cash(6_000))


async def test_the_same_amount_is_asked_for_by_the_same_bill_and_another_by_another(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, vehicle_class=CAR)
    id_ = new_id()
    first = await show_bill(app_database, gate, stay_id, HOURLY_VND, id_=id_)
    again = await show_bill(app_database, gate, stay_id, HOURLY_VND, id_=id_)
    other_phone = await show_bill(app_database, gate, stay_id, HOURLY_VND)
    assert {first.id, again.id, other_phone.id} == {id_}

    grown = await show_bill(app_database, gate, stay_id, 2 * HOURLY_VND, now=LATER)

    assert grown.id != id_
    assert (await read_status(app_database, gate.stall, first))[0] == "cancelled"


async def test_cash_that_is_recorded_twice_counts_once(app_database: Database, gate: Gate) -> None:
    stay_id = await a_stay(app_database, gate)
    id_ = new_id()

    first = await take(app_database, gate, stay_id, cash(PER_VISIT_VND, id_=id_))
    again = await take(app_database, gate, stay_id, cash(PER_VISIT_VND, id_=id_))

    assert first == again
    assert (await look(app_database, gate, stay_id)).stay.paid_vnd == PER_VISIT_VND
    with pytest.raises(CollectionIdTaken):
        await take(app_database, gate, stay_id, cash(4_000, id_=id_))
    with pytest.raises(NothingDue):
        await take(app_database, gate, stay_id, cash(PER_VISIT_VND))


async def test_nothing_is_collected_without_an_open_shift_at_the_lot(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    stranger = await an_attendant(app_database, gate.lot)
    async with open_org_transaction(app_database, gate.org_id) as session:
        with pytest.raises(NoOpenShift):
            await collect(
                session,
                gate.org_id,
                stay_id,
                cash(PER_VISIT_VND),
                priced_at=NOON,
                actor=stranger,
                now=NOON,
            )


async def test_an_exemption_needs_a_reason_and_says_what_it_would_have_cost(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)

    taken = await take(
        app_database,
        gate,
        stay_id,
        Taken(id=new_id(), rail=CollectionRail.EXEMPT, amount_vnd=None, reason="Xe cứu thương"),
    )

    assert (taken.amount_vnd, taken.receipt_number) == (PER_VISIT_VND, None)
    (left,) = await let_out(app_database, gate, stay_id)
    assert left.reason == "exempt"


async def test_who_leaves_without_paying_owes_it_at_the_next_visit(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(app_database, gate, plate="29AA99999")
    (left,) = await let_out(
        app_database, gate, stay_id, forced=ExitReason.ARREARS, words="Xe bỏ chạy"
    )
    assert (left.reason, left.arrears_vnd) == ("arrears", PER_VISIT_VND)

    standing = await look(app_database, gate, stay_id, now=LATER)
    assert standing.due_vnd == PER_VISIT_VND
    await take(app_database, gate, stay_id, cash(PER_VISIT_VND), now=LATER)

    assert (await look(app_database, gate, stay_id, now=LATER)).due_vnd == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_arrears_are_paid_by_a_code_too(app_database: Database, gate: Gate) -> None:
    stay_id = await a_stay(app_database, gate)
    await let_out(app_database, gate, stay_id, forced=ExitReason.ARREARS, words="Xe bỏ chạy")
    bill = await show_bill(app_database, gate, stay_id, PER_VISIT_VND, now=LATER)

    await pay(app_database, gate.stall, bill, now=LATER)
    await notify(app_database, gate, now=LATER)

    assert (await look(app_database, gate, stay_id, now=LATER)).stay.arrears_vnd == 0


async def test_another_plate_going_out_is_an_alarm_until_a_person_confirms_it(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, plate="29AA11111")
    await take(app_database, gate, stay_id, cash(PER_VISIT_VND))

    (answer,) = await let_out(app_database, gate, stay_id, plate="29AA11112")
    assert isinstance(answer, PlateDiffers)
    (left,) = await let_out(app_database, gate, stay_id, plate="29AA11112", is_plate_confirmed=True)

    assert isinstance(left, LeaveFacts)
    assert "parking.plate_differed" in await list_events(app_database, gate.stall)


async def test_many_leave_in_one_transaction_each_for_itself(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    paid = [await a_stay(app_database, gate) for _ in range(3)]
    unpaid = await a_stay(app_database, gate)
    for one in paid:
        await take(app_database, gate, one, cash(PER_VISIT_VND))

    answers = await let_out(app_database, gate, paid[0], unpaid, paid[1], new_id(), paid[2])

    assert [type(one).__name__ for one in answers] == [
        "LeaveFacts",
        "NotPaid",
        "LeaveFacts",
        "ParkingSessionNotFound",
        "LeaveFacts",
    ]
    assert await count_inside(app_database, gate) == (1, 1)
    (again,) = await let_out(app_database, gate, paid[0], now=LATER)
    assert again.is_repeat
    assert again.left_at == NOON
    assert find_violations(fresh_database.owner_url) == []


async def test_a_payment_that_is_taken_back_is_owed_again(
    app_database: Database, gate: Gate
) -> None:
    """A manager said that the credit was another one's: the vehicle, gone, owes what it was."""
    stay_id = await a_stay(app_database, gate)
    bill = await show_bill(app_database, gate, stay_id, PER_VISIT_VND)
    await pay(app_database, gate.stall, bill)
    await notify(app_database, gate)
    await let_out(app_database, gate, stay_id)
    async with open_org_transaction(app_database, gate.org_id) as session:
        credit_id = UUID(str(await session.scalar(text("SELECT id FROM bank_transactions"))))
        await corrections.mark_same_money(
            session, gate.org_id, credit_id, actor=gate.attendant, now=NOON
        )

    await notify(app_database, gate)

    stay = (await look(app_database, gate, stay_id)).stay
    assert (stay.paid_vnd, stay.arrears_vnd) == (0, PER_VISIT_VND)
