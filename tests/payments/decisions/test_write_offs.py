"""The rest of a bill that was given up: nobody paid it, wherever money is added up or goes back."""

from uuid import UUID

import pytest

from core.db import Database
from core.reasons import Reason
from core.tenancy import open_org_transaction
from payments.breaks.errors import BreakHeld
from payments.breaks.queries import insert_breaks_once
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.credits.corrections import mark_same_money
from payments.credits.errors import CreditNotCorrectable
from payments.decisions.errors import DecisionNotUndoable
from payments.decisions.proposing import report_short_bill
from payments.refunds.errors import RefundTooHigh
from payments.refunds.queries import list_payments_of_bill
from payments.refunds.service import propose_refund
from tests.payments.invariants import find_violations
from tests.world.breaks import (
    a_decision,
    a_paid_twice_break,
    a_short_bill,
    give_up_rest,
    read_break,
    undo_it,
)
from tests.world.constants import APPROVER, NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.reads import find_credit, list_breaks, read_status
from tests.world.refunds import (
    FINANCE,
    a_refund,
    an_instructed_refund,
    find_payments,
    hold_by,
    take,
)
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_all_that_was_really_paid_goes_back_and_the_bill_is_refunded(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await hold_by(app_database, stall, "organisation")
    bill, _ = await a_short_bill(app_database, stall)
    await give_up_rest(app_database, stall, bill)
    async with open_org_transaction(app_database, stall.org.id) as session:
        (paid,) = await list_payments_of_bill(session, stall.org.id, bill.id)
    assert (paid.amount_vnd, paid.refundable_vnd) == (15_000, 15_000)

    refund = await an_instructed_refund(app_database, stall, payment_id=paid.id, amount_vnd=15_000)
    await take(app_database, stall, refund, "confirm", bank_reference="FT1")

    assert (await read_status(app_database, stall, bill))[0] == "refunded"
    assert find_violations(fresh_database.owner_url) == []


async def test_no_more_is_agreed_to_be_given_back_than_was_really_paid(
    app_database: Database, stall: PayableStall
) -> None:
    bill, _ = await a_short_bill(app_database, stall)
    await give_up_rest(app_database, stall, bill)
    (payment_id, _) = await find_payments(app_database, stall, bill)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await propose_refund(
            session,
            stall.org.id,
            subject_id=bill.id,
            bill_id=bill.id,
            matter_ids=[bill.id],
            paid_vnd=15_000,
            amount_vnd=7_000,
            reason=Reason(BreakReason.COMPLAINT_UPHELD),
            now=NOON,
        )

    with pytest.raises(RefundTooHigh) as refused:  # beside the 7.000 that were agreed
        await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=8_001)
    assert refused.value.left_vnd == 8_000


async def test_what_paid_a_bill_is_not_taken_back_before_the_write_off_of_its_rest_is_undone(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill, _ = await a_short_bill(app_database, stall)
    decision = await give_up_rest(app_database, stall, bill)
    credit_id = await find_credit(app_database, stall)

    async def take_back() -> None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await mark_same_money(session, stall.org.id, credit_id, actor=FINANCE, now=NOON)

    with pytest.raises(CreditNotCorrectable, match="Undo the write-off"):
        await take_back()
    await undo_it(app_database, stall, decision.id)
    await take_back()

    assert (await read_status(app_database, stall, bill))[:2] == ("open", 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_what_is_open_already_is_not_opened_a_second_time_by_an_undo(
    app_database: Database, stall: PayableStall
) -> None:
    bill, _ = await a_short_bill(app_database, stall)
    decision = await give_up_rest(app_database, stall, bill)
    again = NewBreak(
        kind=BreakKind.SHORT,
        subject_id=bill.id,
        bill_id=bill.id,
        amount_vnd=1_000,
        reason=Reason(BreakReason.BILL_SHORT, {"reference": bill.reference}),
    )
    async with open_org_transaction(app_database, stall.org.id) as session:
        await insert_breaks_once(session, stall.org.id, [again], now=NOON)

    with pytest.raises(DecisionNotUndoable):
        await undo_it(app_database, stall, decision.id)


async def test_a_bill_that_was_paid_further_is_short_of_what_is_missing_now(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill, first_id = await a_short_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=2_000)

    async def report() -> UUID:
        async with open_org_transaction(app_database, stall.org.id) as session:
            found = await report_short_bill(
                session, stall.org.id, bill.id, actor=APPROVER, now=NOON
            )
            return found.id

    second_id = await report()

    assert second_id != first_id
    assert await report() == second_id
    assert (await read_break(app_database, stall, first_id))["resolution"] == "rest_changed"
    assert (await read_break(app_database, stall, second_id))["amount_vnd"] == 3_000
    assert await list_breaks(app_database, stall) == ["short"]
    decision = await a_decision(app_database, stall, second_id, amount_vnd=3_000)
    await pay(app_database, stall, bill, amount_vnd=1_000)
    assert await report() == second_id  # held: its decision is made first
    assert find_violations(fresh_database.owner_url) == []
    assert decision.break_id == second_id


async def test_a_refund_does_not_begin_while_a_decision_about_its_money_waits(
    app_database: Database, stall: PayableStall
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    credit_id = (await read_break(app_database, stall, break_id))["credit_id"]
    await a_decision(app_database, stall, break_id, amount_vnd=20_000)

    with pytest.raises(BreakHeld):
        await a_refund(app_database, stall, credit_id=credit_id, amount_vnd=8_000)
    assert (await read_break(app_database, stall, break_id))["held_at"] is not None
