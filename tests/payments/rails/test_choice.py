"""The rail on which a stall's counter opens bills, by who reports on its account."""

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.tenancy import open_org_transaction
from payments.payees.errors import AccountLinkNotInForce
from payments.payees.queries import list_links
from payments.payees.rules import LinkStatus
from payments.rails.choice import RailChoice, choose_direct, read_rail_choice
from payments.rails.errors import DirectNotReported
from tests.world.constants import MANAGER, VENDOR
from tests.world.endpoints import an_endpoint
from tests.world.payees import a_payee, an_account
from tests.world.rails import RailStall

pytestmark = pytest.mark.anyio


async def choice_of(place: RailStall) -> RailChoice:
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        return await read_rail_choice(session, place.stall.org.id, place.stall.payee_id)


async def choose(place: RailStall, *, is_direct_only: bool) -> None:
    link_id = (await choice_of(place)).link_id
    assert link_id is not None
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        await choose_direct(
            session,
            place.stall.org.id,
            link_id,
            is_direct_only=is_direct_only,
            actor=MANAGER,
            now=read_clock(),
        )


async def report_otherwise(place: RailStall) -> None:
    """Let SePay report on the account, too."""
    async with open_org_transaction(place.database, place.stall.org.id) as session:
        await an_endpoint(
            session, place.stall.org, [place.stall.account_id], provider="sepay", now=read_clock()
        )


async def sql(place: RailStall, statement: str) -> None:
    async with place.owner.begin() as session:
        await session.execute(text(statement))


async def test_an_account_whose_payos_opens_orders_opens_bills_there(place: RailStall) -> None:
    choice = await choice_of(place)

    assert (choice.rail, choice.order_rail) == ("payos", "payos")
    assert not choice.is_direct_reported


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE callback_endpoints SET sealed_pull_token = NULL",
        "UPDATE callback_endpoints SET revoked_at = now()",
        "DELETE FROM callback_endpoint_accounts",
    ],
)
async def test_without_an_endpoint_that_opens_orders_it_is_vietqr_direct(
    place: RailStall, change: str
) -> None:
    await sql(place, change)

    assert ((await choice_of(place)).rail, (await choice_of(place)).order_rail) == ("vietqr", "")


async def test_an_endpoint_of_two_accounts_opens_no_orders(place: RailStall) -> None:
    org = place.stall.org
    async with open_org_transaction(place.database, org.id) as session:
        payee_id = await a_payee(session, org, now=read_clock())
        await an_account(session, org, payee_id, account_number="0011223344", now=read_clock())
    await sql(
        place,
        "INSERT INTO callback_endpoint_accounts"
        " (org_id, endpoint_id, receiving_account_id, account_number)"
        " SELECT e.org_id, e.id, a.id, a.account_number FROM callback_endpoints e"
        " JOIN receiving_accounts a ON a.account_number = '0011223344'"
        " WHERE e.sealed_pull_token IS NOT NULL",
    )

    assert (await choice_of(place)).rail == "vietqr"


async def test_the_management_may_choose_direct_where_another_provider_reports(
    place: RailStall,
) -> None:
    with pytest.raises(DirectNotReported):
        await choose(place, is_direct_only=True)
    await report_otherwise(place)
    assert (await choice_of(place)).rail == "payos"

    for _ in range(2):
        await choose(place, is_direct_only=True)
    assert (await choice_of(place)).rail == "vietqr"
    assert await place.count("audit_log", "action = 'account.rail_chosen'") == 1

    await choose(place, is_direct_only=False)
    assert (await choice_of(place)).rail == "payos"


async def test_a_chosen_direct_code_whose_reporter_has_gone_is_payos_again(
    place: RailStall,
) -> None:
    await report_otherwise(place)
    await choose(place, is_direct_only=True)

    await sql(place, "UPDATE callback_endpoints SET revoked_at = now() WHERE provider = 'sepay'")

    assert (await choice_of(place)).rail == "payos"


async def test_nothing_is_chosen_for_an_account_that_is_not_in_force(place: RailStall) -> None:
    org = place.stall.org
    async with open_org_transaction(place.database, org.id) as session:
        ((link, *_),) = await list_links(session, org.id, payee_id=place.stall.payee_id)
    await sql(place, f"UPDATE payee_accounts SET status = '{LinkStatus.FORMER}'")

    async with open_org_transaction(place.database, org.id) as session:
        with pytest.raises(AccountLinkNotInForce):
            await choose_direct(
                session, org.id, link.id, is_direct_only=True, actor=VENDOR, now=read_clock()
            )
    assert await choice_of(place) == RailChoice()
