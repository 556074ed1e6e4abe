"""Decisions about the money of breaks: two people agree, each posts once, and can be undone."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.cash import take_rest_in_cash
from payments.bills.service import cancel_bill
from payments.breaks.errors import BreakClosed, BreakHeld, BreakNotDecidable, BreakNotFound
from payments.breaks.service import close_break
from payments.credits.admissions import assign
from payments.credits.errors import CreditNotFound
from payments.decisions.deciding import refuse, review, withdraw
from payments.decisions.errors import (
    BillNotShort,
    DecisionIdTaken,
    DecisionNeedsAnother,
    DecisionNotFound,
    DecisionNotPossible,
    DecisionNotUndoable,
    DecisionTaken,
    DecisionWaits,
)
from payments.decisions.proposing import propose_undo, report_short_bill
from payments.decisions.rules import Action, Target
from payments.ledger.rules import AccountCode
from payments.refunds.errors import RefundNotPossible, RefundTooHigh
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.breaks import (
    NO_SUCH_REFERENCE,
    a_decision,
    a_paid_twice_break,
    a_short_bill,
    approve_it,
    find_break,
    read_account,
    read_break,
    read_written_off,
    undo_it,
)
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.reads import count_rows, list_breaks, list_events, read_ledger, read_status
from tests.world.refunds import FINANCE, a_refund, find_payments, take
from tests.world.stalls import PayableStall, a_neighbour, a_payable_stall, another_payee

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OTHER = Actor(kind="staff", id=UUID(int=9), name="other")


async def test_what_nobody_claims_is_written_off_by_two_people_and_undone_by_two(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    assert (await read_ledger(app_database, stall))["unapplied"] == 20_000  # nothing moved yet

    await approve_it(app_database, stall, decision.id)

    assert (await read_ledger(app_database, stall))["unapplied"] == 0
    assert await read_written_off(app_database, stall) == 20_000
    closed = await read_break(app_database, stall, break_id)
    said = (closed["resolution"], closed["decision"], closed["outcome"], closed["closed_by"])
    assert said == ("written_off", "written_off", "decided", APPROVER.id)
    assert find_violations(fresh_database.owner_url) == []

    await undo_it(app_database, stall, decision.id)

    assert (await read_ledger(app_database, stall))["unapplied"] == 20_000
    assert await read_written_off(app_database, stall) == 0
    assert await list_breaks(app_database, stall) == ["refund_due"]
    assert await count_rows(app_database, stall, "postings", "cause_kind LIKE 'break_%'") == 2
    assert find_violations(fresh_database.owner_url) == []

    # It can be decided anew, also otherwise.
    again = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    await approve_it(app_database, stall, again.id)
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("target", list(Target), ids=str)
async def test_a_correction_moves_unapplied_cash_to_where_it_belongs(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase, target: Target
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    is_payees = target is Target.NOT_TAKINGS
    decision = await a_decision(
        app_database,
        stall,
        break_id,
        amount_vnd=20_000,
        action=Action.CORRECT,
        target=target,
        payee_id=stall.payee_id if is_payees else None,
    )
    subjects = {
        Target.NOT_THE_HUBS: stall.account_id,
        Target.INTEREST: stall.account_id,
        Target.OWN_TRANSFERS: stall.org.id,
        Target.NOT_TAKINGS: stall.payee_id,
    }
    code, subject_id = AccountCode(target.value), subjects[target]

    await approve_it(app_database, stall, decision.id)

    assert await read_account(app_database, stall, code, subject_id) == 20_000
    assert (await read_ledger(app_database, stall))["unapplied"] == 0
    assert find_violations(fresh_database.owner_url) == []

    await undo_it(app_database, stall, decision.id)

    assert await read_account(app_database, stall, code, subject_id) == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_the_rest_of_a_short_bill_is_given_up_and_owed_again(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill, break_id = await a_short_bill(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=5_000)

    await approve_it(app_database, stall, decision.id)

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert await read_written_off(app_database, stall) == -5_000
    assert (await read_ledger(app_database, stall))["takings"] == 20_000
    assert (await read_break(app_database, stall, break_id))["resolution"] == "written_off"
    assert "bill.written_off" in await list_events(app_database, stall)
    assert find_violations(fresh_database.owner_url) == []

    await undo_it(app_database, stall, decision.id)

    assert await read_status(app_database, stall, bill) == ("part_paid", 15_000, 15_000)
    assert await read_written_off(app_database, stall) == 0
    assert await list_breaks(app_database, stall) == ["short"]
    assert find_violations(fresh_database.owner_url) == []


async def test_what_nobody_paid_is_not_refunded_and_a_refund_keeps_it_from_being_undone(
    app_database: Database, stall: PayableStall
) -> None:
    bill, break_id = await a_short_bill(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=5_000)
    await approve_it(app_database, stall, decision.id)
    paid, given_up = await find_payments(app_database, stall, bill)

    with pytest.raises(RefundNotPossible):
        await a_refund(app_database, stall, payment_id=given_up, amount_vnd=1_000)
    await a_refund(app_database, stall, payment_id=paid, amount_vnd=1_000)
    with pytest.raises(DecisionNotUndoable):
        await undo_it(app_database, stall, decision.id)


@pytest.mark.parametrize("end", ["paid", "cash", "cancelled"])
async def test_a_short_bill_leaves_the_list_once_it_is_owed_nothing(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase, end: str
) -> None:
    bill, break_id = await a_short_bill(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=5_000)

    async with open_org_transaction(app_database, stall.org.id) as session:
        org_id, facts = stall.org.id, {"actor": MANAGER, "now": NOON}
        if end == "cash":
            await take_rest_in_cash(
                session, org_id, bill.id, payment_id=new_id(), amount_vnd=5_000, **facts
            )
        elif end == "cancelled":
            await cancel_bill(session, org_id, bill.id, reason=None, **facts)
    if end == "paid":
        await pay(app_database, stall, bill, amount_vnd=5_000)

    assert "short" not in await list_breaks(app_database, stall)
    with pytest.raises(BreakClosed):
        await approve_it(app_database, stall, decision.id)
    assert await read_written_off(app_database, stall) == 0


async def test_only_a_bill_that_was_paid_in_part_is_short(
    app_database: Database, stall: PayableStall
) -> None:
    unpaid, paid = await a_bill(app_database, stall), await a_bill(app_database, stall)
    await pay(app_database, stall, paid)
    short, break_id = await a_short_bill(app_database, stall)

    async def report(bill_id: UUID) -> UUID:
        async with open_org_transaction(app_database, stall.org.id) as session:
            found = await report_short_bill(session, stall.org.id, bill_id, actor=FINANCE, now=NOON)
            return found.id

    for bill in (unpaid, paid):
        with pytest.raises(BillNotShort):
            await report(bill.id)
    assert await report(short.id) == break_id  # it is on the list once


async def test_who_proposed_does_not_approve_and_who_opened_the_bill_does_not(
    app_database: Database, stall: PayableStall
) -> None:
    bill, break_id = await a_short_bill(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=5_000)
    opener = Actor(kind="staff", id=bill.created_by, name="opener")

    for who in (FINANCE, opener):
        with pytest.raises(DecisionNeedsAnother):
            await approve_it(app_database, stall, decision.id, actor=who)

    assert await read_written_off(app_database, stall) == 0
    await approve_it(app_database, stall, decision.id)
    with pytest.raises(DecisionTaken):
        await approve_it(app_database, stall, decision.id, actor=OTHER)
    await approve_it(app_database, stall, decision.id)  # the same again is the same
    assert await read_written_off(app_database, stall) == -5_000


async def test_who_is_alone_decides_alone_and_somebody_looks_at_it_later(
    app_database: Database, stall: PayableStall
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)

    done = await approve_it(app_database, stall, decision.id, actor=FINANCE, is_alone=True)

    assert done.is_decided_alone
    async with open_org_transaction(app_database, stall.org.id) as session:
        facts = {"now": NOON}
        with pytest.raises(DecisionNeedsAnother):
            await review(session, stall.org.id, decision.id, actor=FINANCE, **facts)
        looked = await review(session, stall.org.id, decision.id, actor=APPROVER, **facts)
        assert looked.reviewed_by == APPROVER.id


@pytest.mark.parametrize("end", ["refused", "withdrawn"])
async def test_a_decision_holds_its_break_until_it_is_made(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase, end: str
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)

    async def close(session: Any) -> None:
        await close_break(
            session, stall.org.id, break_id, resolution="xong", actor=FINANCE, now=NOON
        )

    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(BreakHeld):
            await close(session)
    with pytest.raises(DecisionWaits):
        await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        said = {"words": "không", "now": NOON}
        if end == "withdrawn":
            with pytest.raises(DecisionNeedsAnother):
                await withdraw(session, stall.org.id, decision.id, actor=OTHER, **said)
            done = await withdraw(session, stall.org.id, decision.id, actor=FINANCE, **said)
        else:
            done = await refuse(session, stall.org.id, decision.id, actor=APPROVER, **said)
    assert done.status == end

    with pytest.raises(DecisionTaken):
        await approve_it(app_database, stall, decision.id)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await close(session)
    assert (await read_break(app_database, stall, break_id))["outcome"] == "explained"
    assert find_violations(fresh_database.owner_url) == []


async def test_money_that_became_something_else_is_not_decided_about(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await a_neighbour(app_database, stall)
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, memo=NO_SUCH_REFERENCE)
    break_id = await find_break(app_database, stall, "unassigned")
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)

    async with open_org_transaction(app_database, stall.org.id) as session:
        await assign(session, stall.org.id, break_id, bill_id=bill.id, actor=FINANCE, now=NOON)

    with pytest.raises(BreakClosed):
        await approve_it(app_database, stall, decision.id)
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []


async def test_what_was_given_up_is_assigned_only_after_that_is_undone(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await a_neighbour(app_database, stall)
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, memo=NO_SUCH_REFERENCE)
    break_id = await find_break(app_database, stall, "unassigned")
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    await approve_it(app_database, stall, decision.id)

    async def give() -> None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await assign(session, stall.org.id, break_id, bill_id=bill.id, actor=FINANCE, now=NOON)

    with pytest.raises(BreakClosed):
        await give()
    await undo_it(app_database, stall, decision.id)
    await give()
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_refund_and_a_decision_do_not_take_the_same_money(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    credit_id = (await read_break(app_database, stall, break_id))["credit_id"]
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    with pytest.raises(BreakHeld):
        await a_refund(app_database, stall, credit_id=credit_id, amount_vnd=8_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        said = {"words": "hoàn tiền", "actor": APPROVER, "now": NOON}
        await refuse(session, stall.org.id, decision.id, **said)
    refund = await a_refund(app_database, stall, credit_id=credit_id, amount_vnd=8_000)

    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(BreakHeld):  # the refund is on its way
            await close_break(
                session, stall.org.id, break_id, resolution="x", actor=FINANCE, now=NOON
            )
    with pytest.raises(BreakHeld):
        await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    await take(app_database, stall, refund, "cancel", words="nhầm")
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    await approve_it(app_database, stall, decision.id)
    with pytest.raises(RefundTooHigh):
        await a_refund(app_database, stall, credit_id=credit_id, amount_vnd=1)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_proposal_that_does_not_fit_is_refused(
    app_database: Database, stall: PayableStall
) -> None:
    _, short_id = await a_short_bill(app_database, stall)
    twice_id = await a_paid_twice_break(app_database, stall)
    known = await a_decision(app_database, stall, twice_id, amount_vnd=20_000)
    assert (
        await a_decision(app_database, stall, twice_id, amount_vnd=20_000, id_=known.id)
    ).id == known.id  # the same again

    for wrong, facts in (
        (DecisionNotPossible, {"break_id": short_id, "amount_vnd": 5_001}),
        (
            BreakNotDecidable,
            {
                "break_id": short_id,
                "amount_vnd": 5_000,
                "action": Action.CORRECT,
                "target": Target.INTEREST,
            },
        ),
        (DecisionIdTaken, {"break_id": short_id, "amount_vnd": 5_000, "id_": known.id}),
        (BreakNotFound, {"break_id": new_id(), "amount_vnd": 5_000}),
    ):
        arguments: dict[str, Any] = dict(facts)
        with pytest.raises(wrong):
            await a_decision(app_database, stall, arguments.pop("break_id"), **arguments)


async def test_a_decision_about_money_of_a_payee_who_never_traded_there_is_refused(
    app_database: Database, stall: PayableStall
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    other = await another_payee(app_database, stall)

    with pytest.raises(CreditNotFound):
        await a_decision(
            app_database,
            stall,
            break_id,
            amount_vnd=20_000,
            action=Action.CORRECT,
            target=Target.NOT_TAKINGS,
            payee_id=other,
        )


async def test_what_was_not_approved_or_is_undone_is_not_undone(
    app_database: Database, stall: PayableStall
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    with pytest.raises(DecisionNotUndoable):
        await undo_it(app_database, stall, decision.id)
    await approve_it(app_database, stall, decision.id)
    with pytest.raises(DecisionNeedsAnother):
        await undo_it(app_database, stall, decision.id, by=FINANCE)
    async with open_org_transaction(app_database, stall.org.id) as session:
        query = text("SELECT id FROM break_decisions WHERE status = 'proposed'")
        waiting = (await session.execute(query)).scalar_one()
        undo = {"id_": new_id(), "reason": "lại", "actor": FINANCE, "now": NOON}
        with pytest.raises(DecisionWaits):
            await propose_undo(session, stall.org.id, decision.id, **undo)
    undoing = await approve_it(app_database, stall, waiting)
    for one in (decision, undoing):
        with pytest.raises(DecisionNotUndoable):
            await undo_it(app_database, stall, one.id)


@pytest.mark.parametrize(
    "change",
    [
        "decided_by = proposed_by, decided_at = now(), status = 'approved'",
        "status = 'approved'",
        "status = 'approved', decided_at = now()",
        "status = 'lost', decided_by = proposed_by, decided_at = now()",
    ],
)
async def test_no_row_says_that_one_person_decided_for_two(
    app_database: Database, stall: PayableStall, change: str
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    await a_decision(app_database, stall, break_id, amount_vnd=20_000)

    with pytest.raises(IntegrityError):
        async with open_org_transaction(app_database, stall.org.id) as session:
            await session.execute(text(f"UPDATE break_decisions SET {change}"))


async def test_another_organisation_sees_and_decides_nothing(
    app_database: Database, stall: PayableStall
) -> None:
    break_id = await a_paid_twice_break(app_database, stall)
    decision = await a_decision(app_database, stall, break_id, amount_vnd=20_000)
    theirs = await a_payable_stall(app_database, code="QQQQ")

    with pytest.raises(DecisionNotFound):
        await approve_it(app_database, theirs, decision.id)
    with pytest.raises(BreakNotFound):
        await a_decision(app_database, theirs, break_id, amount_vnd=20_000)
