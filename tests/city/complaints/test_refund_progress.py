"""Refunds of upheld complaints: how far each has come, and by when it was promised."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from city.complaints.queries import get_complaint, list_to_give_back
from city.complaints.refunds import ComplaintRefund, read_refunds
from city.complaints.rules import Outcome, RefundState, judge_refund
from city.complaints.service import resolve_complaint
from core.db import Database
from core.tenancy import open_org_transaction
from parking.exits.paying import open_bill
from payments.breaks.service import close_break
from payments.refunds.models import Refund
from tests.world.complaints import a_new_complaint, complain
from tests.world.constants import MANAGER, NOON
from tests.world.notices import pay
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_bill_wanted, a_stay
from tests.world.refunds import (
    BANK_REFERENCE,
    a_refund,
    enter_account,
    find_payments,
    hold_by,
    take,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# Three working days apart: the 24th is a public holiday.
FRIDAY, THURSDAY = date(2026, 11, 20), date(2026, 11, 26)


class Upheld:
    """A complaint about a stay that was paid by code, of which 3.000 ₫ are to be given back."""

    def __init__(self, database: Database, gate: Gate, id_: UUID, payment_id: UUID) -> None:
        self.database, self.gate, self.id, self.payment_id = database, gate, id_, payment_id

    async def look(self, today: date = FRIDAY) -> ComplaintRefund:
        """Return what became of the refund."""
        async with open_org_transaction(self.database, self.gate.org_id) as session:
            complaint = await get_complaint(session, self.gate.org_id, self.id)
            return (await read_refunds(session, self.gate.org_id, [complaint], today=today))[
                self.id
            ]

    async def list_waiting(self) -> list[UUID]:
        async with open_org_transaction(self.database, self.gate.org_id) as session:
            found = await list_to_give_back(session, self.gate.org_id, limit=10)
            return [one.id for one in found]

    async def find_break(self) -> UUID:
        async with open_org_transaction(self.database, self.gate.org_id) as session:
            query = text("SELECT id FROM breaks WHERE subject_id = :id AND closed_at IS NULL")
            return UUID(str((await session.execute(query, {"id": self.id})).scalar_one()))

    async def request(self, amount_vnd: int) -> Refund:
        """Request a part of it, from its item on the list."""
        return await a_refund(
            self.database,
            self.gate.stall,
            payment_id=self.payment_id,
            amount_vnd=amount_vnd,
            break_id=await self.find_break(),
        )


@pytest.fixture
async def upheld(app_database: Database, gate: Gate) -> Upheld:
    await hold_by(app_database, gate.stall, "organisation")
    stay_id = await a_stay(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        bill = await open_bill(
            session,
            gate.org_id,
            stay_id,
            a_bill_wanted(gate, PER_VISIT_VND),
            priced_at=NOON,
            actor=gate.attendant,
            now=NOON,
        )
    await pay(app_database, gate.stall, bill)
    made = await complain(app_database, gate, a_new_complaint(gate, stay_id))
    async with open_org_transaction(app_database, gate.org_id) as session:
        await resolve_complaint(
            session,
            gate.org_id,
            made.id,
            outcome=Outcome.UPHELD,
            answer="Nhân viên đã thu thừa.",
            refund_vnd=3_000,
            actor=MANAGER,
            now=NOON,
        )
    (payment_id,) = await find_payments(app_database, gate.stall, bill)
    return Upheld(app_database, gate, made.id, payment_id)


async def test_a_refund_waits_is_under_way_and_is_returned_in_parts(upheld: Upheld) -> None:
    seen = await upheld.look()
    assert (seen.state, seen.due_on) == (RefundState.WAITING, THURSDAY)
    assert await upheld.list_waiting() == [upheld.id]

    for amount_vnd, after in ((1_000, RefundState.WAITING), (2_000, RefundState.RETURNED)):
        refund = await upheld.request(amount_vnd)
        await enter_account(upheld.database, upheld.gate.stall, refund)
        await take(upheld.database, upheld.gate.stall, refund, "approve")
        await take(upheld.database, upheld.gate.stall, refund, "instruct")
        assert (await upheld.look()).state is RefundState.UNDER_WAY
        await take(
            upheld.database, upheld.gate.stall, refund, "confirm", bank_reference=BANK_REFERENCE
        )
        assert (await upheld.look()).state is after

    seen = await upheld.look(today=THURSDAY + timedelta(days=1))
    assert (seen.returned_vnd, seen.returned_at, seen.is_overdue) == (3_000, NOON, False)
    assert await upheld.list_waiting() == []


async def test_money_that_the_bank_sends_back_is_owed_again_and_late_after_its_day(
    upheld: Upheld,
) -> None:
    refund = await upheld.request(3_000)
    await enter_account(upheld.database, upheld.gate.stall, refund)
    for step in ("approve", "instruct"):
        await take(upheld.database, upheld.gate.stall, refund, step)
    await take(upheld.database, upheld.gate.stall, refund, "confirm", bank_reference=BANK_REFERENCE)

    await take(upheld.database, upheld.gate.stall, refund, "fail", words="Sai tài khoản")

    assert (await upheld.look()).state is RefundState.WAITING
    assert await upheld.list_waiting() == [upheld.id]
    assert not (await upheld.look(today=THURSDAY)).is_overdue
    assert (await upheld.look(today=THURSDAY + timedelta(days=1))).is_overdue


async def test_what_somebody_noted_as_settled_otherwise_waits_no_longer(upheld: Upheld) -> None:
    break_id = await upheld.find_break()
    async with open_org_transaction(upheld.database, upheld.gate.org_id) as session:
        await close_break(
            session,
            upheld.gate.org_id,
            break_id,
            resolution="Đã trả tiền mặt tại bãi",
            actor=MANAGER,
            now=NOON,
        )

    seen = await upheld.look(today=THURSDAY + timedelta(days=1))

    assert (seen.state, seen.is_overdue) == (RefundState.CLOSED, False)
    assert await upheld.list_waiting() == []


@pytest.mark.parametrize(
    ("is_waiting", "under_way_vnd", "returned_vnd", "state"),
    [
        (True, 0, 0, RefundState.WAITING),
        (True, 1, 2_999, RefundState.UNDER_WAY),
        (True, 0, 2_999, RefundState.WAITING),
        (False, 0, 3_000, RefundState.RETURNED),
        (False, 0, 2_999, RefundState.CLOSED),
    ],
)
def test_a_refund_is_as_far_as_its_money(
    is_waiting: bool, under_way_vnd: int, returned_vnd: int, state: RefundState
) -> None:
    said = judge_refund(
        3_000, is_waiting=is_waiting, under_way_vnd=under_way_vnd, returned_vnd=returned_vnd
    )

    assert said is state
