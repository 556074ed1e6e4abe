"""Passes sold in cash: taken in the seller's running shift, receipted, counted, posted once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.audit import Actor
from core.clock import hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.collections.errors import (
    ApprovalNeeded,
    CollectionIdTaken,
    CollectionNotReversible,
)
from parking.collections.rules import CollectionFacts
from parking.passes.errors import NothingToPay, PassPriceDiffers, PassRevoked
from parking.passes.rules import PassState
from parking.passes.service import renew_pass, revoke_pass
from parking.shifts.errors import NoOpenShift
from parking.shifts.selling import sell_in_cash, take_back_sale
from parking.shifts.service import close_shift
from parking.shifts.views import read_report
from payments.ledger import service as ledger
from payments.ledger.rules import cash_in_drawer, takings
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.lots import a_lot
from tests.world.notices import pay
from tests.world.parking_sessions import Gate, a_gate, an_attendant, open_a_shift
from tests.world.passes import (
    a_pass,
    look_at_pass,
    notify_passes,
    show_bill,
    with_monthly_prices,
)
from tests.world.reads import list_breaks, list_events, read_status

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TODAY = hanoi_day(NOON)


@pytest.fixture
async def gate(app_database: Database) -> Gate:
    return await a_gate(app_database, document=with_monthly_prices())


async def a_waiting_pass(database: Database, gate: Gate) -> tuple[UUID, int]:
    """Sell a pass that nobody has paid yet; return it and what it costs."""
    pass_id = await a_pass(database, gate, is_paid=False)
    waiting = (await look_at_pass(database, gate, pass_id)).waiting
    assert waiting is not None
    return pass_id, waiting.price_vnd


async def sell(
    database: Database,
    gate: Gate,
    pass_id: UUID,
    amount_vnd: int,
    *,
    id_: UUID | None = None,
    actor: Actor | None = None,
) -> CollectionFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        await session.connection()
        return await sell_in_cash(
            session,
            gate.org_id,
            pass_id,
            collection_id=id_ or new_id(),
            amount_vnd=amount_vnd,
            actor=actor or gate.attendant,
            now=NOON,
        )


async def take_back(database: Database, gate: Gate, id_: UUID, **facts: Any) -> CollectionFacts:
    known = {"may_override": False, "reason": None, "actor": gate.attendant, "now": NOON, **facts}
    async with open_org_transaction(database, gate.org_id) as session:
        return await take_back_sale(session, gate.org_id, id_, **known)


async def close(database: Database, gate: Gate, counted_vnd: int) -> int | None:
    async with open_org_transaction(database, gate.org_id) as session:
        closed = await close_shift(
            session,
            gate.org_id,
            gate.shift_id,
            counted_vnd=counted_vnd,
            note=None,
            actor=gate.attendant,
            now=NOON,
        )
    return closed.variance_vnd


async def read_balances(database: Database, gate: Gate) -> tuple[int, int]:
    async with open_org_transaction(database, gate.org_id) as session:
        drawer = await ledger.read_balance(session, gate.org_id, cash_in_drawer(gate.shift_id))
        taken = await ledger.read_balance(session, gate.org_id, takings(gate.lot.payee_id))
    return -drawer, taken


async def test_a_pass_is_paid_in_cash_counted_blind_and_posted_with_its_shift(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    pass_id, price_vnd = await a_waiting_pass(app_database, gate)

    taken = await sell(app_database, gate, pass_id, price_vnd)

    assert (taken.rail, taken.session_id, taken.pass_id) == ("cash", None, pass_id)
    assert taken.receipt_number is not None
    held = await look_at_pass(app_database, gate, pass_id)
    assert (held.state(TODAY), held.waiting) == (PassState.IN_FORCE, None)
    assert "parking.pass_paid" in await list_events(app_database, gate.stall)
    async with open_org_transaction(app_database, gate.org_id) as session:
        blind = await read_report(session, gate.org_id, gate.shift_id)
    assert "cash" not in blind.by_rail
    assert await read_balances(app_database, gate) == (0, 0)
    assert await close(app_database, gate, price_vnd) == 0
    assert await read_balances(app_database, gate) == (price_vnd, price_vnd)
    async with open_org_transaction(app_database, gate.org_id) as session:
        report = await read_report(session, gate.org_id, gate.shift_id)
    assert (report.by_rail["cash"].count, report.by_rail["cash"].amount_vnd) == (1, price_vnd)
    assert find_violations(fresh_database.owner_url) == []


async def test_the_same_sale_again_is_the_first_and_another_one_finds_nothing_to_pay(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    pass_id, price_vnd = await a_waiting_pass(app_database, gate)
    id_ = new_id()
    first = await sell(app_database, gate, pass_id, price_vnd, id_=id_)

    assert await sell(app_database, gate, pass_id, price_vnd, id_=id_) == first
    with pytest.raises(CollectionIdTaken):
        await sell(app_database, gate, pass_id, price_vnd + 1, id_=id_)
    with pytest.raises(NothingToPay):
        await sell(app_database, gate, pass_id, price_vnd)
    assert find_violations(fresh_database.owner_url) == []


async def test_of_two_who_sell_one_pass_at_once_one_takes_the_money(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    pass_id, price_vnd = await a_waiting_pass(app_database, gate)
    other = await an_attendant(app_database, gate.lot)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await open_a_shift(session, gate.lot, other)
    ready = asyncio.Barrier(2)

    async def take(actor: Actor) -> bool:
        await ready.wait()
        try:
            await sell(app_database, gate, pass_id, price_vnd, actor=actor)
        except NothingToPay:
            return False
        return True

    assert sorted(await asyncio.gather(take(gate.attendant), take(other))) == [False, True]
    assert find_violations(fresh_database.owner_url) == []


async def test_what_comes_on_the_bill_after_the_cash_is_a_refund_due(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    pass_id, price_vnd = await a_waiting_pass(app_database, gate)
    bill = await show_bill(app_database, gate, pass_id)

    await sell(app_database, gate, pass_id, price_vnd)

    assert (await read_status(app_database, gate.stall, bill))[0] == "cancelled"
    assert await pay(app_database, gate.stall, bill) == "closed_bill"
    await notify_passes(app_database, gate)
    held = await look_at_pass(app_database, gate, pass_id)
    assert held.state(TODAY) is PassState.IN_FORCE
    assert await list_breaks(app_database, gate.stall) == ["refund_due"]
    assert find_violations(fresh_database.owner_url) == []


async def test_a_bill_that_was_paid_first_leaves_nothing_to_take(
    app_database: Database, gate: Gate
) -> None:
    pass_id, price_vnd = await a_waiting_pass(app_database, gate)
    await pay(app_database, gate.stall, await show_bill(app_database, gate, pass_id))

    with pytest.raises(NothingToPay):  # though the pass was not told yet
        await sell(app_database, gate, pass_id, price_vnd)


async def test_cash_is_taken_in_a_running_shift_of_the_lot_that_sells(
    app_database: Database, gate: Gate
) -> None:
    pass_id, price_vnd = await a_waiting_pass(app_database, gate)
    nobody = await an_attendant(app_database, gate.lot)
    elsewhere = await an_attendant(app_database, gate.lot)
    other_lot = await a_lot(app_database, org=gate.lot.org)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await open_a_shift(session, other_lot, elsewhere)

    for actor in (nobody, elsewhere):
        with pytest.raises(NoOpenShift):
            await sell(app_database, gate, pass_id, price_vnd, actor=actor)


async def test_another_amount_or_a_revoked_pass_is_refused(
    app_database: Database, gate: Gate
) -> None:
    pass_id, price_vnd = await a_waiting_pass(app_database, gate)
    with pytest.raises(PassPriceDiffers):
        await sell(app_database, gate, pass_id, price_vnd - 1)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await revoke_pass(session, gate.org_id, pass_id, actor=MANAGER, reason="Thôi", now=NOON)

    with pytest.raises(PassRevoked):
        await sell(app_database, gate, pass_id, price_vnd)


async def test_a_sale_that_was_a_slip_is_taken_back_and_owed_again(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    pass_id, price_vnd = await a_waiting_pass(app_database, gate)
    taken = await sell(app_database, gate, pass_id, price_vnd)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await renew_pass(
            session, gate.org_id, pass_id, months=1, id_=new_id(), actor=MANAGER, now=NOON
        )

    for _ in range(2):
        back = await take_back(app_database, gate, taken.id)
        assert back.reversed_at == NOON

    held = await look_at_pass(app_database, gate, pass_id)
    assert held.state(TODAY) is PassState.UNPAID
    assert held.waiting is not None
    assert (held.waiting.price_vnd, held.waiting.bill_id) == (price_vnd, None)
    again = await sell(app_database, gate, pass_id, price_vnd)
    assert again.receipt_number != taken.receipt_number
    assert await close(app_database, gate, price_vnd) == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_later_it_takes_approval_and_after_the_count_it_stays(
    app_database: Database, gate: Gate
) -> None:
    pass_id, price_vnd = await a_waiting_pass(app_database, gate)
    taken = await sell(app_database, gate, pass_id, price_vnd)
    later = {"now": NOON + timedelta(minutes=1)}
    with pytest.raises(ApprovalNeeded):
        await take_back(app_database, gate, taken.id, **later)
    approved = {**later, "may_override": True, "reason": "Bán nhầm xe"}
    await take_back(app_database, gate, taken.id, **approved)
    sold = await sell(app_database, gate, pass_id, price_vnd)
    await close(app_database, gate, price_vnd)

    with pytest.raises(CollectionNotReversible):
        await take_back(app_database, gate, sold.id, **approved)


async def test_a_renewal_is_paid_in_cash_too(app_database: Database, gate: Gate) -> None:
    pass_id = await a_pass(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await renew_pass(
            session, gate.org_id, pass_id, months=2, id_=new_id(), actor=MANAGER, now=NOON
        )
    before = await look_at_pass(app_database, gate, pass_id)
    assert before.waiting is not None

    await sell(app_database, gate, pass_id, before.waiting.price_vnd)

    after = await look_at_pass(app_database, gate, pass_id)
    assert after.valid_until == before.waiting.last_on
    async with open_org_transaction(app_database, gate.org_id) as session:
        found = await session.scalar(text("SELECT count(*) FROM pass_terms WHERE bill_id IS NULL"))
    assert found == 1
