"""Migrations: up, down and up again, and equal to the models."""

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table, create_engine, text
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import SchemaItem

from core.db import Base
from ops import migrate
from ops.postgres.supervisor import Cluster
from tests.migrations.releases import RELEASES
from tests.world.databases import FreshDatabase, create_database

DESCRIBE = """
    SELECT 'column', table_name, column_name, data_type, is_nullable, column_default
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', tablename, indexname, indexdef, '', '' FROM pg_indexes
      WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname,
        pg_get_constraintdef(oid), '', '' FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'policy', tablename, policyname, coalesce(qual, ''), roles::text,
        coalesce(with_check, '') FROM pg_policies WHERE schemaname = 'public'
    UNION ALL SELECT 'grant', table_name, column_name, grantee, privilege_type, ''
      FROM information_schema.column_privileges WHERE table_schema = 'public'
    ORDER BY 1, 2, 3, 4, 5, 6
"""


def describe(url: str) -> list[tuple[object, ...]]:
    """Return everything that migrations make, as the database tells it."""
    engine = create_engine(migrate.as_psycopg_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(DESCRIBE))]


def test_down_to_nothing_and_up_again_makes_the_same(fresh_database: FreshDatabase) -> None:
    before = describe(fresh_database.owner_url)
    assert len(before) > 200

    migrate.downgrade(fresh_database.owner_url, "base")
    emptied = {row[1] for row in describe(fresh_database.owner_url)}
    migrate.upgrade(fresh_database.owner_url)

    assert emptied <= {"alembic_version"}
    assert describe(fresh_database.owner_url) == before


@pytest.mark.slow
def test_each_migration_can_be_taken_back_alone(cluster: Cluster) -> None:
    with create_database(cluster, template="template0") as fresh_database:
        revisions = migrate.list_revisions()
        for revision, previous in zip(revisions, ["base", *revisions], strict=False):
            migrate.upgrade(fresh_database.owner_url, revision)
            migrate.downgrade(fresh_database.owner_url, previous)
            migrate.upgrade(fresh_database.owner_url, revision)
            assert migrate.read_current(fresh_database.owner_url) == revision


@pytest.mark.slow
def test_no_migration_of_a_first_release_changes_what_an_earlier_one_made(
    cluster: Cluster,
) -> None:
    """From 0.2 on a table is changed by later migrations; until then it is made right at once."""
    with create_database(cluster, template="template0") as fresh_database:
        before: set[tuple[object, ...]] = set()
        for revision in migrate.list_revisions():
            migrate.upgrade(fresh_database.owner_url, revision)
            described = describe(fresh_database.owner_url)
            changed = {row[1] for row in described if row not in before} & {
                row[1] for row in before
            }
            assert changed <= {"alembic_version"}, f"{revision} changes {changed}"
            assert before <= set(described), revision
            before = set(described)
            if revision == RELEASES["0.2"]:
                break


def test_a_migration_is_named_by_its_revision() -> None:
    named = sorted(path.name.partition("_")[0] for path in migrate.MIGRATIONS.glob("*_*.py"))
    assert migrate.list_revisions() == named
    assert all(re.fullmatch(r"m\d{4}", revision) for revision in named)


def is_the_hubs(thing: SchemaItem, name: str | None, kind: str, *_rest: object) -> bool:
    """Leave out the table of the route that the bench measures beside the hub, and partitions."""
    table = thing if isinstance(thing, Table) else getattr(thing, "table", None)
    return (kind, name) != ("table", "peer_bills") and not str(table).endswith("_default")


def test_models_equal_migrations(fresh_database: FreshDatabase) -> None:
    migrate.load_models()
    engine = create_engine(migrate.as_psycopg_url(fresh_database.owner_url), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_object": is_the_hubs,
            },
        )
        assert compare_metadata(context, Base.metadata) == []
