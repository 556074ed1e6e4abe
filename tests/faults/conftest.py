"""One database and its standing processes for the tests of a module."""

from collections.abc import Iterator

import pytest

from core.settings import Settings
from ops.postgres.supervisor import Cluster
from tests.world.databases import FreshDatabase, create_database
from tests.world.installation import Installation, running_installation


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
    with running_installation(environment, tmp_path_factory.mktemp("logs")) as running:
        yield running
