"""The way of an account into a payee's codes: two people, and a test transfer to its number.

The rules of an overlaid sticker and a bad manager, on a real database.
"""

from datetime import timedelta

import pytest

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.payees.accounts import refuse_account
from payments.payees.code_owners import clear_code_owner, has_code_owner, set_code_owner
from payments.payees.errors import (
    AccountLinkNotProposed,
    BadAccount,
    PayeeHasNoAccount,
    SecondPersonNeeded,
)
from payments.payees.queries import lock_links_of_payee
from tests.world.account_changes import (
    NEW_NUMBER,
    TEST_MEMO,
    add_to_endpoint,
    approve,
    find_account_in_force,
    propose,
    read_states,
    report_transfer,
)
from tests.world.bills import a_bill
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.payees import a_payee
from tests.world.reads import list_breaks, list_events, read_ledger, read_status
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio


async def test_who_proposed_an_account_cannot_approve_it(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(app_database, stall)

    with pytest.raises(SecondPersonNeeded):
        await approve(app_database, stall, link, actor=MANAGER)

    assert await read_states(app_database, stall, link) == ("proposed", "proposed")


async def test_who_proposed_the_account_cannot_approve_another_payees_link_to_it(
    app_database: Database, stall: PayableStall
) -> None:
    """Otherwise two managers of two stalls would let one number in by one decision each."""
    await propose(app_database, stall, actor=MANAGER)
    async with open_org_transaction(app_database, stall.org.id) as session:
        neighbour = await a_payee(session, stall.org)
    link = await propose(app_database, stall, payee_id=neighbour, actor=APPROVER)

    with pytest.raises(SecondPersonNeeded):
        await approve(app_database, stall, link, actor=MANAGER)


async def test_an_approved_account_waits_for_its_test_transfer(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(app_database, stall)
    await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, link)

    assert await read_states(app_database, stall, link) == ("approved", "approved")
    assert await find_account_in_force(app_database, stall) == stall.account_id

    await report_transfer(app_database, stall, memo=f"MBVCB.1.{TEST_MEMO}.CT tu 001")

    assert await read_states(app_database, stall, link) == ("active", "active")
    assert await find_account_in_force(app_database, stall) == link.receiving_account_id
    events = await list_events(app_database, stall)
    assert "account.changed" in events
    assert "account.tested" in events


async def test_money_with_another_memo_activates_no_account(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(app_database, stall)
    await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, link)

    await report_transfer(app_database, stall, memo="thu tien")

    assert await read_states(app_database, stall, link) == ("approved", "approved")


async def test_a_test_transfer_before_the_approval_waits_for_it(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(app_database, stall)
    await add_to_endpoint(app_database, stall, link)
    await report_transfer(app_database, stall, memo=TEST_MEMO)
    assert await read_states(app_database, stall, link) == ("proposed", "proposed")
    assert await list_breaks(app_database, stall) == ["unknown_account"]

    await approve(app_database, stall, link)
    await process_waiting(app_database, stall, now=NOON + timedelta(hours=1))

    assert await read_states(app_database, stall, link) == ("active", "active")


async def test_a_replaced_account_is_listened_to_and_its_money_stays_the_payees(
    app_database: Database, stall: PayableStall
) -> None:
    """Its printed codes still hang, and a bill opened before names it."""
    before = await a_bill(app_database, stall, amount_vnd=20_000)
    link = await propose(app_database, stall)
    await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, link)
    await report_transfer(app_database, stall, memo=TEST_MEMO)

    assert await pay(app_database, stall, before) == "settle"
    assert await pay(app_database, stall, before, amount_vnd=7_000, memo="x") == "counter_sale"

    assert (await read_ledger(app_database, stall))["takings"] == 27_000
    after = await a_bill(app_database, stall, amount_vnd=20_000)
    assert after.account_number == NEW_NUMBER


async def test_the_owner_of_a_static_code_is_that_of_the_payees_next_account_too(
    app_database: Database, stall: PayableStall
) -> None:
    owner = ("parking_lot", new_id())
    async with open_org_transaction(app_database, stall.org.id) as session:
        await set_code_owner(session, stall.org.id, stall.payee_id, owner=owner)
    link = await propose(app_database, stall)
    await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, link)
    await report_transfer(app_database, stall, memo=TEST_MEMO)

    async with open_org_transaction(app_database, stall.org.id) as session:
        links = await lock_links_of_payee(session, stall.org.id, stall.payee_id)
        assert [(one.owner_kind, one.owner_id) for one in links] == [owner, owner]
        assert await clear_code_owner(session, stall.org.id, stall.payee_id, owner=owner)
        assert not await has_code_owner(session, stall.org.id, stall.payee_id, owner=owner)


async def test_a_bill_names_the_account_that_was_in_force_when_it_was_opened(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(app_database, stall)
    await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, link)
    bill = await a_bill(app_database, stall)
    await report_transfer(app_database, stall, memo=TEST_MEMO)

    await report_transfer(app_database, stall, memo=bill.reference, amount_vnd=20_000)

    assert (await read_status(app_database, stall, bill))[0] == "open"
    assert await list_breaks(app_database, stall) == ["wrong_account"]


async def test_a_number_that_another_organisation_has_stops_neither_side(
    app_database: Database, stall: PayableStall
) -> None:
    """Both get a report of a test transfer; who was first has it, the other's batch goes on."""
    first = await a_payable_stall(app_database, code="HKXN")
    link = await propose(app_database, stall, number=first.account_number)
    await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, link)
    bill = await a_bill(app_database, stall)
    test = sepay_body(stall, amount_vnd=1_000, memo=TEST_MEMO, account_number=first.account_number)
    paid = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
    await store_notices(app_database, stall, test, paid)

    assert await process_waiting(app_database, stall) == 2

    assert await read_states(app_database, stall, link) == ("approved", "approved")
    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert await list_breaks(app_database, stall) == ["foreign_account"]
    assert await find_account_in_force(app_database, first) == first.account_id


async def test_a_refused_account_takes_no_bill_and_can_be_proposed_again(
    app_database: Database, stall: PayableStall
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:
        newcomer = await a_payee(session, stall.org)
    link = await propose(app_database, stall, payee_id=newcomer)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await refuse_account(
            session, stall.org.id, link.id, actor=APPROVER, reason="sai chủ", now=NOON
        )

    assert await read_states(app_database, stall, link) == ("ended", "retired")
    with pytest.raises(AccountLinkNotProposed):
        await approve(app_database, stall, link)
    orphan = PayableStall(
        org=stall.org,
        payee_id=newcomer,
        account_id=link.receiving_account_id,
        account_number=NEW_NUMBER,
        endpoint_id=stall.endpoint_id,
    )
    with pytest.raises(AssertionError) as refused:
        await a_bill(app_database, orphan)
    assert isinstance(refused.value.args[0], PayeeHasNoAccount)

    again = await propose(app_database, stall, payee_id=newcomer)
    assert again.receiving_account_id == link.receiving_account_id  # known by its own row
    assert await read_states(app_database, stall, again) == ("proposed", "proposed")


@pytest.mark.parametrize("number", ["123", "1234 5678", "9" * 20, "0123-456", ""])
async def test_what_no_bank_prints_is_refused(
    app_database: Database, stall: PayableStall, number: str
) -> None:
    with pytest.raises(BadAccount):
        await propose(app_database, stall, number=number)
