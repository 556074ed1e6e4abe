"""Alembic's environment: the owner's connection, short locks, every model of the project."""

import time

from alembic import context
from sqlalchemy import create_engine, pool, text

from core.database_connections import KEEPALIVES
from core.db import Base
from ops.migrate import load_models

load_models()

LOCK_TIMEOUT_MS = 5_000  # a migration that cannot get its lock gives way to the city's traffic
STATEMENT_TIMEOUT_MS = 600_000
LOCK_AGAIN_S = 0.2
MIGRATION_LOCK = 0x7068_6D69  # one migration of a database at a time; the second finds it done


def plan() -> None:
    """Write the statements of the wanted migrations, and run none (Alembic's offline mode)."""
    context.configure(dialect_name="postgresql", literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run() -> None:
    """Run the wanted migrations in one transaction each, on the URL given by the caller."""
    url = context.config.get_main_option("sqlalchemy.url")
    assert url
    engine = create_engine(url, poolclass=pool.NullPool, connect_args=dict(KEEPALIVES))
    with engine.connect() as connection:
        # Until the connection ends, and waited for without a limit. By asking again, since an index
        # that is made CONCURRENTLY waits for whoever waits inside a statement.
        while not connection.scalar(text(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})")):
            connection.commit()
            time.sleep(LOCK_AGAIN_S)
        connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
        connection.execute(text(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    plan()
else:
    run()
