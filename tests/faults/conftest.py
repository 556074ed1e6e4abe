"""One database and its standing processes for the tests of a module."""

from collections.abc import AsyncIterator, Iterator

import pytest

from core.db import Database, open_database, open_engine
from core.settings import Settings
from ops.postgres.supervisor import Cluster
from tests.world.databases import FreshDatabase, create_database
from tests.world.installation import Installation, installed


@pytest.fixture(scope="module")
def fresh_database(cluster: Cluster) -> Iterator[FreshDatabase]:
    with create_database(cluster) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def settings(fresh_database: FreshDatabase) -> Settings:
    return fresh_database.settings


@pytest.fixture(scope="module")
def installation(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    environment = {**fresh_database.environment, "PHOPAY_DATABASE_POOL_SIZE": "6"}
    with installed(environment, tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture
async def app_database(
    fresh_database: FreshDatabase, settings: Settings
) -> AsyncIterator[Database]:
    engine = open_engine(fresh_database.app_url, settings)
    try:
        yield open_database(engine)
    finally:
        await engine.dispose()


@pytest.fixture
async def worker_database(
    fresh_database: FreshDatabase, settings: Settings
) -> AsyncIterator[Database]:
    engine = open_engine(fresh_database.worker_url, settings)
    try:
        yield open_database(engine)
    finally:
        await engine.dispose()


@pytest.fixture
async def owner_database(
    fresh_database: FreshDatabase, settings: Settings
) -> AsyncIterator[Database]:
    engine = open_engine(fresh_database.owner_url, settings)
    try:
        yield open_database(engine)
    finally:
        await engine.dispose()
