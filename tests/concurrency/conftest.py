"""One database and two racing processes for all races of a module; each race has its own tenant."""

from collections.abc import Iterator

import pytest

from core.settings import Settings
from ops.postgres.supervisor import Cluster
from tests.concurrency.races import Races, racing
from tests.world.databases import FreshDatabase, create_database


@pytest.fixture(scope="module")
def fresh_database(cluster: Cluster) -> Iterator[FreshDatabase]:
    with create_database(cluster) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def settings(fresh_database: FreshDatabase) -> Settings:
    return fresh_database.settings


@pytest.fixture(scope="module")
def races(fresh_database: FreshDatabase) -> Iterator[Races]:
    with racing(fresh_database.environment) as running:
        yield running
