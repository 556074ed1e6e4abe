"""Connections that notice a silent server: what is set on each, and how long each waits."""

import asyncio
import subprocess
import sys
import time

import psycopg
import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import text

from core.batching import MicroBatcher
from core.database_connections import KEEPALIVES, answered_within, patient
from core.db import Database, is_database_away, is_server_silent, open_database, open_engine
from core.errors import Busy
from core.settings import Settings
from tests.faults.silent_proxy import silent_proxy
from tests.world.constants import BUSY_S
from tests.world.databases import TEST_SECRET_KEY, FreshDatabase

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_every_connection_of_the_pool_has_keepalives_and_a_limit_for_unanswered_bytes(
    app_database: Database, settings: Settings
) -> None:
    async with app_database() as session:
        raw = (await (await session.connection()).get_raw_connection()).driver_connection
    assert raw is not None
    told = raw.info.get_parameters()

    assert told["tcp_user_timeout"] == str(settings.tcp_user_timeout_ms)
    assert told["keepalives_idle"] == str(settings.tcp_keepalives_idle_s)
    assert {name: told[name] for name in KEEPALIVES if name != "keepalives"} == {
        name: str(value) for name, value in KEEPALIVES.items() if name != "keepalives"
    }


async def test_a_server_that_does_not_answer_is_taken_for_gone_and_its_connection_thrown_away(
    fresh_database: FreshDatabase, settings: Settings
) -> None:
    async with silent_proxy(fresh_database.app_url) as (proxy, url):
        engine = open_engine(url, settings, pool_size=1)
        database = open_database(engine)
        async with database.begin() as session:
            old = await session.scalar(text("SELECT pg_backend_pid()"))
        proxy.fall_silent()
        began = time.monotonic()

        with pytest.raises(Exception) as caught, answered_within(0.5):
            async with database.begin() as session:
                await session.scalar(text("SELECT 1"))

        assert time.monotonic() - began < 1 + BUSY_S
        assert is_database_away(caught.value)
        assert is_server_silent(caught.value)
        proxy.come_back()
        async with database.begin() as session:
            assert await session.scalar(text("SELECT pg_backend_pid()")) != old
        await engine.dispose()


async def test_a_long_statement_that_is_bounded_otherwise_is_waited_for(
    fresh_database: FreshDatabase, settings: Settings
) -> None:
    hasty = settings.model_copy(update={"database_response_timeout_s": 0.5})
    engine = open_engine(fresh_database.worker_url, hasty, pool_size=1)
    database = open_database(engine)

    with pytest.raises(Exception) as caught:
        async with database.begin() as session:
            await session.scalar(text("SELECT pg_sleep(1)"))
    assert is_server_silent(caught.value)

    with patient(5):
        async with database.begin() as session:
            assert await session.scalar(text("SELECT 1 FROM pg_sleep(1)")) == 1
    await engine.dispose()


async def test_a_task_that_outlives_the_block_in_which_it_began_has_no_deadline_of_it(
    app_database: Database,
) -> None:
    """As the one that wakes screens: a flush begins it, and it lives as long as there is work."""
    is_late = asyncio.Event()

    async def ask_later() -> object:
        await is_late.wait()
        async with app_database.begin() as session:
            return await session.scalar(text("SELECT 1"))

    async def ask_inside(seconds: float) -> object:
        with answered_within(seconds):
            return await ask_late(app_database)

    with answered_within(0.2):
        lives_deeper = asyncio.create_task(ask_inside(5))
        with pytest.raises(Exception) as caught:
            await lives_deeper
    assert is_server_silent(caught.value)
    with answered_within(0.2):
        lives_on = asyncio.create_task(ask_later())
        lives_inside = asyncio.create_task(ask_late(app_database))
        with pytest.raises(Exception) as caught:
            await lives_inside
    with answered_within(0.2):  # ends while its statement runs
        asks_on = asyncio.create_task(ask_late(app_database))
        await asyncio.sleep(0.1)
    is_late.set()

    assert is_server_silent(caught.value)
    assert await lives_on == 1
    await asks_on


async def ask_late(database: Database) -> object:
    async with database.begin() as session:
        return await session.scalar(text("SELECT pg_sleep(1)"))


async def test_a_caller_who_gives_up_on_a_silent_server_is_let_go(
    fresh_database: FreshDatabase, settings: Settings
) -> None:
    """Cancelling a statement asks the server too, which must not be waited for either."""
    async with silent_proxy(fresh_database.app_url) as (proxy, url):
        quick = settings.model_copy(update={"database_response_timeout_s": 1.0})
        engine = open_engine(url, quick, pool_size=1)
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            proxy.fall_silent()
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await connection.execute(text("SELECT 2"))
            assert time.monotonic() - began < 8
            await connection.invalidate()
        await engine.dispose()


async def test_who_waits_for_another_flush_gets_an_error_too_when_the_server_is_silent(
    fresh_database: FreshDatabase, settings: Settings
) -> None:
    async with silent_proxy(fresh_database.app_url) as (proxy, url):
        engine = open_engine(url, settings, pool_size=2)
        database = open_database(engine)

        async def flush(key: str, items: list[int]) -> list[int]:
            async with database.begin() as session:
                await session.scalar(text("SELECT 1"))
            return items

        batcher: MicroBatcher[str, int, int] = MicroBatcher(
            flush, items_max=10, waiting_max=100, flushes_max=1, timeout_s=0.5
        )
        assert await batcher.submit(1, key="warm") == 1
        proxy.fall_silent()
        began = time.monotonic()

        answers = await asyncio.gather(
            *(batcher.submit(n, key=f"org {n}") for n in range(20)), return_exceptions=True
        )

        assert time.monotonic() - began < 1 + BUSY_S
        assert all(isinstance(answer, Busy) for answer in answers), answers
        proxy.come_back()
        assert await batcher.submit(2, key="org 3") == 2  # nothing was left behind
        await engine.dispose()


@pytest.mark.parametrize(
    "given",
    [
        {"database_response_timeout_s": 10.0, "statement_timeout_ms": 10_000},
        {"database_write_timeout_s": 3.0, "lock_timeout_ms": 3_000},
    ],
)
def test_settings_that_would_take_a_living_server_for_a_dead_one_are_refused(
    given: dict[str, float],
) -> None:
    url = SecretStr("postgresql://x")
    with pytest.raises(ValidationError, match="must be longer"):
        Settings(
            database_url=url,
            app_database_url=url,
            worker_database_url=url,
            gate_database_url=url,
            secret_key=SecretStr(TEST_SECRET_KEY),
            **given,  # type: ignore[arg-type]
        )


def test_two_migrations_at_once_are_one_after_the_other(fresh_database: FreshDatabase) -> None:
    """The second waits for the first and finds nothing left to do."""
    command = (
        "from ops import migrate; import sys;"
        " migrate.downgrade(sys.argv[1], 'base'); migrate.upgrade(sys.argv[1])"
    )
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("SELECT pg_advisory_lock(%s)", [0x7068_6D69])
        one = subprocess.Popen([sys.executable, "-c", command, fresh_database.owner_url])
        # It asks, commits and asks again, since a wait inside a statement would hold up an index
        # that is made CONCURRENTLY (migrations/environment/env.py).
        asked = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND (query = 'COMMIT' OR query LIKE 'SELECT pg_try_advisory_lock%')"
        )
        end = time.monotonic() + 30
        while owner.execute(asked).fetchone() != (1,):
            assert one.poll() is None, "it did not wait"
            assert time.monotonic() < end
            time.sleep(0.05)
        owner.execute("SELECT pg_advisory_unlock(%s)", [0x7068_6D69])
        assert one.wait(60) == 0
