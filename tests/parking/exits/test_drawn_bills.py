"""Codes drawn without network: their bills come with the phone's queue, whatever came first."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.reasons import Reason
from core.tenancy import open_org_transaction
from parking.exits.applier import apply_device
from parking.exits.jobs import owe_unconfirmed
from parking.exits.paying import open_bill
from parking.vehicles import VehicleClass
from payments.bills.jobs import notify_owners
from payments.breaks.queries import insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.credits.awaiting import match_named
from payments.credits.jobs import match_awaiting
from registry import REGISTRY
from tests.parking.exits.test_movements import BACK_ONLINE, Phone
from tests.payments.invariants import find_violations
from tests.world.account_changes import find_account_in_force
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.offline import an_id_at
from tests.world.parking_sessions import HOURLY_VND, PER_VISIT_VND, a_bill_wanted, a_gate, a_stay
from tests.world.payees import an_account
from tests.world.reads import list_breaks, list_outcomes, read_ledger
from tests.world.references import a_block, a_device

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

AHEAD = {"id": str(an_id_at(BACK_ONLINE + timedelta(days=3)))}
LATER = BACK_ONLINE + timedelta(minutes=1)


class DrawingPhone(Phone):
    """A phone that has a block of references."""

    references: list[str]

    async def draw(self, stay_id: UUID, reference: str | None = None, **facts: Any) -> str:
        """Draw a code for a stay, and keep its bill; return its reference."""
        reference = reference or self.references.pop(0)
        data = {"id": str(an_id_at(NOON)), "session_id": str(stay_id), "reference": reference}
        await self.keep("bill", **{**data, "amount_vnd": PER_VISIT_VND, **facts})
        return reference

    async def pay(self, memo: str, *, amount_vnd: int = PER_VISIT_VND) -> None:
        """Let the driver's bank report a transfer at noon."""
        body = sepay_body(self.gate.stall, amount_vnd=amount_vnd, memo=memo)
        await store_notices(self.app, self.gate.stall, body)
        await process_waiting(self.app, self.gate.stall)

    async def flush(self) -> list[str]:
        """Let the hub apply what waits of this phone, as it does right after it was stored."""

        async def told(org_id: UUID, reference: str) -> None:
            await match_named(self.app, org_id, reference, read_clock=lambda: BACK_ONLINE)

        await apply_device(self.app, self.gate.org_id, self.id, now=BACK_ONLINE, bill_opened=told)
        return await self.apply()

    async def notify(self) -> None:
        """Let the stays hear what their bills were paid."""
        databases = JobDatabases(app=self.app, worker=self.worker)
        await notify_owners(databases, REGISTRY.bill_owners, now=LATER)


async def a_drawing_phone(phone: DrawingPhone) -> DrawingPhone:
    stall = phone.gate.stall
    await a_device(phone.app, stall, id_=phone.id, lot_id=phone.gate.lot.id)
    opened = await a_block(phone.app, stall, phone.id)
    phone.references = opened.block.list_references()
    return phone


@pytest.fixture
async def phone(app_database: Database, worker_database: Database) -> DrawingPhone:
    gate = await a_gate(app_database)
    return await a_drawing_phone(DrawingPhone(gate, app_database, worker_database))


@pytest.mark.parametrize("is_money_first", [True, False])
async def test_a_code_drawn_without_network_is_confirmed_once_the_queue_is_sent(
    phone: DrawingPhone, fresh_database: FreshDatabase, is_money_first: bool
) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    reference = await phone.draw(stay_id)
    await phone.let_out(stay_id, forced="unconfirmed", reason="Đã chuyển", at=NOON)
    if is_money_first:
        await phone.pay(reference)
        assert await list_outcomes(phone.app, phone.gate.stall) == ["awaiting_sync"]

    assert await phone.flush() == ["applied", "applied"]
    if not is_money_first:
        assert (await phone.look(stay_id)).exit_reason == "unconfirmed"
        await phone.pay(reference)
    await phone.notify()

    stay = await phone.look(stay_id)
    assert (stay.status, stay.paid_vnd, stay.arrears_vnd) == ("left", PER_VISIT_VND, 0)
    assert stay.exit_reason == ("paid" if is_money_first else "unconfirmed")
    databases = JobDatabases(app=phone.app, worker=phone.worker)
    assert await owe_unconfirmed(databases, now=NOON + timedelta(hours=25)) == 0
    assert (await read_ledger(phone.app, phone.gate.stall))["takings"] == PER_VISIT_VND
    assert await list_breaks(phone.app, phone.gate.stall) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_code_that_nobody_pays_leaves_the_stay_owing_after_a_day(
    phone: DrawingPhone,
) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    await phone.draw(stay_id)
    await phone.let_out(stay_id, forced="unconfirmed", reason="Đã chuyển")
    await phone.flush()

    databases = JobDatabases(app=phone.app, worker=phone.worker)
    assert await owe_unconfirmed(databases, now=NOON + timedelta(hours=25)) == 1
    assert (await phone.look(stay_id)).arrears_vnd == PER_VISIT_VND


@pytest.mark.parametrize("hours", [-30, 30])
async def test_a_clock_that_is_hours_wrong_does_not_matter(phone: DrawingPhone, hours: int) -> None:
    """Of a bill: its price may be another, and its money is late for nobody."""
    stay_id = await a_stay(phone.app, phone.gate)
    reference = await phone.draw(stay_id, at=NOON + timedelta(hours=hours))
    await phone.pay(reference)

    assert await phone.flush() == ["applied"]
    await phone.notify()

    stay = await phone.look(stay_id)
    assert (stay.paid_vnd, stay.paid_until is not None) == (PER_VISIT_VND, True)


async def test_references_that_are_not_the_phones_or_are_used_are_refused_and_nothing_is_lost(
    phone: DrawingPhone, fresh_database: FreshDatabase
) -> None:
    other = DrawingPhone(phone.gate, phone.app, phone.worker)
    await a_drawing_phone(other)
    stay_id, second_id = [await a_stay(phone.app, phone.gate) for _ in "ab"]
    used = await phone.draw(stay_id)
    await phone.draw(second_id, used)
    foreign = await phone.draw(second_id, other.references[0])
    await phone.draw(second_id, "PPHKXMAAAAAAA")
    await phone.pay(foreign)

    assert await phone.flush() == ["applied", *["reference_refused"] * 3]

    assert await list_breaks(phone.app, phone.gate.stall) == ["parking_conflict"] * 3
    assert await list_outcomes(phone.app, phone.gate.stall) == ["awaiting_sync"]
    assert (await read_ledger(phone.app, phone.gate.stall))["unapplied"] == PER_VISIT_VND
    databases = JobDatabases(app=phone.app, worker=phone.worker)
    assert await match_awaiting(databases, now=NOON + timedelta(hours=72)) == 1
    breaks = await list_breaks(phone.app, phone.gate.stall)
    assert breaks == [*["parking_conflict"] * 3, "unknown_reference"]
    assert find_violations(fresh_database.owner_url) == []


async def test_bills_that_say_nothing_are_refused(phone: DrawingPhone) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    for facts in ({"amount_vnd": 0}, {"amount_vnd": 5_000.5}, {"reference": "PP"}, AHEAD):
        await phone.draw(stay_id, **facts)
    await phone.draw(new_id())

    verdicts = await phone.flush()

    assert verdicts == [*["refused"] * 4, "unknown_session"]
    assert await list_breaks(phone.app, phone.gate.stall) == ["parking_conflict"] * 5


async def test_the_same_bill_again_is_a_repeat(phone: DrawingPhone) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    bill_id = str(an_id_at(NOON))
    reference = await phone.draw(stay_id, id=bill_id)
    await phone.draw(stay_id, reference, id=bill_id)
    await phone.draw(stay_id, reference, id=bill_id, amount_vnd=1)

    assert await phone.flush() == ["applied", "repeat", "refused"]


async def test_a_code_for_more_than_is_due_is_recorded_and_a_person_looks(
    phone: DrawingPhone, fresh_database: FreshDatabase
) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    reference = await phone.draw(stay_id, amount_vnd=PER_VISIT_VND + 1)
    await phone.pay(reference, amount_vnd=PER_VISIT_VND + 1)

    assert await phone.flush() == ["amount_differs"]
    assert await list_breaks(phone.app, phone.gate.stall) == ["parking_conflict"]
    await phone.notify()

    assert await list_breaks(phone.app, phone.gate.stall) == ["parking_conflict"] * 2
    assert (await phone.look(stay_id)).bill_id is not None
    assert (await read_ledger(phone.app, phone.gate.stall))["takings"] == PER_VISIT_VND + 1
    assert find_violations(fresh_database.owner_url) == []


async def test_of_a_code_for_less_than_is_due_the_rest_is_owed(phone: DrawingPhone) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    reference = await phone.draw(stay_id, amount_vnd=PER_VISIT_VND - 1_000)
    await phone.let_out(stay_id, forced="unconfirmed", reason="Đã chuyển")
    await phone.pay(reference, amount_vnd=PER_VISIT_VND - 1_000)

    assert await phone.flush() == ["applied", "applied"]

    databases = JobDatabases(app=phone.app, worker=phone.worker)
    await owe_unconfirmed(databases, now=NOON + timedelta(hours=25))
    assert (await phone.look(stay_id)).arrears_vnd == 1_000
    assert await list_breaks(phone.app, phone.gate.stall) == []


async def test_an_earlier_bill_of_the_stay_stays_payable(phone: DrawingPhone) -> None:
    """The driver's own phone may have had a network while the attendant's had none."""
    stay_id = await a_stay(phone.app, phone.gate)
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        online = await open_bill(
            session,
            phone.gate.org_id,
            stay_id,
            a_bill_wanted(phone.gate, PER_VISIT_VND),
            priced_at=NOON,
            actor=phone.gate.attendant,
            now=NOON,
        )
    await phone.draw(stay_id)
    assert await phone.flush() == ["applied"]

    await phone.pay(online.reference)
    await phone.notify()

    assert (await phone.look(stay_id)).paid_vnd == PER_VISIT_VND


async def test_money_counts_on_the_account_that_the_code_named(
    phone: DrawingPhone, fresh_database: FreshDatabase
) -> None:
    """The lot has another account by the time the phone is back."""
    stay_id = await a_stay(phone.app, phone.gate)
    reference = await phone.draw(stay_id)
    await phone.pay(reference)
    stall = phone.gate.stall
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        await an_account(session, stall.org, stall.payee_id)
    assert await find_account_in_force(phone.app, stall) != stall.account_id

    assert await phone.flush() == ["applied"]
    await phone.notify()

    assert (await phone.look(stay_id)).paid_vnd == PER_VISIT_VND
    assert (await read_ledger(phone.app, phone.gate.stall))["takings"] == PER_VISIT_VND
    assert find_violations(fresh_database.owner_url) == []


async def test_two_phones_that_draw_for_one_stay_are_both_recorded(
    phone: DrawingPhone, fresh_database: FreshDatabase
) -> None:
    other = await a_drawing_phone(DrawingPhone(phone.gate, phone.app, phone.worker))
    stay_id = await a_stay(phone.app, phone.gate)
    references = [await phone.draw(stay_id), await other.draw(stay_id)]
    for reference in references:
        await phone.pay(reference)

    ready = asyncio.Barrier(2)

    async def send(one: DrawingPhone) -> None:
        await ready.wait()
        await one.flush()

    await asyncio.gather(send(phone), send(other))
    await phone.notify()

    stay = await phone.look(stay_id)
    assert stay.paid_vnd == 2 * PER_VISIT_VND
    assert await list_breaks(phone.app, phone.gate.stall) == ["parking_conflict"]
    assert find_violations(fresh_database.owner_url) == []


async def test_cash_after_the_code_was_drawn_cancels_its_bill(phone: DrawingPhone) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    reference = await phone.draw(stay_id)
    await phone.take_cash(stay_id)
    assert await phone.flush() == ["applied", "applied"]

    await phone.pay(reference)

    assert await list_breaks(phone.app, phone.gate.stall) == ["refund_due"]


async def read_overpaid(phone: DrawingPhone) -> list[int]:
    """Return the amounts of the open breaks of stays that were paid too much."""
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        query = text(
            "SELECT amount_vnd FROM breaks WHERE reason = 'stay_overpaid' AND closed_at IS NULL"
        )
        return list(await session.scalars(query))


async def pay_codes(
    phone: DrawingPhone, stay_id: UUID, *, count: int, amount_vnd: int = PER_VISIT_VND
) -> None:
    """Draw codes for one stay, and let each be paid."""
    references = [await phone.draw(stay_id, amount_vnd=amount_vnd) for _ in range(count)]
    for reference in references:
        await phone.pay(reference, amount_vnd=amount_vnd)


async def test_a_stay_that_was_paid_twice_is_told_beside_another_break_of_it(
    phone: DrawingPhone,
) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    reason = Reason(BreakReason.STAYS_OVERLAP, {"plate": "29AA***01", "lot": "Bãi"})
    other = NewBreak(kind=BreakKind.PARKING_CONFLICT, subject_id=stay_id, reason=reason)
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        await insert_breaks_once(session, phone.gate.org_id, [other], now=NOON)

    await pay_codes(phone, stay_id, count=2)
    await phone.flush()
    await phone.notify()

    assert await read_overpaid(phone) == [PER_VISIT_VND]


async def test_a_third_code_that_was_paid_is_told_beside_the_second(phone: DrawingPhone) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    await pay_codes(phone, stay_id, count=2)
    await phone.flush()
    await phone.notify()

    await pay_codes(phone, stay_id, count=1)
    await phone.flush()
    await phone.notify()

    assert await read_overpaid(phone) == [PER_VISIT_VND] * 2


async def test_what_a_person_has_seen_to_is_not_told_again(phone: DrawingPhone) -> None:
    stay_id = await a_stay(phone.app, phone.gate)
    await pay_codes(phone, stay_id, count=2)
    await phone.flush()
    await phone.notify()
    async with open_org_transaction(phone.app, phone.gate.org_id) as session:
        close = text(
            "UPDATE breaks SET closed_at = :now, closed_by = :by, resolution = 'Đã trả lại'"
            " WHERE reason = 'stay_overpaid'"
        )
        await session.execute(close, {"now": LATER, "by": MANAGER.id})

    await phone.let_out(stay_id)
    await phone.flush()
    assert await read_overpaid(phone) == []
    await pay_codes(phone, stay_id, count=1)
    await phone.flush()
    await phone.notify()

    assert await read_overpaid(phone) == [PER_VISIT_VND]


async def test_a_stay_whose_codes_were_paid_before_its_way_out_came_is_told_too(
    phone: DrawingPhone, fresh_database: FreshDatabase
) -> None:
    """While it counts as inside it may have stayed for as long as both codes paid for."""
    stay_id = await a_stay(phone.app, phone.gate, vehicle_class=VehicleClass.CAR)
    await pay_codes(phone, stay_id, count=2, amount_vnd=HOURLY_VND)
    await phone.flush()
    await phone.notify()
    assert await read_overpaid(phone) == []

    await phone.let_out(stay_id, at=NOON)
    await phone.flush()

    stay = await phone.look(stay_id)
    assert (stay.status, stay.paid_vnd, stay.price_vnd) == ("left", 2 * HOURLY_VND, HOURLY_VND)
    assert await read_overpaid(phone) == [HOURLY_VND]
    assert find_violations(fresh_database.owner_url) == []
