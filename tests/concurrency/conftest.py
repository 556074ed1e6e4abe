"""One database and two racing processes for all races of a module; each race has its own tenant."""

from collections.abc import AsyncIterator, Iterator

import pytest

from core.db import Sessions, make_sessions, open_engine
from core.settings import Settings
from ops.postgres import Cluster
from tests.concurrency.races import Races, racing
from tests.databases import Database, fresh_database


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> Iterator[Database]:
    with fresh_database(cluster) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def settings(database: Database) -> Settings:
    return database.settings


@pytest.fixture(scope="module")
def races(database: Database) -> Iterator[Races]:
    with racing(database.environment) as running:
        yield running


@pytest.fixture
async def app_sessions(database: Database, settings: Settings) -> AsyncIterator[Sessions]:
    engine = open_engine(database.app_url, settings)
    try:
        yield make_sessions(engine)
    finally:
        await engine.dispose()
