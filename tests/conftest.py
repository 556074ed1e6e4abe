"""Fixtures shared by all tests: a real PostgreSQL, a database per test, sessions per role."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from core.db import Sessions, make_sessions, open_engine
from core.settings import Settings
from ops.postgres import Cluster
from tests.databases import Database, fresh_database, session_cluster


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever stands on PostgreSQL, so that it can be run with another version."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the hub does."""
    return "asyncio"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The session's PostgreSQL; PHOPAY_TEST_POSTGRES=15 runs Debian's instead of our own."""
    with session_cluster() as running:
        yield running


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A migrated database for this test alone."""
    with fresh_database(cluster) as fresh:
        yield fresh


@pytest.fixture
def settings(database: Database) -> Settings:
    """The settings of a process on this test's database."""
    return database.settings


@pytest.fixture
async def app_sessions(database: Database, settings: Settings) -> AsyncIterator[Sessions]:
    """Sessions of the hub's role, phopay_app."""
    async with _sessions(database.app_url, settings) as sessions:
        yield sessions


@pytest.fixture
async def worker_sessions(database: Database, settings: Settings) -> AsyncIterator[Sessions]:
    """Sessions of the worker's role, phopay_worker."""
    async with _sessions(database.worker_url, settings) as sessions:
        yield sessions


@pytest.fixture
async def owner_sessions(database: Database, settings: Settings) -> AsyncIterator[Sessions]:
    """Sessions of the owner, past row-level security: for building and for looking."""
    async with _sessions(database.owner_url, settings) as sessions:
        yield sessions


@asynccontextmanager
async def _sessions(url: str, settings: Settings) -> AsyncIterator[Sessions]:
    engine = open_engine(url, settings)
    try:
        yield make_sessions(engine)
    finally:
        await engine.dispose()
