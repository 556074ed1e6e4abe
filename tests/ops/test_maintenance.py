"""Partitions: made ahead, made of rows that had none, erased when they are over."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from core.db import Database
from core.ids import first_id_at, new_id
from ops.maintenance import maintain
from parking.sessions.partitions import Month, PartitionWarning, ready_until
from parking.sessions.queries_partitions import list_partitions
from parking.sessions.views import list_warnings
from parking.sessions.writer import EntryWriter
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.entries import all_are, an_entry, count_parked
from tests.world.lots import a_lot

pytestmark = pytest.mark.anyio

LATER = NOON + timedelta(days=100)


def test_a_month_is_that_of_hanoi() -> None:
    assert Month.of(datetime(2026, 11, 30, 17, 0, tzinfo=UTC)) == Month(2026, 12)
    assert Month(2026, 11).plus(3) == Month(2027, 2)
    assert Month(2027, 1).plus(-2) == Month(2026, 11)


async def test_months_of_late_devices_and_three_ahead_get_partitions_once(
    fresh_database: FreshDatabase, app_database: Database
) -> None:
    first = maintain(fresh_database.owner_url, now=NOON)
    again = maintain(fresh_database.owner_url, now=NOON)

    assert len(first) == 18
    assert again == []
    async with app_database.begin() as session:
        partitions, written = await list_partitions(session)
    names = [one.name for one in sorted(partitions["observations"], key=lambda one: one.name)]
    assert names == [
        "observations_2026_09",
        "observations_2026_10",
        "observations_2026_11",
        "observations_2026_12",
        "observations_2027_01",
        "observations_2027_02",
    ]
    assert written == set()
    assert ready_until(partitions["movements"], now=NOON) == Month(2027, 3).starts_at


async def test_a_hundred_days_without_maintenance_lose_no_entry(
    fresh_database: FreshDatabase,
    app_database: Database,
    gate_database: Database,
    owner_database: Database,
) -> None:
    maintain(fresh_database.owner_url, now=NOON)
    lot = await a_lot(app_database)
    writer = EntryWriter(gate_database, read_clock=lambda: LATER)
    for day in range(95, 106):
        at = NOON + timedelta(days=day)
        id_ = type(new_id())(int=first_id_at(at).int | (7 << 76) | (2 << 62) | day)
        await writer.enter(an_entry(lot, id_=id_, entered_at=at))
    async with app_database.begin() as session:
        partitions, written = await list_partitions(session)
    assert written == {"parking_sessions", "observations"}
    assert ready_until(partitions["parking_sessions"], now=LATER) == Month(2027, 3).starts_at

    done = maintain(fresh_database.owner_url, now=LATER)

    assert "Made the partition parking_sessions_2027_03 of rows that had none" in done
    assert all_are(await count_parked(owner_database, lot), 11)
    await writer.enter(an_entry(lot))
    async with app_database.begin() as session:
        partitions, written = await list_partitions(session)
    assert written == set()
    assert ready_until(partitions["parking_sessions"], now=LATER) > LATER + timedelta(days=45)
    with psycopg.connect(fresh_database.owner_url) as owner:
        query = "SELECT count(*) FROM parking_sessions_default"
        assert owner.execute(query).fetchone() == (0,)
        query = "SELECT count(*) FROM pg_indexes WHERE tablename = %s"
        counts = [
            owner.execute(query, [f"parking_sessions_{name}"]).fetchone()
            for name in ("2026_11", "2027_03", "default")
        ]
        assert len(set(counts)) == 1, counts


async def test_what_is_over_is_erased_and_who_owes_money_is_not_forgotten(
    fresh_database: FreshDatabase, app_database: Database, gate_database: Database
) -> None:
    maintain(fresh_database.owner_url, now=NOON)
    lot = await a_lot(app_database)
    writer = EntryWriter(gate_database, read_clock=lambda: NOON)
    id_ = type(new_id())(int=first_id_at(NOON).int | (7 << 76) | (2 << 62) | 1)
    await writer.enter(an_entry(lot, id_=id_))
    in_two_years = NOON + timedelta(days=26 * 31)

    done = maintain(fresh_database.owner_url, now=in_two_years)

    assert "Erased the partition observations_2026_11" in done
    assert "Erased the partition parking_sessions_2026_09" in done
    assert "Kept the partition parking_sessions_2026_11: 1 rows are still needed" in done
    with psycopg.connect(fresh_database.owner_url) as owner:
        assert owner.execute("SELECT count(*) FROM parking_sessions").fetchone() == (1,)
        assert owner.execute("SELECT count(*) FROM observations").fetchone() == (0,)


async def test_readiness_warns_before_partitions_end_and_when_rows_had_none(
    fresh_database: FreshDatabase, app_database: Database, gate_database: Database
) -> None:
    async with app_database.begin() as session:
        assert await list_warnings(session, now=NOON) == [PartitionWarning.END_SOON]
    lot = await a_lot(app_database)
    writer = EntryWriter(gate_database, read_clock=lambda: NOON)
    await writer.enter(an_entry(lot))
    async with app_database.begin() as session:
        both = [PartitionWarning.END_SOON, PartitionWarning.ROWS_WITHOUT]
        assert await list_warnings(session, now=NOON) == both

    maintain(fresh_database.owner_url, now=NOON)

    async with app_database.begin() as session:
        assert await list_warnings(session, now=NOON) == []
        assert await list_warnings(session, now=NOON + timedelta(days=60)) == [
            PartitionWarning.END_SOON
        ]
