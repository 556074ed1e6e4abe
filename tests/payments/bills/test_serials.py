"""Serials: runs that nobody else has, also where the database is not the one it was."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from ops.errors import CannotStart
from ops.organisation_codes import add_organisation_code
from payments.bills.queries_serials import confirm_serials, take_serials
from payments.bills.references import SERIAL_COUNT
from payments.payees.rules import LOST_BURST_MAX, LOST_PER_SECOND_MAX
from tests.world.databases import FreshDatabase
from tests.world.organisations import GIVEN_OUT
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio


async def take(database: Database, stall: PayableStall, wanted: int = 100) -> int | None:
    """Take a run and return its first serial."""
    async with open_org_transaction(database, stall.org.id) as session:
        run = await take_serials(session, stall.org.id, wanted=wanted, serials_max=SERIAL_COUNT)
    return None if run is None else run[1]


def make_it_another_server(fresh_database: FreshDatabase, taken_at: datetime, **facts: int) -> None:
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute(
            "UPDATE organisation_codes SET taken_on = 'x/00000001', taken_at = %s", [taken_at]
        )
        for serial in facts.values():
            owner.execute("UPDATE organisation_codes SET next_serial = %s", [serial])


async def test_runs_follow_one_another(app_database: Database) -> None:
    stall = await a_payable_stall(app_database)
    assert [await take(app_database, stall) for _ in range(3)] == [
        GIVEN_OUT,
        GIVEN_OUT + 100,
        GIVEN_OUT + 200,
    ]


async def test_on_another_server_or_timeline_what_may_have_been_given_out_is_skipped_once(
    app_database: Database, fresh_database: FreshDatabase
) -> None:
    """A standby that was promoted by itself at night: nobody ran `restore --advance-serials`."""
    stall = await a_payable_stall(app_database)
    await take(app_database, stall)
    make_it_another_server(fresh_database, datetime.now(UTC) - timedelta(hours=1))

    first = await take(app_database, stall)

    assert first is not None
    skipped = first - 100 - GIVEN_OUT
    hour = LOST_BURST_MAX + LOST_PER_SECOND_MAX * 3_601
    assert hour <= skipped <= hour + 60 * LOST_PER_SECOND_MAX
    assert await take(app_database, stall) == first + 100


async def test_a_code_that_was_never_used_skips_as_well(
    app_database: Database, fresh_database: FreshDatabase
) -> None:
    stall = await a_payable_stall(app_database)
    make_it_another_server(fresh_database, datetime.now(UTC))
    first = await take(app_database, stall)
    assert first is not None
    assert first > GIVEN_OUT + LOST_BURST_MAX


async def test_a_code_without_room_for_what_is_skipped_gives_none(
    app_database: Database, fresh_database: FreshDatabase
) -> None:
    stall = await a_payable_stall(app_database)
    make_it_another_server(
        fresh_database, datetime.now(UTC), next_serial=SERIAL_COUNT - LOST_BURST_MAX
    )
    assert await take(app_database, stall) is None


async def test_a_code_that_rested_for_months_skips_no_more_than_an_hour_of_them(
    app_database: Database, worker_database: Database, fresh_database: FreshDatabase
) -> None:
    """The worker confirms by the hour that this server knows the serial of every code."""
    stall = await a_payable_stall(app_database)
    await take(app_database, stall)
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE organisation_codes SET taken_at = now() - INTERVAL '100 days'")
    async with worker_database.begin() as session:
        assert await confirm_serials(session) == 1
    async with worker_database.begin() as session:
        assert await confirm_serials(session) == 0  # once an hour is enough
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE organisation_codes SET taken_on = 'another/1'")

    first = await take(app_database, stall)

    assert first is not None
    assert first <= GIVEN_OUT + 100 + LOST_BURST_MAX + LOST_PER_SECOND_MAX * 60


async def test_what_another_server_took_is_not_confirmed_here(
    app_database: Database, worker_database: Database, fresh_database: FreshDatabase
) -> None:
    await a_payable_stall(app_database)
    make_it_another_server(fresh_database, datetime.now(UTC) - timedelta(days=2))
    async with worker_database.begin() as session:
        assert await confirm_serials(session) == 0


async def test_a_second_code_gives_references_once_the_first_is_used_up(
    app_database: Database, fresh_database: FreshDatabase
) -> None:
    stall = await a_payable_stall(app_database)
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE organisation_codes SET next_serial = %s", [SERIAL_COUNT])
    assert await take(app_database, stall) is None

    name = await add_organisation_code(fresh_database.settings, stall.org.code, "ZZZZ")

    assert name == stall.org.name
    assert await take(app_database, stall) == 0
    with pytest.raises(CannotStart, match="in use"):
        await add_organisation_code(fresh_database.settings, stall.org.code, "ZZZZ")
    with pytest.raises(CannotStart, match="cannot be an organisation code"):
        await add_organisation_code(fresh_database.settings, stall.org.code, "OIL1")
