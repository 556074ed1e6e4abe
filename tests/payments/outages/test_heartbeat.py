"""The heartbeat of the hubs: which silence is an outage, from when on, and why."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.clock import read_clock
from core.db import Database
from core.settings import Settings
from payments.outages.heartbeat import Heartbeat, beating
from payments.outages.rules import OUTAGE_MIN, OutageReason, find_silence
from tests.world.clocks import a_set_clock
from tests.world.databases import open_database_at
from tests.world.hubs import running_hub
from tests.world.outages import let_hubs_be_silent

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
LONG = timedelta(minutes=45)


async def list_rows(owner: Database) -> list[tuple[str, datetime, datetime]]:
    query = "SELECT reason, from_at, until_at FROM outages ORDER BY until_at"
    async with owner.begin() as session:
        return [(row[0], row[1], row[2]) for row in await session.execute(text(query))]


async def read_beat(owner: Database) -> datetime:
    async with owner.begin() as session:
        return await session.scalar(text("SELECT beat_at FROM hub_heartbeats"))  # type: ignore[no-any-return]


def test_a_silence_begins_with_the_last_beat_or_with_an_orderly_stop() -> None:
    def find(**facts: datetime | None) -> tuple[datetime, str] | None:
        values = {"beat_at": None, "stopped_at": None, **facts}
        found = find_silence(
            values["beat_at"], values["stopped_at"], now=NOW, was_database_away=False
        )
        return None if found is None else (found.from_at, found.reason.value)

    assert find() is None  # the first hub of an installation
    assert find(beat_at=NOW - OUTAGE_MIN + timedelta(microseconds=1)) is None
    assert find(beat_at=NOW - OUTAGE_MIN) == (NOW - OUTAGE_MIN, "unknown")
    assert find(beat_at=NOW + LONG) is None  # the database's clock was set back
    stopped_at = NOW - LONG
    beat_at = stopped_at - timedelta(seconds=3)
    assert find(beat_at=beat_at, stopped_at=stopped_at) == (stopped_at, "shutdown")


def test_a_hub_that_ran_and_could_not_write_says_that_the_database_was_away() -> None:
    found = find_silence(NOW - LONG, None, now=NOW, was_database_away=True)
    assert found is not None
    assert found.reason is OutageReason.DATABASE


async def test_a_hub_that_was_killed_leaves_an_outage_from_its_last_beat_on(
    app_database: Database, owner_database: Database
) -> None:
    await Heartbeat(app_database).beat()
    await let_hubs_be_silent(owner_database, LONG)
    last = await read_beat(owner_database)

    assert await Heartbeat(app_database).beat() is not None

    assert await list_rows(owner_database) == [("unknown", last, await read_beat(owner_database))]
    assert await Heartbeat(app_database).beat() is None
    assert len(await list_rows(owner_database)) == 1


async def test_while_one_of_several_hubs_beats_there_is_no_outage(
    app_database: Database, owner_database: Database
) -> None:
    killed, stays, returned = (Heartbeat(app_database) for _ in range(3))
    await killed.beat()
    for _ in range(3):  # the killed one is silent for longer than an outage, the other is not
        await stays.beat()
        await let_hubs_be_silent(owner_database, OUTAGE_MIN - timedelta(seconds=5))
    await returned.beat()

    assert await list_rows(owner_database) == []


async def test_a_hub_that_stops_in_order_beside_another_one_is_no_outage(
    app_database: Database, owner_database: Database
) -> None:
    stops, stays = Heartbeat(app_database), Heartbeat(app_database)
    await stops.beat()
    await stops.stop()
    await stays.beat()
    await let_hubs_be_silent(owner_database, LONG)
    await Heartbeat(app_database).beat()

    ((reason, _, _),) = await list_rows(owner_database)
    assert reason == "unknown"  # the one that stayed did not say goodbye


async def test_of_two_hubs_that_return_together_one_stores_the_outage(
    app_database: Database, owner_database: Database
) -> None:
    await Heartbeat(app_database).beat()
    await let_hubs_be_silent(owner_database, LONG)

    await asyncio.gather(*(Heartbeat(app_database).beat() for _ in range(4)))

    assert len(await list_rows(owner_database)) == 1


@pytest.mark.parametrize("off", [timedelta(minutes=-40), timedelta(minutes=40)])
async def test_a_hub_whose_clock_is_wrong_makes_and_hides_no_outage(
    app_database: Database, owner_database: Database, off: timedelta
) -> None:
    await Heartbeat(app_database).beat()
    with a_set_clock(read_clock() + off):
        await Heartbeat(app_database).beat()
    assert await list_rows(owner_database) == []

    await let_hubs_be_silent(owner_database, LONG)
    last = await read_beat(owner_database)
    with a_set_clock(read_clock() + off):
        await Heartbeat(app_database).beat()

    ((_, from_at, until_at),) = await list_rows(owner_database)
    assert from_at == last
    assert LONG <= until_at - from_at < LONG + timedelta(minutes=20)


async def forbid_connections(owner: Database, app: Database, *, forbidden: bool) -> None:
    """Let the hub's role lose its connections and get no new one, or let it come back."""
    others = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with app.begin() as connected, owner.begin() as session:
        name = await connected.scalar(text("SELECT current_database()"))
        limit = 0 if forbidden else -1
        await session.execute(text(f'ALTER DATABASE "{name}" CONNECTION LIMIT {limit}'))
        await session.commit()
        await connected.execute(others)


async def test_a_hub_whose_database_was_away_stores_the_outage_once_it_is_back(
    settings: Settings, app_database: Database, owner_database: Database
) -> None:
    url = settings.app_database_url.get_secret_value()
    async with open_database_at(url, settings) as hubs_own:
        heartbeat = Heartbeat(hubs_own)
        await heartbeat.beat()
        await forbid_connections(owner_database, app_database, forbidden=True)
        for _ in range(2):
            with pytest.raises(OperationalError):
                await heartbeat.beat()
        await forbid_connections(owner_database, app_database, forbidden=False)
        await let_hubs_be_silent(owner_database, LONG)
        silence = await heartbeat.beat()

    assert silence is not None
    assert silence.reason is OutageReason.DATABASE


async def test_a_hub_that_runs_beats_and_says_goodbye(
    settings: Settings, owner_database: Database
) -> None:
    async with running_hub(settings):
        async with asyncio.timeout(30):
            while await read_beat(owner_database) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    async with owner_database.begin() as session:
        stopped_at = await session.scalar(text("SELECT stopped_at FROM hub_heartbeats"))
    assert stopped_at is not None


async def test_a_database_that_is_away_stops_no_hub(settings: Settings) -> None:
    nowhere = "postgresql://phopay_app:x@127.0.0.1:1/nowhere"
    async with open_database_at(nowhere, settings) as database, beating(database):
        pass
