"""The people behind an account: who decides what, how its use ends, two acting at one moment."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.audit import Actor
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.onboarding.activation import note_test_transfer
from payments.onboarding.service import approve_account
from payments.payees import queries
from payments.payees.accounts import (
    confirm_seen,
    end_link,
    propose_account,
    refuse_account,
)
from payments.payees.errors import AccountLinkNotInForce, HolderNeeded
from payments.payees.rules import LinkStatus
from tests.world.account_changes import (
    NEW_NUMBER,
    TEST_MEMO,
    add_to_endpoint,
    approve,
    propose,
    read_states,
    report_transfer,
)
from tests.world.bills import a_bill
from tests.world.constants import APPROVER, MANAGER, NOON, VCB, VENDOR
from tests.world.notices import pay, process_waiting
from tests.world.payees import a_payee, an_account
from tests.world.stalls import PayableStall, a_payable_stall
from tests.world.waits import wait_until_blocked

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def find_link(
    database: Database, stall: PayableStall, *, payee_id: UUID | None = None
) -> UUID:
    """Return the link in force of a payee."""
    async with open_org_transaction(database, stall.org.id) as session:
        links = await queries.lock_links_of_payee(session, stall.org.id, payee_id or stall.payee_id)
        return next(link.id for link in links if link.status == LinkStatus.ACTIVE)


async def acknowledge(
    database: Database,
    stall: PayableStall,
    link_id: UUID,
    *,
    payee_id: UUID | None,
    actor: Actor = VENDOR,
) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await confirm_seen(session, stall.org.id, link_id, payee_id=payee_id, actor=actor, now=NOON)


async def end(database: Database, stall: PayableStall, link_id: UUID) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await end_link(session, stall.org.id, link_id, actor=APPROVER, reason="nghỉ bán", now=NOON)


async def test_only_the_payees_own_people_say_that_they_saw_the_change(
    app_database: Database, stall: PayableStall
) -> None:
    link_id = await find_link(app_database, stall)

    for payee_id, actor in (
        (None, Actor(kind="staff", id=new_id(), name="another manager")),
        (new_id(), VENDOR),
        (stall.payee_id, MANAGER),  # proposed it
        (stall.payee_id, APPROVER),  # approved it
    ):
        with pytest.raises(HolderNeeded):
            await acknowledge(app_database, stall, link_id, payee_id=payee_id, actor=actor)
    await acknowledge(app_database, stall, link_id, payee_id=stall.payee_id)
    await acknowledge(app_database, stall, link_id, payee_id=stall.payee_id)

    async with open_org_transaction(app_database, stall.org.id) as session:
        link, *_ = await queries.get_link(session, stall.org.id, link_id)
        assert (link.holder_confirmed_by, link.holder_confirmed_at) == (VENDOR.id, NOON)


async def test_nobody_has_seen_a_change_that_has_not_come(
    app_database: Database, stall: PayableStall
) -> None:
    """Otherwise the banner that warns the holder would never be shown."""
    link = await propose(app_database, stall)
    with pytest.raises(AccountLinkNotInForce):
        await acknowledge(app_database, stall, link.id, payee_id=stall.payee_id)
    await approve(app_database, stall, link)

    with pytest.raises(AccountLinkNotInForce):
        await acknowledge(app_database, stall, link.id, payee_id=stall.payee_id)


async def test_an_ended_link_opens_no_bill_and_retires_its_account(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)
    link_id = await find_link(app_database, stall)

    await end(app_database, stall, link_id)
    await end(app_database, stall, link_id)

    with pytest.raises(AssertionError, match="no receiving account in force"):
        await a_bill(app_database, stall)
    async with open_org_transaction(app_database, stall.org.id) as session:
        link, account, _ = await queries.get_link(session, stall.org.id, link_id)
        assert (link.status, link.ended_at) == ("ended", NOON)
        assert (account.status, account.retired_at) == ("retired", NOON)
        told = await session.execute(
            text("SELECT reason FROM audit_log WHERE action = 'account.ended'")
        )
        assert told.scalars().all() == ["nghỉ bán"]
    assert await pay(app_database, stall, bill) == "settle"  # its payer saw the code before


async def test_an_account_stays_in_force_while_another_payee_uses_it(
    app_database: Database, stall: PayableStall
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:
        neighbour = await a_payee(session, stall.org)
        await an_account(session, stall.org, neighbour, account_number=stall.account_number)

    await end(app_database, stall, await find_link(app_database, stall, payee_id=neighbour))

    await a_bill(app_database, stall)
    assert await pay_at_counter(app_database, stall) == "counter_sale"


async def pay_at_counter(database: Database, stall: PayableStall) -> str:
    await report_transfer(database, stall, memo="pho", number=stall.account_number)
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT verdict FROM matches ORDER BY id DESC LIMIT 1")
        return str(await session.scalar(query))


async def test_a_proposal_is_refused_and_not_ended(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(app_database, stall)

    with pytest.raises(AccountLinkNotInForce):
        await end(app_database, stall, link.id)

    assert await read_states(app_database, stall, link) == ("proposed", "proposed")


async def test_a_number_that_one_organisation_ended_is_free_for_another(
    app_database: Database, stall: PayableStall
) -> None:
    first = await a_payable_stall(app_database, code="HKXN")
    await end(app_database, first, await find_link(app_database, first))

    link = await propose(app_database, stall, number=first.account_number)
    await approve(app_database, stall, link)
    await add_to_endpoint(app_database, stall, link)
    await report_transfer(app_database, stall, memo=TEST_MEMO, number=first.account_number)

    assert await read_states(app_database, stall, link) == ("active", "active")


async def test_a_payee_returns_to_its_former_virtual_account(
    app_database: Database, stall: PayableStall
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:
        payee_id = await a_payee(session, stall.org)
        for number, virtual_account in (("880001", "VAONE1"), ("880002", None)):
            await an_account(
                session,
                stall.org,
                payee_id,
                account_number=number,
                virtual_account=virtual_account,
            )
        await an_account(
            session, stall.org, payee_id, account_number="880001", virtual_account="vaone1"
        )
        links = await queries.list_links(
            session, stall.org.id, payee_id=payee_id, statuses=list(LinkStatus)
        )

    assert [(account.account_number, link.status) for link, account, _ in reversed(links)] == [
        ("880001", "ended"),
        ("880002", "former"),
        ("880001", "active"),
    ]


async def test_approval_wakes_the_notices_that_waited_for_it(
    app_database: Database, stall: PayableStall
) -> None:
    """The test transfer was reported early, and its notice is looked at once an hour by now."""
    link = await propose(app_database, stall)
    await add_to_endpoint(app_database, stall, link)
    await report_transfer(app_database, stall, memo=TEST_MEMO)
    for minutes in (1, 3, 7, 15, 31, 63, 123):
        await process_waiting(app_database, stall, now=NOON + timedelta(minutes=minutes))
    now = NOON + timedelta(minutes=124)

    async with open_org_transaction(app_database, stall.org.id) as session:
        await approve_account(session, stall.org.id, link.id, actor=APPROVER, now=now)
    await process_waiting(app_database, stall, now=now)

    assert await read_states(app_database, stall, link) == ("active", "active")


async def test_two_people_who_propose_one_new_account_at_once_both_do(
    app_database: Database, stall: PayableStall
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:
        neighbour = await a_payee(session, stall.org)

    async with open_org_transaction(app_database, stall.org.id) as session:
        first = await propose_account(
            session,
            stall.org.id,
            payee_id=stall.payee_id,
            bin_=VCB,
            account_number=NEW_NUMBER,
            virtual_account=None,
            holder_name="TRAN VAN B",
            test_reference=TEST_MEMO,
            actor=MANAGER,
            now=NOON,
        )
        other = asyncio.create_task(
            propose(
                app_database,
                stall,
                payee_id=neighbour,
                test_reference=make_reference("HKXM", 904),
                actor=APPROVER,
            )
        )
        await wait_until_blocked(app_database)
    second = await other

    assert second.receiving_account_id == first.receiving_account_id


async def test_refusing_and_testing_one_account_at_once_do_not_deadlock(
    app_database: Database, stall: PayableStall
) -> None:
    link = await propose(app_database, stall)
    await approve(app_database, stall, link)

    async def refuse() -> None:
        async with open_org_transaction(app_database, stall.org.id) as session:
            await refuse_account(
                session, stall.org.id, link.id, actor=APPROVER, reason="sai chủ", now=NOON
            )

    async with open_org_transaction(app_database, stall.org.id) as session:
        await queries.lock_account(session, stall.org.id, link.receiving_account_id)
        refusal = asyncio.create_task(refuse())
        await wait_until_blocked(app_database)
        assert await note_test_transfer(
            session,
            stall.org.id,
            link.receiving_account_id,
            credit_id=new_id(),
            references={TEST_MEMO},
            virtual_account=None,
            vouched_by=[APPROVER.id] if APPROVER.id else [],
            now=NOON,
        )
    with pytest.raises(Exception, match="active"):  # it was decided meanwhile
        await refusal

    assert await read_states(app_database, stall, link) == ("active", "active")
