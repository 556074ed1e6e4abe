"""Passes are sold by a bill, hold once it is paid, are renewed, revoked, and change plates."""

from collections.abc import AsyncIterator
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from core.clock import day_bounds, hanoi_day
from core.db import Database
from core.errors import InvalidRequest
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from parking.passes import queries
from parking.passes.errors import NoMonthlyPrice, NothingToPay, PassNotRenewable, PassRevoked
from parking.passes.jobs import warn_of_ends
from parking.passes.rules import BILL_VALID_FOR, PassState
from parking.passes.service import change_plates, renew_pass, revoke_pass
from parking.passes.types import PassView
from parking.places.errors import LotClosed
from parking.sessions.rules import Verdict
from parking.sessions.writer import EntryWriter
from payments.bills.service import cancel_bill
from payments.credits import corrections
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.entries import a_plate, an_entry
from tests.world.lots import CAR, MOTORBIKE, a_lot
from tests.world.notices import pay
from tests.world.parking_sessions import Gate, a_gate
from tests.world.passes import (
    MONTH_VND,
    a_pass,
    an_exemption,
    look_at_pass,
    notify_passes,
    show_bill,
    with_monthly_prices,
)
from tests.world.reads import find_credit, list_breaks, list_events, read_status
from tests.world.refunds import a_refund, find_payments, take

pytestmark = pytest.mark.anyio

TODAY = hanoi_day(NOON)
PRICE_VND = MONTH_VND[MOTORBIKE]
LAST = date(2026, 12, 19)  # of a month that begins today


@pytest.fixture
async def writer(gate_database: Database) -> AsyncIterator[EntryWriter]:
    writer = EntryWriter(gate_database, read_clock=lambda: NOON)
    yield writer
    await writer.drain()


async def renew(database: Database, gate: Gate, one: PassView, *, months: int = 1) -> PassView:
    async with open_org_transaction(database, gate.org_id) as session:
        await renew_pass(
            session, gate.org_id, one.id, months=months, id_=new_id(), actor=MANAGER, now=NOON
        )
    return await look_at_pass(database, gate, one.id)


async def revoke(database: Database, gate: Gate, one: PassView) -> PassView:
    async with open_org_transaction(database, gate.org_id) as session:
        await revoke_pass(
            session, gate.org_id, one.id, actor=MANAGER, reason="Chuyển nhà", now=NOON
        )
    return await look_at_pass(database, gate, one.id)


async def test_a_pass_is_in_force_once_its_bill_is_paid(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, writer: EntryWriter
) -> None:
    plate = a_plate()
    pass_id = await a_pass(app_database, gate, plate, is_paid=False, months=2)
    unpaid = await look_at_pass(app_database, gate, pass_id)
    bill = await show_bill(app_database, gate, pass_id)
    before = await writer.enter(an_entry(gate.lot, plate=plate))

    assert await pay(app_database, gate.stall, bill) == "settle"
    assert await notify_passes(app_database, gate) == 1

    sold = await look_at_pass(app_database, gate, pass_id)
    assert (unpaid.state(TODAY), sold.state(TODAY)) == (PassState.UNPAID, PassState.IN_FORCE)
    assert (sold.valid_from, sold.valid_until) == (TODAY, date(2027, 1, 19))
    assert (bill.amount_vnd, bill.purpose) == (2 * PRICE_VND, "Vé tháng 20/11/2026–19/01/2027")
    assert (bill.owner_kind, bill.owner_id) == ("parking_pass", pass_id)
    assert before.pass_id is None
    other = an_entry(gate.lot, plate=a_plate())
    assert (await writer.enter(other)).pass_id is None
    assert "parking.pass_paid" in await list_events(app_database, gate.stall)
    assert find_violations(fresh_database.owner_url) == []


async def test_the_same_bill_is_shown_again_until_it_ends_and_then_another(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate, is_paid=False)
    first = await show_bill(app_database, gate, pass_id)
    again = await show_bill(app_database, gate, pass_id, now=NOON + timedelta(hours=1))
    later = NOON + BILL_VALID_FOR

    fresh = await show_bill(app_database, gate, pass_id, now=later)

    assert again.id == first.id != fresh.id
    assert fresh.amount_vnd == first.amount_vnd
    assert await read_status(app_database, gate.stall, first) == ("cancelled", 0, 0)
    # Both are paid: the fresh one counts, what came on the old one goes back.
    await pay(app_database, gate.stall, first, now=later)
    await pay(app_database, gate.stall, fresh, now=later)
    await notify_passes(app_database, gate, now=later)
    sold = await look_at_pass(app_database, gate, pass_id)
    assert (sold.state(TODAY), sold.valid_until) == (PassState.IN_FORCE, LAST)
    assert await list_breaks(app_database, gate.stall) == ["refund_due"]


async def test_a_bill_paid_late_counts_for_the_days_that_are_left(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate, is_paid=False)
    bill = await show_bill(app_database, gate, pass_id)
    late = day_bounds(LAST)[1] - timedelta(seconds=1)

    await pay(app_database, gate.stall, bill, now=late)
    await notify_passes(app_database, gate, now=late)

    sold = await look_at_pass(app_database, gate, pass_id)
    assert (sold.state(LAST), sold.valid_until) == (PassState.IN_FORCE, LAST)
    assert await list_breaks(app_database, gate.stall) == []


async def test_money_for_months_that_are_over_is_to_be_given_back(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    pass_id = await a_pass(app_database, gate, is_paid=False)
    bill = await show_bill(app_database, gate, pass_id)
    too_late = day_bounds(LAST)[1]

    await pay(app_database, gate.stall, bill, now=too_late)
    await notify_passes(app_database, gate, now=too_late)

    sold = await look_at_pass(app_database, gate, pass_id)
    assert sold.in_force_at is None
    assert await list_breaks(app_database, gate.stall) == ["nothing_given"]
    with pytest.raises(NothingToPay):
        await show_bill(app_database, gate, pass_id, now=too_late)
    assert find_violations(fresh_database.owner_url) == []
    credit_id = await find_credit(app_database, gate.stall)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await corrections.mark_same_money(
            session, gate.org_id, credit_id, actor=MANAGER, now=too_late
        )
    await notify_passes(app_database, gate, now=too_late)
    assert "nothing_given" not in await list_breaks(app_database, gate.stall)


async def test_a_refund_that_comes_to_nothing_is_not_paid_a_second_time(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate, is_paid=False)
    bill = await show_bill(app_database, gate, pass_id)
    await pay(app_database, gate.stall, bill)
    await notify_passes(app_database, gate)
    (payment_id,) = await find_payments(app_database, gate.stall, bill)
    refund = await a_refund(
        app_database, gate.stall, payment_id=payment_id, amount_vnd=bill.amount_vnd or 0
    )
    await take(app_database, gate.stall, refund, "confirm", bank_reference="FT1")
    await notify_passes(app_database, gate)
    told = await list_events(app_database, gate.stall)

    await take(app_database, gate.stall, refund, "fail", words="tài khoản đã đóng")
    await notify_passes(app_database, gate)

    assert (await read_status(app_database, gate.stall, bill))[0] == "paid"
    assert await list_breaks(app_database, gate.stall) == []
    after = await list_events(app_database, gate.stall)
    assert after.count("parking.pass_paid") == told.count("parking.pass_paid") == 1


async def test_too_little_leaves_a_pass_unpaid(app_database: Database, gate: Gate) -> None:
    pass_id = await a_pass(app_database, gate, is_paid=False)
    bill = await show_bill(app_database, gate, pass_id)

    await pay(app_database, gate.stall, bill, amount_vnd=PRICE_VND - 1)
    await notify_passes(app_database, gate)

    assert (await look_at_pass(app_database, gate, pass_id)).in_force_at is None
    # What was paid of a bill that gives way goes back, whoever cancels it.
    await show_bill(app_database, gate, pass_id, now=NOON + BILL_VALID_FOR)
    assert await list_breaks(app_database, gate.stall) == ["refund_due"]


async def test_a_renewal_goes_on_from_the_day_after_the_last(
    app_database: Database, gate: Gate
) -> None:
    sold = await look_at_pass(app_database, gate, await a_pass(app_database, gate))
    asked = await renew(app_database, gate, sold, months=2)
    assert asked.valid_until == LAST  # until it is paid
    bill = await show_bill(app_database, gate, sold.id)

    await pay(app_database, gate.stall, bill)
    await notify_passes(app_database, gate)

    renewed = await look_at_pass(app_database, gate, sold.id)
    assert bill.amount_vnd == 2 * PRICE_VND
    assert (renewed.valid_from, renewed.valid_until) == (TODAY, date(2027, 2, 19))
    assert [(t.first_on, t.last_on) for t in renewed.terms] == [
        (TODAY, LAST),
        (LAST + timedelta(days=1), date(2027, 2, 19)),
    ]


async def test_renewing_again_changes_the_months_that_wait_and_makes_no_second_ones(
    app_database: Database, gate: Gate
) -> None:
    sold = await look_at_pass(app_database, gate, await a_pass(app_database, gate))
    await renew(app_database, gate, sold)
    first = await show_bill(app_database, gate, sold.id)
    same = await renew(app_database, gate, sold)
    assert (await show_bill(app_database, gate, sold.id)).id == first.id

    other = await renew(app_database, gate, sold, months=3)

    waiting = [term for term in other.terms if term.is_waiting]
    assert len(same.terms) == 2
    assert [term.months for term in waiting] == [3]
    assert await read_status(app_database, gate.stall, first) == ("cancelled", 0, 0)
    assert (await show_bill(app_database, gate, sold.id)).amount_vnd == 3 * PRICE_VND


async def test_only_a_pass_that_is_paid_and_not_over_is_renewed(
    app_database: Database, gate: Gate
) -> None:
    unpaid = await a_pass(app_database, gate, is_paid=False)
    exempt = await an_exemption(app_database, gate)
    over = await a_pass(app_database, gate, now=NOON - timedelta(days=40))

    for pass_id in (unpaid, exempt, over):
        with pytest.raises(PassNotRenewable):
            await renew(app_database, gate, await look_at_pass(app_database, gate, pass_id))


async def test_a_payment_that_was_taken_back_puts_the_pass_out_of_force_until_it_is_paid(
    app_database: Database, gate: Gate, writer: EntryWriter
) -> None:
    plate = a_plate()
    pass_id = await a_pass(app_database, gate, plate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        credit_id = await find_credit(app_database, gate.stall)
        await corrections.mark_same_money(session, gate.org_id, credit_id, actor=MANAGER, now=NOON)
    await notify_passes(app_database, gate)

    owed = await look_at_pass(app_database, gate, pass_id)
    entered = await writer.enter(an_entry(gate.lot, plate=plate))

    assert (owed.in_force_at, owed.valid_until, owed.revoked_at) == (None, TODAY, None)
    assert entered.pass_id is None
    bill = await show_bill(app_database, gate, pass_id)
    await pay(app_database, gate.stall, bill, bank_reference="FT2")
    await notify_passes(app_database, gate)
    assert (await look_at_pass(app_database, gate, pass_id)).valid_until == LAST


async def test_a_revoked_pass_ends_tonight_and_lets_nobody_in(
    app_database: Database, gate: Gate, writer: EntryWriter
) -> None:
    plate = a_plate()
    pass_id = await a_pass(app_database, gate, plate)
    sold = await look_at_pass(app_database, gate, pass_id)

    gone = await revoke(app_database, gate, sold)

    assert (gone.state(TODAY), gone.valid_until) == (PassState.REVOKED, TODAY)
    assert await revoke(app_database, gate, sold) == gone
    assert (await writer.enter(an_entry(gate.lot, plate=plate))).pass_id is None
    for change in (renew(app_database, gate, sold), show_bill(app_database, gate, pass_id)):
        with pytest.raises(PassRevoked):
            await change


async def test_money_for_a_revoked_pass_is_to_be_given_back(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate, is_paid=False)
    bill = await show_bill(app_database, gate, pass_id)
    gone = await revoke(app_database, gate, await look_at_pass(app_database, gate, pass_id))

    assert await read_status(app_database, gate.stall, bill) == ("cancelled", 0, 0)
    await pay(app_database, gate.stall, bill)
    await notify_passes(app_database, gate)
    assert (await look_at_pass(app_database, gate, pass_id)).in_force_at is None
    assert gone.state(TODAY) is PassState.REVOKED
    assert await list_breaks(app_database, gate.stall) == ["refund_due"]


async def test_a_bill_that_somebody_cancelled_gives_way_to_another(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate, is_paid=False)
    bill = await show_bill(app_database, gate, pass_id)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await cancel_bill(session, gate.org_id, bill.id, actor=MANAGER, reason=None, now=NOON)

    fresh = await show_bill(app_database, gate, pass_id)

    assert fresh.id != bill.id
    assert fresh.status == "open"


async def test_other_plates_are_let_in_on_a_pass_and_the_audit_log_masks_them(
    app_database: Database, gate: Gate, owner_database: Database, writer: EntryWriter
) -> None:
    old, new = a_plate(), a_plate()
    pass_id = await a_pass(app_database, gate, old)
    inside = await writer.enter(an_entry(gate.lot, plate=old))
    async with open_org_transaction(app_database, gate.org_id) as session:
        await change_plates(
            session,
            gate.org_id,
            pass_id,
            plates=(new, "29-B1 123.45"),
            actor=MANAGER,
            reason="Đổi xe",
            now=NOON,
        )

    changed = await look_at_pass(app_database, gate, pass_id)
    now_inside = await writer.enter(an_entry(gate.lot, plate=new))

    assert changed.plates == tuple(sorted([new, "29B112345"]))
    assert inside.pass_id == pass_id
    assert (now_inside.pass_id, now_inside.is_pass_in_use) == (None, True)
    async with owner_database.begin() as session:
        audit = str((await session.execute(text("SELECT before, after FROM audit_log"))).all())
        events = str((await session.execute(text("SELECT data FROM events"))).all())
    assert "29B***45" in audit
    for plate in (old, new, "29B112345"):
        assert plate not in audit
        assert plate not in events


async def test_an_exemption_lets_all_its_vehicles_in_at_once(
    app_database: Database, gate: Gate, writer: EntryWriter
) -> None:
    plates = [a_plate(), a_plate()]
    pass_id = await an_exemption(app_database, gate, *plates)

    entered = [await writer.enter(an_entry(gate.lot, plate=plate)) for plate in plates]

    assert [one.pass_id for one in entered] == [pass_id, pass_id]
    given = await look_at_pass(app_database, gate, pass_id)
    assert (given.exempt_as, given.price_vnd, given.terms) == ("resident", 0, ())


async def test_a_pass_for_all_lots_costs_what_the_dearest_asks(
    app_database: Database, gate: Gate, writer: EntryWriter
) -> None:
    elsewhere = await a_lot(app_database, org=gate.lot.org, name="Bãi xe Hàng Trống")
    await a_gate(app_database, lot=elsewhere, document=with_monthly_prices({MOTORBIKE: 150_000}))
    plate = a_plate()
    pass_id = await a_pass(app_database, gate, plate, is_everywhere=True)

    sold = await look_at_pass(app_database, gate, pass_id)
    entered = await writer.enter(an_entry(elsewhere, plate=plate))

    assert sold.price_vnd == 150_000
    assert (entered.verdict, entered.pass_id) == (Verdict.OPENED, pass_id)


async def test_a_lot_without_a_monthly_price_sells_no_pass(app_database: Database) -> None:
    plain = await a_gate(app_database)

    with pytest.raises(NoMonthlyPrice):
        await a_pass(app_database, plain)
    with pytest.raises(NoMonthlyPrice):
        await a_pass(app_database, plain, is_everywhere=True)


async def test_a_closed_lot_sells_no_pass(app_database: Database, gate: Gate) -> None:
    async with open_org_transaction(app_database, gate.org_id) as session:
        await session.execute(text("UPDATE lots SET closed_at = now()"))

    with pytest.raises(LotClosed):
        await a_pass(app_database, gate)


async def test_a_pass_begins_today_or_soon(app_database: Database, gate: Gate) -> None:
    for wrong in (TODAY - timedelta(days=1), TODAY + timedelta(days=63)):
        with pytest.raises(InvalidRequest):
            await a_pass(app_database, gate, valid_from=wrong)
    soon = await a_pass(app_database, gate, valid_from=TODAY + timedelta(days=62))
    assert (await look_at_pass(app_database, gate, soon)).state(TODAY) is PassState.COMING


async def test_the_price_of_a_pass_is_that_of_its_vehicles_class(
    app_database: Database, gate: Gate
) -> None:
    pass_id = await a_pass(app_database, gate, "30F12345", vehicle_class=CAR, is_paid=False)

    assert (await show_bill(app_database, gate, pass_id)).amount_vnd == MONTH_VND[CAR]


async def test_a_pass_that_ends_within_a_week_is_announced_once_for_each_last_day(
    app_database: Database, worker_database: Database, gate: Gate
) -> None:
    databases = JobDatabases(app=app_database, worker=worker_database)
    pass_id = await a_pass(app_database, gate)
    await a_pass(app_database, gate, is_paid=False)
    await an_exemption(app_database, gate)
    first = day_bounds(LAST - timedelta(days=7))[0]

    early = await warn_of_ends(databases, now=first - timedelta(seconds=1))
    warned = [await warn_of_ends(databases, now=first) for _ in range(2)]

    assert (early, warned) == (0, [1, 0])
    # Another one ends, and the first is not announced again with it.
    other = await a_pass(app_database, gate, now=NOON + timedelta(hours=1))
    assert await warn_of_ends(databases, now=first) == 1
    assert (await list_events(app_database, gate.stall)).count("parking.pass_ending") == 2
    async with open_org_transaction(app_database, gate.org_id) as session:
        ending = await queries.list_passes(
            session,
            gate.org_id,
            today=LAST,
            ends_by=LAST + timedelta(days=7),
            limit=10,
        )
    assert [one.id for one in ending] == [other, pass_id]
    await renew(app_database, gate, await look_at_pass(app_database, gate, pass_id))
    await pay(app_database, gate.stall, await show_bill(app_database, gate, pass_id))
    await notify_passes(app_database, gate)
    assert await warn_of_ends(databases, now=first) == 0
    assert await warn_of_ends(databases, now=first + timedelta(days=31)) == 1


async def test_each_state_is_listed_as_the_rules_judge_it(
    app_database: Database, gate: Gate
) -> None:
    ids = {
        PassState.UNPAID: await a_pass(app_database, gate, is_paid=False),
        PassState.COMING: await a_pass(app_database, gate, valid_from=TODAY + timedelta(days=1)),
        PassState.IN_FORCE: await a_pass(app_database, gate),
        PassState.OVER: await a_pass(app_database, gate, now=NOON - timedelta(days=40)),
        PassState.REVOKED: await a_pass(app_database, gate),
    }
    await revoke(app_database, gate, await look_at_pass(app_database, gate, ids[PassState.REVOKED]))

    async with open_org_transaction(app_database, gate.org_id) as session:
        for state, pass_id in ids.items():
            listed = await queries.list_passes(
                session, gate.org_id, today=TODAY, state=state, limit=10
            )
            assert [one.id for one in listed] == [pass_id], state
            assert listed[0].state(TODAY) is state
