"""Refunds from their request to their end: what moves, what is held, who is needed."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from payments.bills.cash import take_back_cash, take_rest_in_cash
from payments.bills.errors import CashNotReversible
from payments.breaks.errors import BreakHeld
from payments.breaks.service import close_break
from payments.credits.corrections import mark_same_money
from payments.credits.errors import CreditNotCorrectable
from payments.payees.rules import HeldBy
from payments.refunds.errors import (
    RefundHasNoDestination,
    RefundIdTaken,
    RefundNeedsAnother,
    RefundNotFound,
    RefundNotPossible,
    RefundNotYours,
    RefundProposalNotFitting,
    RefundReferenceNeeded,
    RefundStepNotPossible,
    RefundTooHigh,
)
from payments.refunds.jobs import doubt_refunds
from payments.refunds.service import cancel_bill_and_propose_refund
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import APPROVER, MANAGER, NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.reads import (
    count_rows,
    list_breaks,
    list_events,
    read_ledger,
    read_status,
)
from tests.world.refunds import (
    BANK_REFERENCE,
    FINANCE,
    a_refund,
    an_instructed_refund,
    enter_account,
    find_payments,
    hold_by,
    read_in_transit,
    read_refundable,
    take,
)
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_a_part_is_requested_approved_instructed_and_returned(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await hold_by(app_database, stall, "organisation")
    bill = await a_bill(app_database, stall, owner=("nobody", new_id()))
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)

    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    assert await read_refundable(app_database, stall, payment_id) == 15_000
    await enter_account(app_database, stall, refund)
    await take(app_database, stall, refund, "approve")
    assert (await read_ledger(app_database, stall))["takings"] == 20_000  # nothing moved yet
    for _ in range(2):  # the second time answers like the first
        await take(app_database, stall, refund, "instruct")
        assert (await read_ledger(app_database, stall))["takings"] == 15_000
        assert await read_in_transit(app_database, stall) == 5_000
    assert (await read_status(app_database, stall, bill))[0] == "paid"
    done = await take(app_database, stall, refund, "confirm", bank_reference=BANK_REFERENCE)

    assert (done.status, done.bank_reference) == ("returned", BANK_REFERENCE)
    assert (await read_status(app_database, stall, bill))[0] == "part_refunded"
    assert await count_rows(app_database, stall, "bill_changes", "to_status = 'part_refunded'") == 1
    assert (await list_events(app_database, stall)).count("refund.changed") == 4
    assert await count_rows(app_database, stall, "audit_log", "object_kind = 'refund'") == 5
    assert find_violations(fresh_database.owner_url) == []

    rest = await an_instructed_refund(app_database, stall, payment_id=payment_id, amount_vnd=15_000)
    await take(app_database, stall, rest, "confirm", bank_reference="FT2")
    assert (await read_status(app_database, stall, bill))[0] == "refunded"
    assert find_violations(fresh_database.owner_url) == []


async def test_what_was_not_done_is_posted_back_and_can_be_refunded_again(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await hold_by(app_database, stall, "organisation")
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await an_instructed_refund(
        app_database, stall, payment_id=payment_id, amount_vnd=20_000
    )
    await take(app_database, stall, refund, "confirm", bank_reference=BANK_REFERENCE)

    # F16: the bank sends the transfer back three days later.
    later = NOON + timedelta(days=3)
    await take(app_database, stall, refund, "fail", words="tài khoản đã đóng", now=later)

    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert await read_refundable(app_database, stall, payment_id) == 20_000
    assert (await read_ledger(app_database, stall))["takings"] == 20_000
    assert await read_in_transit(app_database, stall) == 0
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("step", ["reject", "cancel"])
async def test_what_is_not_to_be_made_frees_its_money(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase, step: str
) -> None:
    await hold_by(app_database, stall, "organisation")
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=20_000)

    await take(app_database, stall, refund, step, words="khách không đòi nữa")

    assert await read_refundable(app_database, stall, payment_id) == 20_000
    with pytest.raises(RefundStepNotPossible):
        await take(app_database, stall, refund, "confirm", bank_reference=BANK_REFERENCE)
    assert find_violations(fresh_database.owner_url) == []


async def test_no_more_is_requested_than_was_paid_and_the_same_id_is_one_refund(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    facts = {"payment_id": payment_id, "id_": new_id()}
    for _ in range(2):
        await a_refund(app_database, stall, amount_vnd=15_000, **facts)
    assert await count_rows(app_database, stall, "refunds") == 1

    with pytest.raises(RefundIdTaken):
        await a_refund(app_database, stall, amount_vnd=14_000, **facts)
    with pytest.raises(RefundTooHigh) as told:
        await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_001)
    assert told.value.left_vnd == 5_000


async def test_a_bill_that_is_owed_the_rest_is_cancelled_before_it_is_refunded(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=5_000)
    (payment_id,) = await find_payments(app_database, stall, bill)
    with pytest.raises(RefundNotPossible):
        await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)

    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel_bill_and_propose_refund(
            session, stall.org.id, bill.id, actor=VENDOR, reason=None, now=NOON
        )
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    assert refund.break_id is not None  # what was due is what is requested
    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(BreakHeld):  # nobody closes in words what is under way
            await close_break(
                session, stall.org.id, refund.break_id, resolution="x", actor=MANAGER, now=NOON
            )
    await take(app_database, stall, refund, "confirm", bank_reference=BANK_REFERENCE)

    assert await list_breaks(app_database, stall) == []
    assert (await read_status(app_database, stall, bill))[0] == "cancelled"
    assert find_violations(fresh_database.owner_url) == []
    await take(app_database, stall, refund, "fail")
    assert await list_breaks(app_database, stall) == ["refund_due"]
    assert find_violations(fresh_database.owner_url) == []


async def test_what_came_twice_goes_back_out_of_unapplied_cash(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await hold_by(app_database, stall, "organisation")
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    await pay(app_database, stall, bill)  # once more
    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT credit_id FROM matches WHERE verdict = 'closed_bill'")
        credit_id = (await session.execute(query)).scalar_one()
    assert (await read_ledger(app_database, stall))["unapplied"] == 20_000

    refund = await a_refund(app_database, stall, credit_id=credit_id, amount_vnd=20_000)
    with pytest.raises(RefundTooHigh):
        await a_refund(app_database, stall, credit_id=credit_id, amount_vnd=1)
    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(CreditNotCorrectable):  # it is on its way back
            await mark_same_money(session, stall.org.id, credit_id, actor=MANAGER, now=NOON)
    await enter_account(app_database, stall, refund)
    for step in ("approve", "instruct"):
        await take(app_database, stall, refund, step)
    await take(app_database, stall, refund, "confirm", bank_reference=BANK_REFERENCE)

    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["unapplied"]) == (20_000, 0)
    assert await read_in_transit(app_database, stall) == 20_000
    assert await list_breaks(app_database, stall) == []
    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert find_violations(fresh_database.owner_url) == []


async def test_more_than_a_proposal_says_is_not_requested_from_it(
    app_database: Database, stall: PayableStall
) -> None:
    bill, other = [await a_bill(app_database, stall) for _ in range(2)]
    for one in (bill, other):
        await pay(app_database, stall, one)
    await pay(app_database, stall, bill, amount_vnd=500)
    async with open_org_transaction(app_database, stall.org.id) as session:
        break_id = (await session.execute(text("SELECT id FROM breaks"))).scalar_one()
    (payment_id,) = await find_payments(app_database, stall, other)

    with pytest.raises(RefundProposalNotFitting):  # it is about another bill's credit
        await a_refund(
            app_database, stall, payment_id=payment_id, break_id=break_id, amount_vnd=500
        )


@pytest.mark.parametrize("who", [FINANCE, VENDOR, MANAGER], ids=["asked", "opened", "account"])
async def test_a_second_person_approves(
    app_database: Database, stall: PayableStall, who: Actor
) -> None:
    """Not who requested it, opened the bill, or proposed the account."""
    await hold_by(app_database, stall, "organisation")
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    with pytest.raises(RefundHasNoDestination):
        await take(app_database, stall, refund, "approve")
    await enter_account(app_database, stall, refund)

    with pytest.raises(RefundNeedsAnother):
        await take(app_database, stall, refund, "approve", actor=who)
    with pytest.raises(RefundStepNotPossible):
        await take(app_database, stall, refund, "instruct")
    await take(app_database, stall, refund, "approve", actor=APPROVER)


async def test_who_is_alone_approves_alone_and_it_is_marked(
    app_database: Database, stall: PayableStall
) -> None:
    await hold_by(app_database, stall, "organisation")
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    await enter_account(app_database, stall, refund)

    done = await take(app_database, stall, refund, "approve", actor=FINANCE, is_alone=True)

    assert (done.status, done.is_decided_alone) == ("approved", True)


async def test_the_payee_gives_back_from_its_own_account_and_says_so(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=20_000)
    assert refund.held_by == "payee"
    with pytest.raises(RefundStepNotPossible):
        await take(app_database, stall, refund, "approve")
    with pytest.raises(RefundReferenceNeeded):
        await take(app_database, stall, refund, "confirm", actor=VENDOR)

    await take(app_database, stall, refund, "confirm", actor=VENDOR, bank_reference=BANK_REFERENCE)

    assert (await read_status(app_database, stall, bill))[0] == "refunded"
    assert (await read_ledger(app_database, stall))["takings"] == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_only_the_holder_of_the_account_says_that_money_went_back(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    facts = {"payment_id": payment_id, "amount_vnd": 1_000}
    of_payee = await a_refund(app_database, stall, **facts)
    await hold_by(app_database, stall, "organisation")
    of_organisation = await a_refund(app_database, stall, **facts)
    said = {"bank_reference": BANK_REFERENCE}

    for refund, others in (
        (of_payee, HeldBy.ORGANISATION),
        (of_organisation, HeldBy.PAYEE),
    ):
        with pytest.raises(RefundNotYours):
            await take(app_database, stall, refund, "confirm", acts_for=others, **said)
    with pytest.raises(RefundNotYours):  # only who requested it takes it back
        await take(app_database, stall, of_organisation, "cancel", actor=VENDOR)
    decline = {"actor": VENDOR, "acts_for": HeldBy.PAYEE}
    with pytest.raises(RefundNotYours):  # a cashier declines nothing of somebody else's
        await take(app_database, stall, of_payee, "cancel", **decline)
    declined = await take(app_database, stall, of_payee, "cancel", may_decline=True, **decline)
    assert declined.status == "cancelled"


async def test_cash_goes_back_by_hand_out_of_the_drawer(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=12_000)
    said = {"payment_id": new_id(), "actor": VENDOR, "now": NOON}
    async with open_org_transaction(app_database, stall.org.id) as session:
        await take_rest_in_cash(session, stall.org.id, bill.id, amount_vnd=8_000, **said)

    refund = await a_refund(app_database, stall, payment_id=said["payment_id"], amount_vnd=3_000)
    assert refund.way == "cash"
    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(CashNotReversible):
            await take_back_cash(session, stall.org.id, bill.id, **said)
    await take(app_database, stall, refund, "confirm", actor=VENDOR)

    assert (await read_ledger(app_database, stall))["takings"] == 17_000
    assert await read_in_transit(app_database, stall) == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_a_payment_of_a_bill_that_was_refunded_is_not_taken_back(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    for part_vnd in (5_000, 15_000):
        await pay(app_database, stall, bill, amount_vnd=part_vnd)
    first, _ = await find_payments(app_database, stall, bill)
    refund = await a_refund(app_database, stall, payment_id=first, amount_vnd=5_000)
    await take(app_database, stall, refund, "confirm", bank_reference=BANK_REFERENCE)

    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT id FROM bank_transactions WHERE amount_vnd = 15000")
        other_credit = (await session.execute(query)).scalar_one()
        with pytest.raises(CreditNotCorrectable):
            await mark_same_money(session, stall.org.id, other_credit, actor=MANAGER, now=NOON)
    assert find_violations(fresh_database.owner_url) == []


async def test_what_nobody_answers_for_is_asked_about_until_somebody_does(
    app_database: Database,
    worker_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
) -> None:
    """F12: it times out at the bank, and succeeds later."""
    await hold_by(app_database, stall, "organisation")
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await an_instructed_refund(
        app_database, stall, payment_id=payment_id, amount_vnd=20_000
    )
    databases = JobDatabases(app=app_database, worker=worker_database)
    early, late = NOON + timedelta(days=2), NOON + timedelta(days=3, seconds=1)

    assert await doubt_refunds(databases, now=early) == 0
    assert await doubt_refunds(databases, now=late) == 1
    assert await doubt_refunds(databases, now=late) == 0

    assert await list_breaks(app_database, stall) == ["stuck"]
    with pytest.raises(RefundTooHigh):  # its money is held as long as nobody knows
        await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=1)
    await take(app_database, stall, refund, "confirm", bank_reference=BANK_REFERENCE, now=late)
    assert await list_breaks(app_database, stall) == []
    assert (await read_status(app_database, stall, bill))[0] == "refunded"
    assert find_violations(fresh_database.owner_url) == []


async def test_another_organisations_refund_is_not_there(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill)
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    neighbour = await a_payable_stall(app_database, code=next_code())

    with pytest.raises(RefundNotFound):
        await take(app_database, neighbour, refund, "reject")
