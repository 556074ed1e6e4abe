"""One database and its standing processes for the tests of a module."""

from collections.abc import AsyncIterator, Iterator

import pytest

from core.db import Sessions, make_sessions, open_engine
from core.settings import Settings
from ops.postgres import Cluster
from tests.databases import Database, fresh_database
from tests.faults.installation import Installation, installed


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> Iterator[Database]:
    with fresh_database(cluster) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def settings(database: Database) -> Settings:
    return database.settings


@pytest.fixture(scope="module")
def installation(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    environment = {**database.environment, "PHOPAY_DATABASE_POOL_SIZE": "6"}
    with installed(environment, tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture
async def app_sessions(database: Database, settings: Settings) -> AsyncIterator[Sessions]:
    engine = open_engine(database.app_url, settings)
    try:
        yield make_sessions(engine)
    finally:
        await engine.dispose()


@pytest.fixture
async def worker_sessions(database: Database, settings: Settings) -> AsyncIterator[Sessions]:
    engine = open_engine(database.worker_url, settings)
    try:
        yield make_sessions(engine)
    finally:
        await engine.dispose()
