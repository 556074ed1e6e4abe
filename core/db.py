"""The database: declarative base, engines per role, transactions that belong to one tenant."""

import asyncio
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Annotated, Final, cast

import psycopg
from sqlalchemy import BigInteger, DateTime, MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.pool import QueuePool

from core.database_connections import ServerSilent, WatchedConnection, network_arguments
from core.settings import Settings
from core.shared_clock import READ_DATABASE_CLOCK, measure

Vnd = Annotated[int, mapped_column(BigInteger)]
Database = async_sessionmaker[AsyncSession]

# SQLSTATE classes: connection, resources (full disk, too many connections), shutdown, system error.
AWAY: Final = frozenset({"08", "53", "57", "58"})
CLOSING_WAIT_S: Final = 1.0
TIMED_OUT: Final = frozenset({"55P03", "57014"})  # lock not available, query cancelled
LOST_RACES: Final = frozenset({"40P01", "40001"})  # deadlock, could not serialise


class Base(DeclarativeBase):
    """Base of all tables; names of constraints are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012 (SQLAlchemy's own form)


def open_engine(
    url: str, settings: Settings, *, pool_size: int | None = None, planning: str = ""
) -> AsyncEngine:
    """Open a pool for one database role, with the statement and lock timeouts of the settings.

    Args:
        url: postgresql+psycopg://role:password@host:port/database (or plain postgresql://).
        settings: where the limits come from.
        pool_size: connections to keep, when other than the setting.
        planning: options of the planner, for a role that runs a few known statements.
    """
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg" + url.removeprefix("postgresql")
    options = (
        f"-c statement_timeout={settings.statement_timeout_ms}"
        f" -c lock_timeout={settings.lock_timeout_ms}"
        f" -c idle_in_transaction_session_timeout=30000 -c timezone=UTC {planning}"
    )
    return create_async_engine(
        url,
        pool_size=pool_size or settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_timeout_s,
        pool_pre_ping=False,
        pool_recycle=1_800,
        hide_parameters=True,  # account numbers, memos and hashes stay out of errors and logs
        connect_args={
            "options": options,
            "application_name": f"phopay-{settings.process_name}",
            "prepare_threshold": 3,
            **network_arguments(settings),
            "async_creator_fn": partial(
                WatchedConnection.connect_watched,
                answer_within_s=settings.database_response_timeout_s,
            ),
        },
    )


async def close_engine(engine: AsyncEngine) -> None:
    """Close a pool once its connections are back: a cancelled request rolls back a moment later."""
    pool = cast(QueuePool, engine.pool)
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSING_WAIT_S):
            while pool.checkedout():  # noqa: ASYNC110 (the pool tells nobody)
                await asyncio.sleep(0.005)
    await engine.dispose()


def open_database(engine: AsyncEngine) -> Database:
    """Make the factory of sessions on one engine; objects stay readable after commit."""
    return async_sessionmaker(engine, expire_on_commit=False, autoflush=False)


def is_database_away(error: BaseException) -> bool:
    """Tell whether nothing can be written now, whatever it is: no connection, lost, full, closing.

    A lock that could not be acquired in time or a statement's timeout is not meant: see
    has_timed_out.
    """
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        sqlstate = getattr(error.orig, "sqlstate", None)
        if sqlstate is None:  # the driver's own word: no server, or a connection that died
            return isinstance(error.orig, (psycopg.OperationalError, psycopg.InterfaceError))
        return sqlstate[:2] in AWAY and sqlstate not in TIMED_OUT
    return isinstance(error, (PoolTimeout, OSError))


def is_server_silent(error: BaseException | None) -> bool:
    """Tell whether the server said nothing at all: whoever asks next would get no answer either."""
    silent = (ServerSilent, psycopg.errors.ConnectionTimeout)
    while error is not None:
        if isinstance(error, silent) or isinstance(getattr(error, "orig", None), silent):
            return True
        error = error.__cause__ or error.__context__  # a rollback's error hides the first one
    return False


def has_timed_out(error: BaseException | None) -> bool:
    """Tell whether a statement gave up waiting, for a lock or altogether."""
    orig = getattr(error, "orig", None)
    return getattr(orig, "sqlstate", None) in TIMED_OUT


def has_lost_a_race(error: BaseException | None) -> bool:
    """Tell whether the database undid a transaction for another's sake: tried again, it may pass.

    It was chosen to end a deadlock, or met what a concurrent one had written.
    """
    orig = getattr(error, "orig", None)
    return getattr(orig, "sqlstate", None) in LOST_RACES


async def read_schema_version(database: Database) -> str | None:
    """Return the number of the newest migration that the database has."""
    async with database.begin() as session:
        found = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


async def measure_shared_clock(database: Database) -> None:
    """Find how far this process's clock is off the database's (core.shared_clock)."""

    async def ask() -> datetime:
        async with database() as session:
            await session.connection()  # to connect is not to be timed
            return cast(datetime, await session.scalar(text(READ_DATABASE_CLOCK)))

    await measure(ask)
