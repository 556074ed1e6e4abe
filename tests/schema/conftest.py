"""What the database itself says about its tables."""

import psycopg
import pytest

from tests.databases import Database


@pytest.fixture
def owner(database: Database):  # type: ignore[no-untyped-def]
    """The owner's connection to a migrated database."""
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        yield connection
