"""Passes, exemptions and watched plates at the way in, by the day in Hà Nội."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import new_id
from parking.sessions.writer import EntryWriter
from tests.world.constants import NOON
from tests.world.entries import an_entry
from tests.world.lots import CAR, a_lot
from tests.world.passes import TODAY, a_pass_in_force, a_watched_plate

pytestmark = pytest.mark.anyio

PLATE = "29AA11111"
ONE_DAY = timedelta(days=1)


@pytest.fixture
async def writer(gate_database: Database) -> AsyncIterator[EntryWriter]:
    writer = EntryWriter(gate_database, read_clock=lambda: NOON)
    yield writer
    await writer.drain()


async def test_a_pass_holder_comes_in_on_the_pass(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    pass_id = await a_pass_in_force(app_database, lot.org.id, plates=(PLATE,))

    answer = await writer.enter(an_entry(lot, plate=PLATE))

    assert (answer.pass_id, answer.is_pass_in_use) == (pass_id, False)
    async with owner_database.begin() as session:
        query = text("SELECT s.pass_id, i.pass_id FROM parking_sessions s, inside i")
        assert (await session.execute(query)).one() == (pass_id, pass_id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"valid_from": TODAY + ONE_DAY},
        {"valid_from": TODAY - 9 * ONE_DAY, "valid_until": TODAY - ONE_DAY},
        {"is_in_force": False},
        {"is_revoked": True},
        {"lot_id": new_id()},
        {"vehicle_class": CAR},
        {"plates": ("29AA22222",)},
    ],
)
async def test_a_pass_that_does_not_hold_here_and_today_is_none(
    app_database: Database, writer: EntryWriter, wrong: dict[str, Any]
) -> None:
    lot = await a_lot(app_database)
    if "lot_id" in wrong:
        wrong = {"lot_id": (await a_lot(app_database, org=lot.org)).id}
    await a_pass_in_force(app_database, lot.org.id, **{"plates": (PLATE,), **wrong})

    answer = await writer.enter(an_entry(lot, plate=PLATE))

    assert (answer.pass_id, answer.is_pass_in_use) == (None, False)


async def test_a_pass_ends_at_midnight_in_hanoi(
    app_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    pass_id = await a_pass_in_force(
        app_database, lot.org.id, plates=(PLATE, "29AA22222"), valid_until=TODAY
    )
    midnight = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)

    late = an_entry(lot, plate=PLATE, entered_at=midnight)
    early = an_entry(lot, plate="29AA22222", entered_at=midnight - timedelta(milliseconds=1))

    assert (await writer.enter(late)).pass_id is None
    assert (await writer.enter(early)).pass_id == pass_id


async def test_an_exemption_is_for_each_of_its_vehicles(
    app_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    plates = (PLATE, "29AA22222")
    pass_id = await a_pass_in_force(app_database, lot.org.id, plates=plates, kind="exempt")

    answers = [await writer.enter(an_entry(lot, plate=plate)) for plate in plates]

    assert [answer.pass_id for answer in answers] == [pass_id, pass_id]


async def test_a_second_pass_serves_while_the_first_is_in_use(
    app_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    first = await a_pass_in_force(app_database, lot.org.id, plates=(PLATE, "29AA22222"))
    second = await a_pass_in_force(
        app_database,
        lot.org.id,
        plates=("29AA22222",),
        valid_until=TODAY + timedelta(days=50),
    )

    answers = [await writer.enter(an_entry(lot, plate=p)) for p in (PLATE, "29AA22222")]

    assert [answer.pass_id for answer in answers] == [first, second]


async def test_a_watched_plate_comes_in_with_an_alert_that_does_not_hold_it(
    app_database: Database, owner_database: Database, writer: EntryWriter
) -> None:
    lot = await a_lot(app_database)
    await a_watched_plate(app_database, lot.org.id, PLATE)

    answer = await writer.enter(an_entry(lot, plate=PLATE))

    assert answer.is_watched
    async with owner_database.begin() as session:
        query = text("SELECT data FROM events WHERE kind = 'parking.watched'")
        alert = (await session.execute(query)).scalar_one()
    assert (alert["session_id"], alert["plate"]) == (str(answer.session_id), "29A***11")


@pytest.mark.parametrize(
    "wrong",
    [
        {"is_approved": False},
        {"is_removed": True},
        {"from_on": TODAY + ONE_DAY},
        {"from_on": TODAY - 9 * ONE_DAY, "expires_on": TODAY - ONE_DAY},
    ],
)
async def test_what_is_not_in_force_on_the_watch_list_alerts_nobody(
    app_database: Database, writer: EntryWriter, wrong: dict[str, Any]
) -> None:
    lot = await a_lot(app_database)
    await a_watched_plate(app_database, lot.org.id, PLATE, **wrong)

    assert not (await writer.enter(an_entry(lot, plate=PLATE))).is_watched


async def test_another_organisations_pass_and_watch_list_say_nothing_here(
    app_database: Database, writer: EntryWriter
) -> None:
    lot, other = await a_lot(app_database), await a_lot(app_database)
    await a_pass_in_force(app_database, other.org.id, plates=(PLATE,))
    await a_watched_plate(app_database, other.org.id, PLATE)

    answer = await writer.enter(an_entry(lot, plate=PLATE))

    assert (answer.pass_id, answer.is_watched) == (None, False)
