"""A virtual account is a number of its own on a printed code: it is tested, shown and led by it."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.payees.accounts import end_link
from payments.payees.service import close_payee
from tests.world.account_changes import (
    NEW_NUMBER,
    add_to_endpoint,
    approve,
    propose,
    read_states,
    report_transfer,
)
from tests.world.bills import a_bill
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.endpoints import add_account
from tests.world.payees import a_payee, an_account
from tests.world.reads import list_breaks
from tests.world.stalls import PayableStall, another_payee

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FIRST_TEST, SECOND_TEST = make_reference("HKXM", 901), make_reference("HKXM", 902)


async def read(database: Database, stall: PayableStall, query: str, **values: object) -> list[Any]:
    async with open_org_transaction(database, stall.org.id) as session:
        return [tuple(row) for row in await session.execute(text(query), values)]


async def find_last_sale(database: Database, stall: PayableStall) -> tuple[str, UUID | None]:
    """Return (verdict, payee) of the last credit."""
    query = "SELECT verdict, payee_id FROM matches ORDER BY id DESC LIMIT 1"
    ((verdict, payee_id),) = await read(database, stall, query)
    return verdict, payee_id


async def test_a_virtual_account_of_a_tested_account_needs_a_test_of_its_own(
    app_database: Database, stall: PayableStall
) -> None:
    """Otherwise two people would redirect a stall to any number behind a trusted one."""
    link = await propose(
        app_database,
        stall,
        number=stall.account_number,
        virtual_account="9999666611",
        test_reference=FIRST_TEST,
    )

    assert await approve(app_database, stall, link) == "approved"

    assert (await a_bill(app_database, stall)).code_account == stall.account_number


@pytest.mark.parametrize("virtual_account", [None, "9999666612"])
async def test_a_transfer_to_another_number_tests_the_account_and_no_virtual_account(
    app_database: Database, stall: PayableStall, virtual_account: str | None
) -> None:
    link = await propose(
        app_database, stall, virtual_account="9999666611", test_reference=FIRST_TEST
    )
    await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, link)

    await report_transfer(app_database, stall, memo=FIRST_TEST, virtual_account=virtual_account)

    assert await read_states(app_database, stall, link) == ("approved", "active")
    assert (await a_bill(app_database, stall)).code_account == stall.account_number

    await report_transfer(app_database, stall, memo=FIRST_TEST, virtual_account="9999666611")

    assert await read_states(app_database, stall, link) == ("active", "active")
    assert (await a_bill(app_database, stall)).code_account == "9999666611"


async def test_a_virtual_account_tested_before_its_approval_is_in_force_with_it(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(
        app_database,
        stall,
        number=stall.account_number,
        virtual_account="VAONE1",
        test_reference=FIRST_TEST,
    )
    await report_transfer(
        app_database, stall, memo=FIRST_TEST, number=stall.account_number, virtual_account="vaone1"
    )
    assert await read_states(app_database, stall, link) == ("proposed", "active")

    assert await approve(app_database, stall, link) == "active"


async def test_another_links_test_transfer_tests_no_virtual_account(
    app_database: Database, stall: PayableStall
) -> None:
    mine = await propose(app_database, stall, virtual_account="VAONE1", test_reference=FIRST_TEST)
    theirs = await propose(
        app_database,
        stall,
        payee_id=await another_payee(app_database, stall),
        virtual_account="VATWO2",
        test_reference=SECOND_TEST,
    )
    await approve(app_database, stall, mine)
    await approve(app_database, stall, theirs)
    await add_to_endpoint(app_database, stall, mine)

    await report_transfer(app_database, stall, memo=FIRST_TEST, virtual_account="VAONE1")

    assert await read_states(app_database, stall, mine) == ("active", "active")
    assert await read_states(app_database, stall, theirs) == ("approved", "active")


async def test_the_event_and_the_audit_row_show_the_number_that_the_code_names(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(
        app_database, stall, virtual_account="9999666611", test_reference=FIRST_TEST
    )
    await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, link)
    await report_transfer(app_database, stall, memo=FIRST_TEST, virtual_account="9999666611")

    ((event,),) = await read(
        app_database,
        stall,
        "SELECT data FROM events WHERE kind = 'account.changed' ORDER BY id DESC LIMIT 1",
    )
    rows = await read(
        app_database,
        stall,
        "SELECT action, after FROM audit_log WHERE object_id = :id ORDER BY id",
        id=link.id,
    )

    assert event["account"] == "…6611"
    assert [action for action, _ in rows] == [
        "account.proposed",
        "account.approved",
        "account.activated",
    ]
    for _, after in rows:
        assert (after["account"], after["main_account"]) == ("…6611", "…6777")


async def test_a_virtual_account_of_two_payees_leads_to_the_first_and_alarms(
    app_database: Database, stall: PayableStall
) -> None:
    """Two links to one new account name the same virtual account; both were approved."""
    theirs = await propose(
        app_database,
        stall,
        payee_id=await another_payee(app_database, stall),
        virtual_account="va0001",
        test_reference=SECOND_TEST,
    )
    mine = await propose(app_database, stall, virtual_account="VA0001", test_reference=FIRST_TEST)
    last = await propose(
        app_database,
        stall,
        payee_id=await another_payee(app_database, stall),
        virtual_account="Va0001",
        test_reference=make_reference("HKXM", 903),
    )
    for link in (theirs, mine, last):
        await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, mine)

    await report_transfer(app_database, stall, memo=FIRST_TEST, virtual_account="VA0001")
    await report_transfer(app_database, stall, memo=SECOND_TEST, virtual_account="VA0001")

    assert await read_states(app_database, stall, mine) == ("active", "active")
    assert await read_states(app_database, stall, theirs) == ("approved", "active")
    assert await list_breaks(app_database, stall) == ["foreign_account"]
    await report_transfer(
        app_database, stall, memo="an sang", amount_vnd=50_000, virtual_account="VA0001"
    )
    assert await find_last_sale(app_database, stall) == ("counter_sale", stall.payee_id)


async def test_a_link_that_only_waits_shares_nobodys_account(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(
        app_database,
        stall,
        payee_id=await another_payee(app_database, stall),
        number=stall.account_number,
        virtual_account="VATWO2",
        test_reference=SECOND_TEST,
    )
    await approve(app_database, stall, link)

    await report_transfer(app_database, stall, memo="pho", number=stall.account_number)

    assert await find_last_sale(app_database, stall) == ("counter_sale", stall.payee_id)


async def test_a_closed_neighbour_no_longer_shares_the_account_but_keeps_its_own_code(
    app_database: Database, stall: PayableStall
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:
        mine, closed = await a_payee(session, stall.org), await a_payee(session, stall.org)
        for payee_id, virtual_account in ((mine, "VAONE1"), (closed, "VATWO2")):
            account_id = await an_account(
                session,
                stall.org,
                payee_id,
                account_number=NEW_NUMBER,
                virtual_account=virtual_account,
            )
        await close_payee(session, stall.org.id, closed, actor=MANAGER, reason=None, now=NOON)
        await add_account(session, stall.org, stall.endpoint_id, account_id)

    await report_transfer(app_database, stall, memo="pho")
    assert await find_last_sale(app_database, stall) == ("counter_sale", mine)
    await report_transfer(app_database, stall, memo="pho", virtual_account="VATWO2")
    assert await find_last_sale(app_database, stall) == ("counter_sale", closed)


async def test_money_by_an_ended_virtual_account_is_nobodys_and_waits_for_a_person(
    app_database: Database, stall: PayableStall
) -> None:
    """Its printed code may still hang; the neighbour who stays on the account sold nothing."""
    async with open_org_transaction(app_database, stall.org.id) as session:
        await an_account(
            session,
            stall.org,
            await a_payee(session, stall.org),
            account_number=stall.account_number,
            virtual_account="VATWO2",
        )
    query = "SELECT id FROM payee_accounts WHERE virtual_account = 'VATWO2'"
    ((link_id,),) = await read(app_database, stall, query)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await end_link(session, stall.org.id, link_id, actor=APPROVER, reason="nghỉ bán", now=NOON)

    await report_transfer(
        app_database, stall, memo="pho", number=stall.account_number, virtual_account="VATWO2"
    )
    assert await find_last_sale(app_database, stall) == ("unassigned", None)
    await report_transfer(app_database, stall, memo="pho", number=stall.account_number)
    assert await find_last_sale(app_database, stall) == ("counter_sale", stall.payee_id)
