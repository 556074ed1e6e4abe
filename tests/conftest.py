"""Fixtures shared by all tests: a real PostgreSQL, a database per test, sessions per role."""

import gc
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import settings

from core.db import Database
from core.sealing import Sealer
from core.settings import Settings
from ops.postgres.supervisor import Cluster
from parking.sessions.writer import PLANNING
from tests.world.databases import (
    TEMPLATE,
    FreshDatabase,
    Template,
    a_template,
    create_database,
    open_database_at,
    session_cluster,
)
from tests.world.stalls import PayableStall, a_payable_stall

# Fixtures that are databases with something in them, which a test gets a clone of. A folder or a
# file that needs something else in it has its own fixture of this name.
TEMPLATES = ("stall_template", "market_template", "gate_template")

BROWSER_TIMEOUT_S = 300  # several browsers on two processors: one page may take half a minute

# No test asserts a time: a shared machine may pause.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")
gc.set_threshold(20_000, 20)  # as ops/hub_process.py: collecting was a twelfth of the tests' time


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give browsers time; mark what stands on PostgreSQL, and which cases are not for every day.

    With the mark `database` it can be run with another version. A database for each case is a fifth
    of a second: --quick has two of a test's cases, the first and the last; the full run has them
    all.
    """
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.timeout(BROWSER_TIMEOUT_S))
            # What is red once and green then is listed as RERUN, and still has to be looked into.
            item.add_marker(pytest.mark.flaky(reruns=1 if "CI" in os.environ else 0))
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)
            if not item.get_closest_marker("slow"):
                cases[item.nodeid.partition("[")[0]].append(item)
    for of_one_test in cases.values():
        for item in of_one_test[1:-1]:
            item.add_marker(pytest.mark.slow)
    # One after the other, for they share a browser and a hub; and first, for their files are long.
    items.sort(key=lambda item: "tests/browser/" not in item.nodeid)


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
def fresh_database(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[FreshDatabase]:
    """A migrated database for this test alone; empty, unless its `stall`, `market` or `gate` is."""
    wanted = [name for name in TEMPLATES if name in request.fixturenames]
    assert len(wanted) <= 1, wanted
    template = request.getfixturevalue(wanted[0]).name if wanted else TEMPLATE
    with create_database(cluster, template=template) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    """A database with the stall of `stall`, made once: making it takes longer than a clone."""
    with a_template(cluster, a_payable_stall) as template:
        yield template


@pytest.fixture
def settings(fresh_database: FreshDatabase) -> Settings:
    """The settings of a process on this test's database."""
    return fresh_database.settings


@pytest.fixture
async def app_database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    """Sessions of the hub's role, phopay_app."""
    async with open_database_at(fresh_database.app_url, fresh_database.settings) as database:
        yield database


@pytest.fixture
async def gate_database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    """Sessions of the role of the way in, phopay_gate, as the hub opens them."""
    settings = fresh_database.settings
    async with open_database_at(fresh_database.gate_url, settings, planning=PLANNING) as database:
        yield database


@pytest.fixture
async def worker_database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    """Sessions of the worker's role, phopay_worker."""
    async with open_database_at(fresh_database.worker_url, fresh_database.settings) as database:
        yield database


@pytest.fixture
async def owner_database(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    """Sessions of the owner, past row-level security: for building and for looking."""
    async with open_database_at(fresh_database.owner_url, fresh_database.settings) as database:
        yield database


@pytest.fixture
def sealer(settings: Settings) -> Sealer:
    """What seals and opens the secrets of endpoints in this test's database."""
    return Sealer.from_settings(settings)


@pytest.fixture
def stall(stall_template: Template[PayableStall], fresh_database: FreshDatabase) -> PayableStall:
    """A stall that can be paid, in a live organisation with the code HKXM."""
    return stall_template.holds
