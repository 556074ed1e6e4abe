"""Two stays of one vehicle become one."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from parking.collections.rules import CollectionRail
from parking.exits.errors import NotInside, StaysNotJoinable
from parking.exits.jobs import review_stale
from parking.exits.joining import join_stays
from parking.exits.leaving import LeaveFacts, LeaveRequest, leave
from parking.exits.paying import Taken, collect, open_bill
from parking.exits.rules import ExitReason, StayFacts
from parking.exits.standing import get_stay
from parking.exits.tickets import open_ticket, read_whole_stay
from parking.exits.undoing import reverse_collection
from parking.shifts.views import RailTotal, read_report
from payments.bills.queries import get_bill
from payments.credits import corrections
from tests.parking.exits.joining_steps import (
    HOUR,
    PLATE,
    TICKET,
    handle_changes,
    join,
    pay_by_code,
    read,
    read_due,
    read_inside,
    take_cash,
)
from tests.parking.exits.test_races import leaving, race
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.lots import CAR
from tests.world.parking_sessions import (
    HOURLY_VND,
    PER_VISIT_VND,
    Gate,
    a_bill_wanted,
    a_stay,
)
from tests.world.passes import a_pass_in_force

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("is_ticket_first", [True, False])
async def test_a_ticket_and_a_plate_of_one_vehicle_are_one_stay_from_the_first_entry_on(
    app_database: Database, gate: Gate, is_ticket_first: bool
) -> None:
    first, second = ({"ticket": TICKET}, {"plate": PLATE})
    if not is_ticket_first:
        first, second = second, first
    kept_id = await a_stay(app_database, gate, entered_at=NOON - 3 * HOUR, **first)
    other_id = await a_stay(app_database, gate, entered_at=NOON - 2 * HOUR, **second)

    joined = [
        await join(app_database, gate, *ids)
        for ids in ((other_id, kept_id), (kept_id, other_id), (other_id, kept_id))
    ]

    assert {(one.id, one.plate, one.ticket, one.status) for one in joined} == {
        (kept_id, PLATE, TICKET, "inside")
    }
    other = await read(app_database, gate, other_id)
    assert (other.status, other.plate, other.ticket) == (
        "voided", second.get("plate"), second.get("ticket"),
    )  # fmt: skip
    assert await read_inside(app_database, gate) == (
        1,
        {(f"motorbike:{PLATE}", kept_id), (TICKET, kept_id)},
    )


async def test_what_was_paid_of_the_voided_stay_counts_for_the_other_and_stays_where_it_was(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    kept_id = await a_stay(
        app_database, gate, vehicle_class=CAR, ticket=TICKET, entered_at=NOON - 3 * HOUR
    )
    other_id = await a_stay(
        app_database, gate, vehicle_class=CAR, plate=PLATE, entered_at=NOON - 2 * HOUR
    )
    await take_cash(app_database, gate, other_id, 2 * HOURLY_VND)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await session.execute(text("UPDATE parking_sessions SET paid_until = NULL"))

    await join(app_database, gate, kept_id, other_id)

    assert (await read(app_database, gate, kept_id)).paid_vnd == 2 * HOURLY_VND
    assert (await read(app_database, gate, other_id)).paid_vnd == 0
    assert await read_due(app_database, gate, kept_id) == HOURLY_VND
    async with open_org_transaction(app_database, gate.org_id) as session:
        taken_for = await session.scalar(text("SELECT session_id FROM collections"))
    assert taken_for == other_id
    assert find_violations(fresh_database.owner_url) == []


async def test_money_that_moved_without_a_link_is_seen(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    kept_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR)
    other_id = await a_stay(app_database, gate, plate=PLATE)
    await take_cash(app_database, gate, other_id, PER_VISIT_VND)
    await join(app_database, gate, kept_id, other_id)

    with psycopg.connect(fresh_database.owner_url) as owner:
        assert owner.execute("UPDATE stay_links SET moved_vnd = moved_vnd - 1000").rowcount == 1

    found = {line.partition(":")[0] for line in find_violations(fresh_database.owner_url)}
    assert found == {"stays_agree_with_what_was_paid"}


async def test_cash_that_is_taken_back_after_a_join_is_owed_by_the_kept_stay(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    kept_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR)
    other_id = await a_stay(app_database, gate, plate=PLATE)
    collection_id = await take_cash(app_database, gate, other_id, PER_VISIT_VND)
    await join(app_database, gate, kept_id, other_id)
    assert await read_due(app_database, gate, kept_id) == 0

    async with open_org_transaction(app_database, gate.org_id) as session:
        await reverse_collection(
            session, gate.org_id, collection_id, may_override=True, reason="Thu nhầm",
            actor=MANAGER, now=NOON,
        )  # fmt: skip

    assert await read_due(app_database, gate, kept_id) == PER_VISIT_VND
    assert (await read(app_database, gate, other_id)).arrears_vnd == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_an_exemption_counts_for_the_kept_stay_and_is_taken_back_there(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    kept_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR)
    other_id = await a_stay(app_database, gate, plate=PLATE)
    free = Taken(id=new_id(), rail=CollectionRail.EXEMPT, amount_vnd=None, reason="Xe cứu hoả")
    async with open_org_transaction(app_database, gate.org_id) as session:
        await collect(
            session, gate.org_id, other_id, free, priced_at=NOON, actor=gate.attendant, now=NOON
        )
    await join(app_database, gate, kept_id, other_id)
    kept = await read(app_database, gate, kept_id)
    assert (kept.paid_vnd, kept.waived_vnd) == (0, PER_VISIT_VND)

    async with open_org_transaction(app_database, gate.org_id) as session:
        await reverse_collection(
            session, gate.org_id, free.id, may_override=True, reason="Nhầm xe",
            actor=MANAGER, now=NOON,
        )  # fmt: skip

    assert await read_due(app_database, gate, kept_id) == PER_VISIT_VND
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("is_handled_first", [True, False])
async def test_a_code_that_was_paid_counts_for_the_kept_stay_whenever_the_hub_hears_of_it(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, is_handled_first: bool
) -> None:
    kept_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR)
    other_id = await a_stay(app_database, gate, plate=PLATE)
    await pay_by_code(app_database, gate, other_id, PER_VISIT_VND)
    if is_handled_first:
        await handle_changes(app_database, gate)

    await join(app_database, gate, kept_id, other_id)
    await handle_changes(app_database, gate)

    kept, other = [await read(app_database, gate, one) for one in (kept_id, other_id)]
    assert (kept.paid_vnd, kept.bill_paid_vnd) == (PER_VISIT_VND, 0)
    assert (other.paid_vnd, other.bill_paid_vnd) == (0, PER_VISIT_VND)
    assert await read_due(app_database, gate, kept_id) == 0
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("has_left", [False, True])
async def test_a_payment_that_the_bank_takes_back_after_a_join_is_owed_by_the_kept_stay(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, has_left: bool
) -> None:
    kept_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR)
    other_id = await a_stay(app_database, gate, plate=PLATE)
    await pay_by_code(app_database, gate, other_id, PER_VISIT_VND)
    await handle_changes(app_database, gate)
    await join(app_database, gate, kept_id, other_id)
    async with open_org_transaction(app_database, gate.org_id) as session:
        if has_left:
            await leave(
                session,
                gate.org_id,
                [LeaveRequest(session_id=kept_id, actor=gate.attendant)],
                now=NOON,
            )
        credit_id = UUID(str(await session.scalar(text("SELECT id FROM bank_transactions"))))
        await corrections.mark_same_money(
            session, gate.org_id, credit_id, actor=gate.attendant, now=NOON
        )

    await handle_changes(app_database, gate)

    kept, other = [await read(app_database, gate, one) for one in (kept_id, other_id)]
    assert (kept.paid_vnd, other.paid_vnd, other.arrears_vnd) == (0, 0, 0)
    assert await read_due(app_database, gate, kept_id) == PER_VISIT_VND
    assert kept.arrears_vnd == (PER_VISIT_VND if has_left else 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_what_paid_for_a_joined_stay_is_shown_with_the_one_that_goes_on(
    app_database: Database, gate: Gate
) -> None:
    """To its driver, who may complain of it, and to who looks into that."""
    kept_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 3 * HOUR)
    in_cash = await a_stay(app_database, gate, entered_at=NOON - 2 * HOUR)
    by_code = await a_stay(app_database, gate, plate=PLATE)
    collection_id = await take_cash(app_database, gate, in_cash, PER_VISIT_VND)
    bill = await pay_by_code(app_database, gate, by_code, PER_VISIT_VND)
    for other_id in (in_cash, by_code):
        await join(app_database, gate, kept_id, other_id)

    async with open_org_transaction(app_database, gate.org_id) as session:
        stays = [await get_stay(session, gate.org_id, one) for one in (kept_id, in_cash)]
        kept, joined = [await read_whole_stay(session, gate.org_id, one, at=NOON) for one in stays]

    assert [one.id for one in kept.collections] == [collection_id]
    assert [one.id for one in kept.bills] == [bill.id]
    assert ([one.id for one in joined.collections], joined.bills) == ([collection_id], ())


async def test_the_hand_over_counts_a_code_of_a_joined_stay_once_where_the_vehicle_left(
    app_database: Database, gate: Gate
) -> None:
    kept_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR)
    other_id = await a_stay(app_database, gate, plate=PLATE)
    await pay_by_code(app_database, gate, other_id, PER_VISIT_VND)
    await join(app_database, gate, kept_id, other_id)
    async with open_org_transaction(app_database, gate.org_id) as session:
        request = LeaveRequest(session_id=kept_id, actor=gate.attendant)
        await leave(session, gate.org_id, [request], now=NOON)

        report = await read_report(session, gate.org_id, gate.shift_id)

    assert (report.entered, report.left, report.due_vnd) == (1, 1, PER_VISIT_VND)
    assert report.by_rail == {"vietqr": RailTotal(count=1, amount_vnd=PER_VISIT_VND)}


async def test_open_codes_are_cancelled_because_another_amount_is_due(
    app_database: Database, gate: Gate
) -> None:
    stays = [
        await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR),
        await a_stay(app_database, gate, plate=PLATE),
    ]
    async with open_org_transaction(app_database, gate.org_id) as session:
        bills = [
            await open_bill(
                session, gate.org_id, stay_id, a_bill_wanted(gate, PER_VISIT_VND), priced_at=NOON,
                actor=gate.attendant, now=NOON,
            )
            for stay_id in stays
        ]  # fmt: skip

    await join(app_database, gate, *stays)

    async with open_org_transaction(app_database, gate.org_id) as session:
        states = [(await get_bill(session, gate.org_id, one.id)).status for one in bills]
    assert states == ["cancelled", "cancelled"]


async def test_one_that_left_goes_on_and_what_the_other_paid_is_off_its_arrears(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    ticket_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR)
    plate_id = await a_stay(app_database, gate, plate=PLATE)
    await take_cash(app_database, gate, ticket_id, PER_VISIT_VND)
    async with open_org_transaction(app_database, gate.org_id) as session:
        request = LeaveRequest(
            session_id=plate_id, actor=gate.attendant, forced=ExitReason.ARREARS, words="đi rồi"
        )
        (left,) = await leave(session, gate.org_id, [request], now=NOON)
    assert isinstance(left, LeaveFacts)
    assert left.arrears_vnd == PER_VISIT_VND

    kept = await join(app_database, gate, ticket_id, plate_id)

    assert (kept.id, kept.status, kept.arrears_vnd, kept.ticket) == (plate_id, "left", 0, TICKET)
    assert await read_inside(app_database, gate) == (0, set())
    assert find_violations(fresh_database.owner_url) == []


async def test_the_ticket_of_a_voided_stay_opens_the_one_that_goes_on(
    app_database: Database, gate: Gate
) -> None:
    kept_id = await a_stay(app_database, gate, plate=PLATE, entered_at=NOON - 2 * HOUR)
    other_id = await a_stay(app_database, gate, ticket=TICKET)
    await join(app_database, gate, kept_id, other_id)

    async with open_org_transaction(app_database, gate.org_id) as session:
        key = await session.scalar(
            text("SELECT ticket_key FROM parking_sessions WHERE id = :id"), {"id": other_id}
        )
        assert (await open_ticket(session, gate.org_id, other_id, key)).id == kept_id


async def test_a_stay_that_gets_its_plate_is_on_the_pass_of_that_plate(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass_in_force(app_database, gate.org_id, plates=[PLATE])
    kept_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR)
    other_id = await a_stay(app_database, gate, plate=PLATE)

    kept = await join(app_database, gate, kept_id, other_id)

    assert kept.pass_id == pass_id
    assert await read_due(app_database, gate, kept_id) == 0


async def test_one_under_review_that_is_joined_was_looked_at_and_is_not_asked_about_at_once(
    app_database: Database, worker_database: Database, gate: Gate
) -> None:
    kept_id = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 80 * HOUR)
    other_id = await a_stay(app_database, gate, plate=PLATE)
    databases = JobDatabases(app=app_database, worker=worker_database)
    assert await review_stale(databases, now=NOON) == 1

    kept = await join(app_database, gate, other_id, kept_id)

    assert (kept.id, kept.status) == (kept_id, "inside")
    assert await review_stale(databases, now=NOON + HOUR) == 0


async def test_what_is_not_two_stays_of_one_place_is_not_joined(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    car_id = await a_stay(app_database, gate, vehicle_class=CAR)
    left = [await a_stay(app_database, gate) for _ in range(2)]
    async with open_org_transaction(app_database, gate.org_id) as session:
        requests = [
            LeaveRequest(
                session_id=one, actor=gate.attendant, forced=ExitReason.MANUAL, words="quen"
            )
            for one in left
        ]
        await leave(session, gate.org_id, requests, now=NOON)

    for one, other in ((stay_id, stay_id), (stay_id, car_id), (left[0], left[1])):
        with pytest.raises(StaysNotJoinable):
            await join(app_database, gate, one, other)


async def test_one_that_others_were_joined_into_is_voided_no_more_but_takes_others(
    app_database: Database, gate: Gate
) -> None:
    first, second, third, earlier = [
        await a_stay(app_database, gate, entered_at=NOON - hours * HOUR) for hours in (4, 3, 2, 5)
    ]
    await join(app_database, gate, first, second)
    await join(app_database, gate, first, third)

    with pytest.raises(StaysNotJoinable):
        await join(app_database, gate, earlier, first)
    with pytest.raises(StaysNotJoinable):
        await join(app_database, gate, earlier, second)
    assert (await read_inside(app_database, gate))[0] == 2


async def test_of_a_join_and_an_exit_at_once_the_vehicle_is_out_once_and_the_books_agree(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    def joining(one: UUID, other: UUID) -> Any:
        async def move(session: AsyncSession) -> Any:
            return await join_stays(
                session, gate.org_id, one, other, reason="Một xe", actor=MANAGER, now=NOON
            )

        return move

    for n in range(6):
        kept_id = await a_stay(app_database, gate, ticket=f"B{n:05d}", entered_at=NOON - 2 * HOUR)
        other_id = await a_stay(app_database, gate)
        await take_cash(app_database, gate, other_id, PER_VISIT_VND)
        leaver = (kept_id, other_id)[n % 2]

        joined, left = await race(
            app_database,
            gate,
            joining(other_id, kept_id),
            leaving(gate, leaver, forced=ExitReason.MANUAL, words="quen"),
        )

        assert isinstance(joined, StayFacts), joined
        (left,) = left
        assert isinstance(left, LeaveFacts | NotInside), left
        inside = await read_inside(app_database, gate)
        assert inside[0] == len({stay_id for _, stay_id in inside[1]})
        assert isinstance(left, LeaveFacts) == (inside[0] == 0)
        if inside[0]:  # it was joined first: who drove out is found again by the other credential
            await race(
                app_database, gate, leaving(gate, joined.id, forced=ExitReason.MANUAL, words="quen")
            )
    assert await read_inside(app_database, gate) == (0, set())
    assert find_violations(fresh_database.owner_url) == []


async def test_of_two_joins_at_once_both_answer_the_same(
    app_database: Database, gate: Gate
) -> None:
    one = await a_stay(app_database, gate, ticket=TICKET, entered_at=NOON - 2 * HOUR)
    other = await a_stay(app_database, gate, plate=PLATE)

    def joining(first: UUID, second: UUID) -> Any:
        async def move(session: AsyncSession) -> Any:
            return await join_stays(
                session, gate.org_id, first, second, reason="Một xe", actor=MANAGER, now=NOON
            )

        return move

    found = await race(app_database, gate, joining(one, other), joining(other, one))

    assert [getattr(each, "id", each) for each in found] == [one, one]
    assert (await read_inside(app_database, gate))[0] == 1
