"""Alembic's environment: the owner's connection, short locks, every model of the project."""

from alembic import context
from sqlalchemy import create_engine, pool, text

import payments.bills.models
import payments.callbacks.models
import payments.ledger.models
import payments.outbox.models
import payments.payees.models  # noqa: F401 (imported for their tables)
from core.db import Base

LOCK_TIMEOUT_MS = 5_000  # a migration that cannot get its lock gives way to the city's traffic
STATEMENT_TIMEOUT_MS = 600_000


def run() -> None:
    """Run the wanted migrations in one transaction each, on the URL given by the caller."""
    url = context.config.get_main_option("sqlalchemy.url")
    assert url
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
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


run()
