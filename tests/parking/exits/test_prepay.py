"""A stay that is paid ahead: for hours that the driver chooses, and the rest at the way out."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.errors import HubError
from core.tenancy import open_org_transaction
from parking.exits.errors import NotInside, NotPaid, PrepayNotOffered
from parking.exits.leaving import LeaveFacts, LeaveRequest, leave
from parking.exits.owner import handle_bill_change
from parking.exits.paying import collect, open_bill
from parking.exits.quoting import StayQuote, hold_to, quote_stay
from parking.exits.rules import OWNER_KIND, ExitReason, StayFacts
from parking.exits.standing import get_stay, may_stay_until, read_standing
from parking.exits.undoing import correct_vehicle
from parking.tariffs.quotes import QuoteSigner
from payments.bills.owners import OwnersInbox
from payments.bills.rules import BillFacts
from payments.bills.service import cancel_bill
from tests.payments.invariants import find_violations
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.lots import CAR, MOTORBIKE
from tests.world.notices import pay
from tests.world.parking_sessions import (
    HOURLY_VND,
    PER_VISIT_VND,
    Gate,
    a_bill_wanted,
    a_gate,
    a_stay,
    a_tariff_document,
    cash,
)
from tests.world.reads import list_events, read_status
from tests.world.refunds import a_refund, find_payments, take

pytestmark = pytest.mark.anyio

SIGNER = QuoteSigner("k" * 32)
HOUR = timedelta(hours=1)
NO_GRACE = a_tariff_document(exit_grace_minutes=0)


@pytest.fixture
async def gate(app_database: Database) -> Gate:
    """A lot where a stay is paid ahead, 25.000 ₫ an hour for cars."""
    return await a_gate(app_database, payment_timing="prepay", document=NO_GRACE)


async def a_car(database: Database, gate: Gate) -> UUID:
    return await a_stay(database, gate, vehicle_class=CAR, entered_at=NOON)


async def ask(
    database: Database, gate: Gate, stay_id: UUID, minutes: int | None, now: datetime
) -> StayQuote:
    async with open_org_transaction(database, gate.org_id) as session:
        return await quote_stay(
            session, gate.org_id, stay_id, SIGNER, stay_minutes=minutes, now=now
        )


async def pay_cash(
    database: Database, gate: Gate, stay_id: UUID, quote: StayQuote, now: datetime
) -> None:
    """Take what was quoted, as the routes do: the quote's token says for how long it is."""
    assert quote.token is not None
    amount_vnd = quote.standing.due_vnd
    held = hold_to(
        SIGNER, quote.token, org_id=gate.org_id, session_id=stay_id, amount_vnd=amount_vnd, now=now
    )
    async with open_org_transaction(database, gate.org_id) as session:
        await collect(
            session,
            gate.org_id,
            stay_id,
            cash(amount_vnd),
            priced_at=held.priced_at,
            actor=gate.attendant,
            now=now,
        )


async def let_out(
    database: Database, gate: Gate, stay_id: UUID, now: datetime
) -> LeaveFacts | HubError:
    async with open_org_transaction(database, gate.org_id) as session:
        request = LeaveRequest(session_id=stay_id, actor=gate.attendant)
        (left,) = await leave(session, gate.org_id, [request], now=now)
    return left


async def count_breaks(database: Database, gate: Gate) -> int:
    async with open_org_transaction(database, gate.org_id) as session:
        return int(await session.scalar(text("SELECT count(*) FROM breaks")) or 0)


async def test_three_hours_are_paid_ahead_and_cover_three_hours(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_car(app_database, gate)

    quote = await ask(app_database, gate, stay_id, 180, NOON)
    await pay_cash(app_database, gate, stay_id, quote, NOON)

    assert quote.standing.due_vnd == 3 * HOURLY_VND == sum(one.amount_vnd for one in quote.lines)
    at = NOON + HOUR
    async with open_org_transaction(app_database, gate.org_id) as session:
        stay = await get_stay(session, gate.org_id, stay_id)
        standing = await read_standing(session, gate.org_id, stay, at=at)
    assert (standing.due_vnd, may_stay_until(standing, at=at)) == (0, NOON + 3 * HOUR)


async def test_who_leaves_later_pays_the_rest_and_who_leaves_early_nothing(
    app_database: Database, gate: Gate
) -> None:
    early, late = await a_car(app_database, gate), await a_car(app_database, gate)
    for stay_id in (early, late):
        quote = await ask(app_database, gate, stay_id, 120, NOON)
        await pay_cash(app_database, gate, stay_id, quote, NOON)

    left = await let_out(app_database, gate, early, NOON + HOUR)
    assert isinstance(left, LeaveFacts)
    assert (left.reason, left.price_vnd, left.paid_vnd) == ("paid", 2 * HOURLY_VND, 2 * HOURLY_VND)

    after = NOON + 2 * HOUR + timedelta(minutes=1)
    refused = await let_out(app_database, gate, late, after)
    assert isinstance(refused, NotPaid)
    assert refused.due_vnd == HOURLY_VND
    rest = await ask(app_database, gate, late, None, after)
    await pay_cash(app_database, gate, late, rest, after)
    paid = await let_out(app_database, gate, late, after)
    assert isinstance(paid, LeaveFacts)
    assert (paid.price_vnd, paid.paid_vnd) == (3 * HOURLY_VND, 3 * HOURLY_VND)
    assert await count_breaks(app_database, gate) == 0


async def test_more_hours_cost_what_they_add_and_hours_that_are_paid_nothing(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_car(app_database, gate)
    await pay_cash(
        app_database, gate, stay_id, await ask(app_database, gate, stay_id, 120, NOON), NOON
    )

    longer = await ask(app_database, gate, stay_id, 240, NOON + HOUR)
    same = await ask(app_database, gate, stay_id, 60, NOON + HOUR)

    assert longer.standing.due_vnd == 2 * HOURLY_VND
    assert (same.standing.due_vnd, same.token) == (0, None)


async def open_code(database: Database, gate: Gate, stay_id: UUID, minutes: int) -> BillFacts:
    """Open the code that asks for so many minutes after the entry."""
    quote = await ask(database, gate, stay_id, minutes, NOON)
    assert quote.token is not None
    amount_vnd = quote.standing.due_vnd
    held = hold_to(
        SIGNER, quote.token, org_id=gate.org_id, session_id=stay_id, amount_vnd=amount_vnd, now=NOON
    )
    async with open_org_transaction(database, gate.org_id) as session:
        return await open_bill(
            session,
            gate.org_id,
            stay_id,
            a_bill_wanted(gate, amount_vnd),
            priced_at=held.priced_at,
            actor=gate.attendant,
            now=NOON,
        )


async def notify(database: Database, gate: Gate, now: datetime) -> None:
    """Let stays hear what their bills were paid."""
    inbox = OwnersInbox(database, {OWNER_KIND: handle_bill_change}, read_clock=lambda: now)
    await inbox.sweep([gate.org_id], wait_s=5)


async def look(database: Database, gate: Gate, stay_id: UUID) -> StayFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await get_stay(session, gate.org_id, stay_id)


async def test_a_code_for_three_hours_is_paid_ahead(app_database: Database, gate: Gate) -> None:
    stay_id = await a_car(app_database, gate)
    bill = await open_code(app_database, gate, stay_id, 180)
    await pay(app_database, gate.stall, bill, now=NOON)

    left = await let_out(app_database, gate, stay_id, NOON + 3 * HOUR)

    assert isinstance(left, LeaveFacts)
    assert (left.reason, left.paid_vnd) == ("paid", 3 * HOURLY_VND)
    assert await count_breaks(app_database, gate) == 0


async def test_a_refund_that_comes_to_nothing_does_not_say_paid_again(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_car(app_database, gate)
    bill = await open_code(app_database, gate, stay_id, 180)
    await pay(app_database, gate.stall, bill, now=NOON)
    await notify(app_database, gate, NOON)
    (payment_id,) = await find_payments(app_database, gate.stall, bill)
    refund = await a_refund(app_database, gate.stall, payment_id=payment_id, amount_vnd=1_000)
    await take(app_database, gate.stall, refund, "confirm", bank_reference="FT1")
    await notify(app_database, gate, NOON)

    await take(app_database, gate.stall, refund, "fail", words="tài khoản đã đóng")
    await notify(app_database, gate, NOON)

    assert (await read_status(app_database, gate.stall, bill))[0] == "paid"
    assert (await list_events(app_database, gate.stall)).count("parking.session_paid") == 1


@pytest.mark.parametrize("is_notified_first", [True, False])
async def test_who_paid_a_code_ahead_and_leaves_early_was_not_paid_too_much(
    app_database: Database, fresh_database: FreshDatabase, gate: Gate, is_notified_first: bool
) -> None:
    stay_id = await a_car(app_database, gate)
    bill = await open_code(app_database, gate, stay_id, 180)
    await pay(app_database, gate.stall, bill, now=NOON)
    if is_notified_first:
        await notify(app_database, gate, NOON)

    left = await let_out(app_database, gate, stay_id, NOON + HOUR / 2)
    await notify(app_database, gate, NOON + HOUR)

    assert isinstance(left, LeaveFacts)
    assert (left.reason, left.price_vnd, left.paid_vnd) == ("paid", 3 * HOURLY_VND, 3 * HOURLY_VND)
    stay = await look(app_database, gate, stay_id)
    assert (stay.price_vnd, stay.paid_vnd, stay.arrears_vnd) == (left.price_vnd, left.paid_vnd, 0)
    assert await count_breaks(app_database, gate) == 0
    assert find_violations(fresh_database.owner_url) == []


async def leave_unconfirmed(database: Database, gate: Gate, stay_id: UUID) -> None:
    request = LeaveRequest(
        session_id=stay_id,
        actor=gate.attendant,
        forced=ExitReason.UNCONFIRMED,
        words="Đã chuyển khoản",
        is_approved=True,
    )
    async with open_org_transaction(database, gate.org_id) as session:
        (left,) = await leave(session, gate.org_id, [request], now=NOON + HOUR / 12)
    assert isinstance(left, LeaveFacts)
    assert (left.reason, left.paid_vnd, left.arrears_vnd) == ("unconfirmed", 0, 0)


async def test_a_transfer_for_a_code_ahead_that_is_confirmed_late_is_the_price(
    app_database: Database, fresh_database: FreshDatabase, gate: Gate
) -> None:
    stay_id = await a_car(app_database, gate)
    bill = await open_code(app_database, gate, stay_id, 180)
    await leave_unconfirmed(app_database, gate, stay_id)

    await pay(app_database, gate.stall, bill, now=NOON + HOUR)
    await notify(app_database, gate, NOON + HOUR)

    stay = await look(app_database, gate, stay_id)
    assert (stay.price_vnd, stay.paid_vnd, stay.arrears_vnd) == (3 * HOURLY_VND, 3 * HOURLY_VND, 0)
    assert await count_breaks(app_database, gate) == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_unconfirmed_without_a_code_costs_what_the_tariff_says(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_car(app_database, gate)
    bill = await open_code(app_database, gate, stay_id, 180)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await cancel_bill(
            session, gate.org_id, bill.id, actor=gate.attendant, reason="Khách đổi ý", now=NOON
        )

    await leave_unconfirmed(app_database, gate, stay_id)

    assert (await look(app_database, gate, stay_id)).price_vnd == HOURLY_VND


async def test_what_was_paid_ahead_as_another_vehicle_is_reported(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_car(app_database, gate)
    bill = await open_code(app_database, gate, stay_id, 180)
    await pay(app_database, gate.stall, bill, now=NOON)
    await notify(app_database, gate, NOON)
    async with open_org_transaction(app_database, gate.org_id) as session:
        corrected = await correct_vehicle(
            session,
            gate.org_id,
            stay_id,
            plate=(await get_stay(session, gate.org_id, stay_id)).plate,
            vehicle_class=MOTORBIKE,
            may_override=True,
            reason="Gõ nhầm loại xe",
            actor=gate.attendant,
            now=NOON + HOUR / 2,
        )

    left = await let_out(app_database, gate, stay_id, NOON + HOUR)

    assert isinstance(left, LeaveFacts)
    assert left.price_vnd == corrected.price_vnd == PER_VISIT_VND
    async with open_org_transaction(app_database, gate.org_id) as session:
        amounts = list(await session.scalars(text("SELECT amount_vnd FROM breaks")))
    assert amounts == [3 * HOURLY_VND - PER_VISIT_VND]


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        ("payOnEntry", "Here a stay is paid at the entry:"),
        ("payPriorToExit", "Here a stay is paid before the vehicle goes to the exit:"),
        ("payAndExit", "Here a stay is paid at the exit:"),
    ],
)
async def test_a_lot_that_takes_nothing_ahead_says_when_a_stay_is_paid(
    app_database: Database, timing: str, words: str
) -> None:
    gate = await a_gate(app_database, payment_timing=timing)
    stay_id = await a_car(app_database, gate)

    with pytest.raises(PrepayNotOffered, match=words):
        await ask(app_database, gate, stay_id, 120, NOON)


async def test_nothing_is_paid_ahead_for_a_stay_that_is_over(
    app_database: Database, gate: Gate
) -> None:
    stay_id = await a_car(app_database, gate)
    await pay_cash(
        app_database, gate, stay_id, await ask(app_database, gate, stay_id, 60, NOON), NOON
    )
    await let_out(app_database, gate, stay_id, NOON + HOUR)

    with pytest.raises(NotInside):
        await ask(app_database, gate, stay_id, 120, NOON + HOUR)


@pytest.mark.parametrize("keeps_ahead", [True, False])
async def test_only_who_chooses_hours_anew_gives_up_the_code_that_was_opened_ahead(
    app_database: Database, gate: Gate, keeps_ahead: bool
) -> None:
    stay_id = await a_car(app_database, gate)
    ahead = await open_code(app_database, gate, stay_id, 180)
    now = NOON + timedelta(minutes=1)

    async with open_org_transaction(app_database, gate.org_id) as session:
        shown = await open_bill(
            session,
            gate.org_id,
            stay_id,
            a_bill_wanted(gate, HOURLY_VND),
            priced_at=now,
            keeps_ahead=keeps_ahead,
            actor=gate.attendant,
            now=now,
        )

    assert (shown.id == ahead.id) is keeps_ahead
    assert shown.amount_vnd == (3 * HOURLY_VND if keeps_ahead else HOURLY_VND)
