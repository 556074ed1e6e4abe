"""Accounts of a callback endpoint: added and removed one by one, whoever else changes the list."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.connections.queries import list_callback_endpoint_accounts
from payments.onboarding.service import change_accounts, set_accounts
from payments.payees.errors import BadAccount
from tests.world.constants import APPROVER, MANAGER, NOON
from tests.world.payees import an_account
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio


async def some_accounts(database: Database, stall: PayableStall, count: int) -> list[UUID]:
    async with open_org_transaction(database, stall.org.id) as session:
        return [
            await an_account(session, stall.org, stall.payee_id, account_number=f"88{n:06d}")
            for n in range(count)
        ]


async def list_ids(database: Database, stall: PayableStall) -> dict[UUID, UUID | None]:
    """Return what the stall's endpoint speaks for, each with who vouched for it."""
    async with open_org_transaction(database, stall.org.id) as session:
        rows = await list_callback_endpoint_accounts(session, stall.org.id, [stall.endpoint_id])
        return {one.receiving_account_id: one.vouched_by for one in rows}


async def change(
    database: Database,
    stall: PayableStall,
    *,
    chosen: list[UUID],
    before: list[UUID] | None = None,
    by_approver: bool = False,
) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await change_accounts(
            session,
            stall.org.id,
            stall.endpoint_id,
            chosen=chosen,
            before=before or [],
            actor=APPROVER if by_approver else MANAGER,
            may_vouch=by_approver,
            now=NOON,
        )


@pytest.mark.slow
async def test_an_endpoint_with_more_than_a_hundred_accounts_gets_one_more(
    app_database: Database, stall: PayableStall
) -> None:
    many = await some_accounts(app_database, stall, 121)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await set_accounts(
            session, stall.org.id, stall.endpoint_id, many[:120], actor=MANAGER, now=NOON
        )

    await change(app_database, stall, chosen=many[120:])

    assert set(await list_ids(app_database, stall)) == set(many)


async def test_two_managers_at_once_keep_each_others_changes(
    app_database: Database, stall: PayableStall
) -> None:
    first, second, third = await some_accounts(app_database, stall, 3)
    seen = [stall.account_id]
    await change(app_database, stall, chosen=[first])
    seen.append(first)

    await asyncio.gather(
        change(app_database, stall, chosen=[*seen, second], before=seen),
        change(app_database, stall, chosen=[stall.account_id, third], before=seen),
    )

    assert set(await list_ids(app_database, stall)) == {stall.account_id, second, third}


async def test_a_page_drawn_before_does_not_bring_back_what_somebody_removed(
    app_database: Database, stall: PayableStall
) -> None:
    (first,) = await some_accounts(app_database, stall, 1)
    await change(app_database, stall, chosen=[first])
    seen = [stall.account_id, first]
    await change(app_database, stall, chosen=[], before=[first])

    await change(app_database, stall, chosen=seen, before=seen, by_approver=True)

    assert await list_ids(app_database, stall) == {stall.account_id: APPROVER.id}


async def test_adding_and_removing_are_idempotent_and_recorded_once(
    app_database: Database, stall: PayableStall
) -> None:
    (first,) = await some_accounts(app_database, stall, 1)
    for _ in range(2):
        await change(app_database, stall, chosen=[first])
    for _ in range(2):
        await change(app_database, stall, chosen=[], before=[first])

    assert set(await list_ids(app_database, stall)) == {stall.account_id}
    async with open_org_transaction(app_database, stall.org.id) as session:
        rows = await session.execute(
            text("SELECT count(*) FROM audit_log WHERE action LIKE '%.accounts_changed'")
        )
        assert rows.scalar() == 2


async def test_a_second_account_of_a_listed_number_is_refused(
    app_database: Database, stall: PayableStall
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:
        twin = await an_account(
            session, stall.org, stall.payee_id, account_number=stall.account_number, bin_="970422"
        )

    with pytest.raises(BadAccount, match="same number"):
        await change(app_database, stall, chosen=[twin])
    await change(app_database, stall, chosen=[twin], before=[stall.account_id])

    assert set(await list_ids(app_database, stall)) == {twin}
