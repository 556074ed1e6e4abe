"""The database's own description of its tables."""

import psycopg
import pytest

from tests.world.databases import FreshDatabase


@pytest.fixture
def owner(fresh_database: FreshDatabase):  # type: ignore[no-untyped-def]
    """The owner's connection to a migrated database."""
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as connection:
        yield connection
