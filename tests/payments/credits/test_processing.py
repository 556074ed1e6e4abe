"""Processing of credits on a real database: every row of the bill's state table."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.service import cancel_bill
from tests.world.bills import a_bill
from tests.world.constants import NOON, VENDOR
from tests.world.endpoints import add_account
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.payees import a_payee, an_account
from tests.world.reads import list_breaks, list_events, read_ledger, read_status
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio


async def test_an_exact_credit_settles_the_bill_and_posts_it(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall, amount_vnd=20_000)

    assert await pay(app_database, stall, bill) == "settle"

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    books = await read_ledger(app_database, stall)
    assert books == {"clearing": -20_000, "takings": 20_000, "unapplied": 0, "not_takings": 0}
    assert (await list_events(app_database, stall))[-1] == "bill.paid"
    assert await list_breaks(app_database, stall) == []


async def test_one_dong_short_leaves_the_bill_part_paid(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall, amount_vnd=150_000)

    assert await pay(app_database, stall, bill, amount_vnd=149_999) == "part"
    assert await read_status(app_database, stall, bill) == ("part_paid", 149_999, 149_999)

    assert await pay(app_database, stall, bill, amount_vnd=1) == "settle"
    assert await read_status(app_database, stall, bill) == ("paid", 150_000, 150_000)


async def test_what_is_too_much_waits_in_unapplied_cash(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall, amount_vnd=20_000)

    assert await pay(app_database, stall, bill, amount_vnd=25_000) == "over"

    assert await read_status(app_database, stall, bill) == ("over_paid", 20_000, 25_000)
    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["unapplied"]) == (20_000, 5_000)
    assert await list_breaks(app_database, stall) == ["refund_due"]


async def test_paying_twice_settles_once_and_proposes_a_refund(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, bank_reference="FT1")

    assert await pay(app_database, stall, bill, bank_reference="FT2") == "closed_bill"

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 40_000)
    books = await read_ledger(app_database, stall)
    assert (books["takings"], books["unapplied"]) == (20_000, 20_000)
    assert await list_breaks(app_database, stall) == ["refund_due"]


async def test_a_repeated_notice_moves_money_once(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, bank_reference="FT1", transaction_id=77)

    again = await pay(app_database, stall, bill, bank_reference="FT1", transaction_id=77)

    assert again == "repeat"
    assert (await read_ledger(app_database, stall))["clearing"] == -20_000


async def test_a_hundred_repeats_in_one_batch_move_money_once(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
    await store_notices(app_database, stall, *[body] * 100)

    assert await process_waiting(app_database, stall) == 100

    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 20_000)
    assert (await read_ledger(app_database, stall))["clearing"] == -20_000


async def test_the_same_id_with_another_amount_is_evidence_and_an_alarm(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    await pay(app_database, stall, bill, transaction_id=77)

    again = await pay(app_database, stall, bill, transaction_id=77, amount_vnd=99_000)

    assert again == "contradicted"
    assert (await read_ledger(app_database, stall))["clearing"] == -20_000
    assert await list_breaks(app_database, stall) == ["contradiction"]
    async with open_org_transaction(app_database, stall.org.id) as session:
        told = await session.scalar(
            text("SELECT differences FROM sightings WHERE is_contradiction")
        )
    assert told["amount_vnd"] == [20_000, 99_000]


async def test_a_credit_after_expiry_settles_the_bill_as_late(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    later = NOON + timedelta(minutes=20)

    assert await pay(app_database, stall, bill, now=later) == "settle"

    async with open_org_transaction(app_database, stall.org.id) as session:
        assert await session.scalar(text("SELECT is_late FROM bills"))


async def test_a_credit_in_the_expiry_second_is_not_late(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)

    told_later = NOON + timedelta(minutes=30)
    await pay(app_database, stall, bill, occurred_at=bill.expires_at, now=told_later)

    async with open_org_transaction(app_database, stall.org.id) as session:
        assert not await session.scalar(text("SELECT is_late FROM bills"))


async def test_money_for_a_cancelled_bill_is_kept_and_due_for_refund(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel_bill(session, stall.org.id, bill.id, actor=VENDOR, reason=None, now=NOON)

    assert await pay(app_database, stall, bill) == "closed_bill"

    assert (await read_status(app_database, stall, bill))[0] == "cancelled"
    assert (await read_ledger(app_database, stall))["unapplied"] == 20_000
    assert await list_breaks(app_database, stall) == ["refund_due"]


async def test_a_credit_without_reference_on_a_sole_payees_account_is_a_counter_sale(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall, amount_vnd=35_000)

    outcome = await pay(app_database, stall, bill, memo="NGUYEN VAN A chuyen tien")

    assert outcome == "counter_sale"
    assert (await read_status(app_database, stall, bill))[0] == "open"
    assert (await read_ledger(app_database, stall))["takings"] == 35_000
    async with open_org_transaction(app_database, stall.org.id) as session:
        suggested = await session.scalar(text("SELECT suggested_bill_id FROM matches"))
    assert suggested == bill.id


async def test_a_reference_paid_into_another_account_is_kept_and_never_applied(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        other = await a_payee(session, stall.org)
        account = await an_account(session, stall.org, other, account_number="0999888777")
        await add_account(session, stall.org, stall.endpoint_id, account)
    body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference, account_number="0999888777")
    await store_notices(app_database, stall, body)
    await process_waiting(app_database, stall)

    assert (await read_status(app_database, stall, bill))[0] == "open"
    assert await list_breaks(app_database, stall) == ["wrong_account"]


async def test_a_notice_for_an_unknown_account_waits_and_is_processed_again(
    app_database: Database, stall: PayableStall
) -> None:
    body = sepay_body(stall, amount_vnd=5_000, memo="x", account_number="0123123123")
    await store_notices(app_database, stall, body)
    assert await process_waiting(app_database, stall) == 0
    assert await list_breaks(app_database, stall) == ["unknown_account"]

    async with open_org_transaction(app_database, stall.org.id) as session:
        payee = await a_payee(session, stall.org)
        account = await an_account(session, stall.org, payee, account_number="0123123123")
        await add_account(session, stall.org, stall.endpoint_id, account)
    assert await process_waiting(app_database, stall, now=NOON + timedelta(minutes=2)) == 1


async def test_outgoing_money_is_recorded_and_posts_nothing(
    app_database: Database, stall: PayableStall
) -> None:
    body = sepay_body(stall, amount_vnd=5_000, memo="tra hang", direction="out")
    await store_notices(app_database, stall, body)
    await process_waiting(app_database, stall)

    async with open_org_transaction(app_database, stall.org.id) as session:
        assert await session.scalar(text("SELECT direction FROM bank_transactions")) == "out"
        assert await session.scalar(text("SELECT count(*) FROM postings")) == 0


async def test_an_open_amount_is_paid_by_whatever_comes(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall, amount_vnd=None)

    assert await pay(app_database, stall, bill, amount_vnd=12_345) == "settle"
    assert await read_status(app_database, stall, bill) == ("paid", 12_345, 12_345)


async def test_a_poisonous_notice_does_not_hold_up_the_others(
    app_database: Database, stall: PayableStall, owner_database: Database
) -> None:
    """The ledger account of one stall is missing: its notice fails, its neighbour's settles."""
    bill = await a_bill(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        poor = await a_payee(session, stall.org)
        account = await an_account(session, stall.org, poor, account_number="0777777777")
        await add_account(session, stall.org, stall.endpoint_id, account)
    async with owner_database.begin() as owner:
        values = {"payee_id": poor}
        await owner.execute(
            text("DELETE FROM ledger_accounts WHERE subject_id = :payee_id"), values
        )
    bad = sepay_body(stall, amount_vnd=1_000, memo="x", account_number="0777777777")
    good = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
    await store_notices(app_database, stall, bad, good)

    assert await process_waiting(app_database, stall) == 1

    assert (await read_status(app_database, stall, bill))[0] == "paid"
