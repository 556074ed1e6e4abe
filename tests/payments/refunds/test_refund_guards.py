"""Whom a refund takes, and what is held while it is under way: each way round a second person."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.reasons import Reason
from core.tenancy import open_org_transaction
from payments.bills.cash import take_back_cash, take_rest_in_cash
from payments.bills.errors import CashNotReversible
from payments.bills.rules import BillFacts
from payments.breaks.errors import BreakHeld
from payments.breaks.queries import renew_refunds_due
from payments.breaks.rules import BreakReason
from payments.breaks.service import close_break
from payments.credits.corrections import mark_same_money
from payments.credits.errors import CreditNotCorrectable
from payments.payees.accounts import end_link, set_holder
from payments.payees.errors import AccountLinkNotInForce, HolderNeedsAnother
from payments.payees.rules import HeldBy
from payments.refunds.errors import (
    RefundDestinationChanged,
    RefundDestinationFixed,
    RefundNeedsAnother,
    RefundNotPossible,
    RefundTooHigh,
)
from payments.refunds.models import Refund
from payments.refunds.rules import hash_destination
from payments.refunds.service import cancel_bill_and_propose_refund, propose_refund
from payments.refunds.steps import review_alone
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import APPROVER, MANAGER, NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.reads import list_breaks
from tests.world.refunds import (
    BANK_REFERENCE,
    FINANCE,
    a_refund,
    enter_account,
    find_payments,
    hold_by,
    take,
)
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OTHER = Actor(kind="staff", id=UUID(int=9), name="other")


async def a_paid_bill(database: Database, stall: PayableStall) -> tuple[BillFacts, UUID]:
    """Return (bill, its payment) of 20.000 ₫."""
    bill = await a_bill(database, stall)
    await pay(database, stall, bill)
    (payment_id,) = await find_payments(database, stall, bill)
    return bill, payment_id


async def a_refund_to_approve(database: Database, stall: PayableStall, **facts: object) -> Refund:
    await hold_by(database, stall, "organisation")
    _, payment_id = await a_paid_bill(database, stall)
    return await a_refund(database, stall, payment_id=payment_id, amount_vnd=5_000, **facts)


async def a_person(database: Database, stall: PayableStall, who: Actor, *, is_gone: bool) -> None:
    """Let somebody belong to the organisation, who can sign in or could until after noon."""
    async with open_org_transaction(database, stall.org.id) as session:
        await session.execute(
            text(
                "INSERT INTO staff (org_id, id, login, display_name, password_hash, roles,"
                " created_at, disabled_at)"
                " VALUES (:org_id, :id, :login, 'x', 'x', '{admin}', :now, :disabled_at)"
            ),
            {
                "org_id": stall.org.id,
                "id": who.id,
                "login": f"{who.name}-{stall.org.code}".lower(),
                "now": NOON,
                "disabled_at": NOON + timedelta(minutes=1) if is_gone else None,
            },
        )


async def test_an_approval_is_for_the_account_that_was_seen(
    app_database: Database, stall: PayableStall
) -> None:
    refund = await a_refund_to_approve(app_database, stall)
    await enter_account(app_database, stall, refund, account="0123456789")
    seen = hash_destination("970422", "0123456789", "NGUYEN THI LAN")
    await enter_account(app_database, stall, refund, account="9876543210")

    for wrong in (seen, None):
        with pytest.raises(RefundDestinationChanged):
            await take(app_database, stall, refund, "approve", destination_hash=wrong)

    await take(app_database, stall, refund, "approve")


async def test_another_account_is_entered_only_by_who_requested_or_entered_it(
    app_database: Database, stall: PayableStall
) -> None:
    refund = await a_refund_to_approve(app_database, stall)
    await enter_account(app_database, stall, refund, actor=VENDOR)

    with pytest.raises(RefundDestinationFixed):
        await enter_account(app_database, stall, refund, account="9876543210", actor=OTHER)

    for who in (VENDOR, FINANCE):
        await enter_account(app_database, stall, refund, account=f"98765{who.name}", actor=who)


async def test_what_a_key_requested_its_maker_does_not_approve(
    app_database: Database, stall: PayableStall
) -> None:
    key_id = new_id()
    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(
            text(
                "INSERT INTO api_keys (org_id, id, prefix, secret_hash, name, scopes, created_by,"
                " created_at) VALUES (:org_id, :id, :prefix, 'x', 'till', '{}', :by, :now)"
            ),
            {
                "org_id": stall.org.id,
                "id": key_id,
                "prefix": key_id.hex[-12:],
                "by": APPROVER.id,
                "now": NOON,
            },
        )
    key = Actor(kind="api_key", id=key_id, name="till")
    refund = await a_refund_to_approve(app_database, stall, actor=key)
    await enter_account(app_database, stall, refund, actor=key)

    with pytest.raises(RefundNeedsAnother):
        await take(app_database, stall, refund, "approve", actor=APPROVER)
    await take(app_database, stall, refund, "approve", actor=OTHER)


async def test_while_a_payment_is_refunded_no_other_of_its_bill_is_taken_back(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=12_000)
    (by_bank,) = await find_payments(app_database, stall, bill)
    cash = {"payment_id": new_id(), "actor": VENDOR, "now": NOON}
    async with open_org_transaction(app_database, stall.org.id) as session:
        await take_rest_in_cash(session, stall.org.id, bill.id, amount_vnd=8_000, **cash)
        credit_id = (
            await session.execute(text("SELECT id FROM bank_transactions WHERE amount_vnd = 12000"))
        ).scalar_one()

    refund = await a_refund(app_database, stall, payment_id=by_bank, amount_vnd=1_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(CashNotReversible):
            await take_back_cash(session, stall.org.id, bill.id, **cash)
    await take(app_database, stall, refund, "cancel")
    await a_refund(app_database, stall, payment_id=cash["payment_id"], amount_vnd=1_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(CreditNotCorrectable):
            await mark_same_money(session, stall.org.id, credit_id, actor=MANAGER, now=NOON)
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("step", ["approve", "instruct"])
async def test_a_refund_of_a_bill_that_is_owed_again_goes_no_further(
    app_database: Database, stall: PayableStall, step: str
) -> None:
    refund = await a_refund_to_approve(app_database, stall)
    await enter_account(app_database, stall, refund)
    if step == "instruct":
        await take(app_database, stall, refund, "approve")
    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(text("UPDATE bills SET status = 'part_paid', paid_at = NULL"))

    with pytest.raises(RefundNotPossible):
        await take(app_database, stall, refund, step)


async def agree(
    database: Database, stall: PayableStall, bill: BillFacts, *, amount_vnd: int
) -> None:
    """Let a complaint about a bill be upheld."""
    async with open_org_transaction(database, stall.org.id) as session:
        await propose_refund(
            session,
            stall.org.id,
            subject_id=new_id(),
            bill_id=bill.id,
            matter_ids=[bill.id],
            paid_vnd=20_000,
            amount_vnd=amount_vnd,
            reason=Reason(BreakReason.CANCELLED_PART_PAID, {"reference": bill.reference}),
            now=NOON,
        )


async def test_what_was_agreed_is_not_given_back_a_second_time_without_it(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill, payment_id = await a_paid_bill(app_database, stall)
    await agree(app_database, stall, bill, amount_vnd=15_000)

    with pytest.raises(RefundTooHigh) as told:
        await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=16_000)
    assert told.value.left_vnd == 5_000
    followed = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=15_000)
    assert followed.break_id is not None
    rest = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    assert rest.break_id is None
    assert find_violations(fresh_database.owner_url) == []


async def test_a_proposal_is_held_only_as_long_as_a_refund_of_it_is_under_way(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill, payment_id = await a_paid_bill(app_database, stall)
    await agree(app_database, stall, bill, amount_vnd=15_000)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=10_000)
    assert refund.break_id is not None
    closing = {"resolution": "khách không đòi nữa", "actor": MANAGER, "now": NOON}
    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(BreakHeld):
            await close_break(session, stall.org.id, refund.break_id, **closing)

    await take(app_database, stall, refund, "confirm", actor=VENDOR, bank_reference="FT1")

    assert await list_breaks(app_database, stall) == ["refund_agreed"]
    async with open_org_transaction(app_database, stall.org.id) as session:
        await close_break(session, stall.org.id, refund.break_id, **closing)
    assert find_violations(fresh_database.owner_url) == []


async def test_a_renewed_proposal_stays_held_and_is_measured_by_its_own_amount(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, amount_vnd=5_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel_bill_and_propose_refund(
            session, stall.org.id, bill.id, actor=VENDOR, reason=None, now=NOON
        )
    (payment_id,) = await find_payments(app_database, stall, bill)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=3_000)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await renew_refunds_due(session, stall.org.id, {bill.id: 3_000}, now=NOON)
        held = "SELECT count(*) FROM breaks WHERE closed_at IS NULL AND held_at IS NOT NULL"
        assert (await session.execute(text(held))).scalar_one() == 1

    await take(app_database, stall, refund, "confirm", actor=VENDOR, bank_reference="FT1")

    assert await list_breaks(app_database, stall) == []


@pytest.mark.parametrize("who", [FINANCE, MANAGER], ids=["asked", "account"])
async def test_an_administrator_does_not_give_back_alone_for_a_payee(
    app_database: Database, stall: PayableStall, who: Actor
) -> None:
    """Not who requested it, nor who proposed the account or said who holds it."""
    _, payment_id = await a_paid_bill(app_database, stall)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    said = {"bank_reference": BANK_REFERENCE, "acts_for": None}
    for one in (who, OTHER):
        await a_person(app_database, stall, one, is_gone=False)

    with pytest.raises(RefundNeedsAnother):
        await take(app_database, stall, refund, "confirm", actor=who, **said)
    await take(app_database, stall, refund, "confirm", actor=OTHER, **said)


@pytest.mark.parametrize("is_gone", [True, False], ids=["sent_away", "there"])
async def test_nobody_is_alone_who_sent_the_others_away(
    app_database: Database, stall: PayableStall, *, is_gone: bool
) -> None:
    _, payment_id = await a_paid_bill(app_database, stall)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    said = {"bank_reference": BANK_REFERENCE, "acts_for": None}
    await a_person(app_database, stall, FINANCE, is_gone=False)
    await a_person(app_database, stall, OTHER, is_gone=is_gone)

    with pytest.raises(RefundNeedsAnother):
        await take(app_database, stall, refund, "confirm", actor=FINANCE, **said)


async def test_the_only_person_gives_back_for_a_payee_and_another_looks_at_it(
    app_database: Database, stall: PayableStall
) -> None:
    _, payment_id = await a_paid_bill(app_database, stall)
    refund = await a_refund(app_database, stall, payment_id=payment_id, amount_vnd=5_000)
    await a_person(app_database, stall, FINANCE, is_gone=False)

    said = {"bank_reference": BANK_REFERENCE, "acts_for": None}
    done = await take(app_database, stall, refund, "confirm", actor=FINANCE, **said)

    assert done.is_decided_alone
    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(RefundNeedsAnother):
            await review_alone(session, stall.org.id, refund.id, actor=FINANCE, now=NOON)
        await review_alone(session, stall.org.id, refund.id, actor=OTHER, now=NOON)


async def test_an_account_goes_back_to_its_payee_by_a_second_person_and_not_once_it_ended(
    app_database: Database, stall: PayableStall
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:
        link_id = (await session.execute(text("SELECT id FROM payee_accounts"))).scalar_one()
        facts = {"session": session, "org_id": stall.org.id, "link_id": link_id, "now": NOON}
        await set_holder(**facts, held_by=HeldBy.ORGANISATION, actor=FINANCE)
        with pytest.raises(HolderNeedsAnother):
            await set_holder(**facts, held_by=HeldBy.PAYEE, actor=FINANCE)
        await set_holder(**facts, held_by=HeldBy.PAYEE, actor=OTHER)
        await end_link(**facts, actor=MANAGER, reason="thay tài khoản")
        with pytest.raises(AccountLinkNotInForce):
            await set_holder(**facts, held_by=HeldBy.ORGANISATION, actor=OTHER)
