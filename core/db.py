"""The database: declarative base, engines per role, transactions that belong to one tenant."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, cast
from uuid import UUID

import psycopg
from sqlalchemy import BigInteger, DateTime, MetaData, TextClause, text
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.connections import ServerSilent, WatchedConnection, network_arguments
from core.settings import Settings
from core.shared_clock import READ_DATABASE_CLOCK, measure

Vnd = Annotated[int, mapped_column(BigInteger)]
Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Sessions = async_sessionmaker[AsyncSession]

# SQLSTATE classes: connection, resources (full disk, too many connections), shutdown, system error.
AWAY: Final = frozenset({"08", "53", "57", "58"})
TIMED_OUT: Final = frozenset({"55P03", "57014"})  # lock not available, query cancelled

_DIALECT: Final = psycopg_dialect()  # type: ignore[no-untyped-call]
_written: Final[dict[TextClause, bytes]] = {}  # statements in the driver's own placeholders
_DRIVER: Final = "phopay_driver"  # in session.info: (transaction, its connection of the driver)
_TRIP: Final = "phopay_trip"  # in session.info, inside sent_together


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


class OrgRow(Base):
    """A row of one tenant. `org_id` leads every key: border and, one day, distribution key."""

    __abstract__ = True

    org_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-2)
    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-1)


def open_engine(url: str, settings: Settings, *, pool_size: int | None = None) -> AsyncEngine:
    """Open a pool for one database role, with the statement and lock timeouts of the settings.

    Args:
        url: postgresql+psycopg://role:password@host:port/database (or plain postgresql://).
        settings: where the limits come from.
        pool_size: connections to keep, when other than the setting.
    """
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg" + url.removeprefix("postgresql")
    options = (
        f"-c statement_timeout={settings.statement_timeout_ms}"
        f" -c lock_timeout={settings.lock_timeout_ms}"
        " -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
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
                answer_within_s=settings.database_answer_timeout_s,
            ),
        },
    )


def make_sessions(engine: AsyncEngine) -> Sessions:
    """Make the factory of sessions on one engine; objects stay readable after commit."""
    return async_sessionmaker(engine, expire_on_commit=False, autoflush=False)


def is_database_away(error: BaseException) -> bool:
    """Tell whether nothing can be written now, whatever it is: no connection, lost, full, closing.

    A lock that is not to be had or a statement's timeout is not meant: see has_timed_out.
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
    """Tell whether the server said nothing at all: whoever asks next would wait in vain too."""
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


async def measure_shared_clock(sessions: Sessions) -> None:
    """Find how far this process's clock is off the database's (core.shared_clock)."""

    async def ask() -> datetime:
        async with sessions() as session:
            await session.connection()  # to connect is not to be timed
            return cast(datetime, await session.scalar(text(READ_DATABASE_CLOCK)))

    await measure(ask)


@asynccontextmanager
async def open_org_transaction(sessions: Sessions, org_id: UUID) -> AsyncIterator[AsyncSession]:
    """Open one transaction that sees and writes only one tenant's rows; commit at its end."""
    async with sessions.begin() as session:
        await enter_org(session, org_id)
        yield session


async def enter_org(session: AsyncSession, org_id: UUID) -> None:
    """Bind the running transaction to one tenant. It ends with the transaction (SET LOCAL)."""
    # A literal, because Citus hands only literal SET LOCAL on to its nodes; a UUID cannot inject.
    assert isinstance(org_id, UUID)
    driver = await _find_driver(session)
    try:
        await driver.execute(f"SET LOCAL app.org_id = '{org_id}'".encode())
    except psycopg.Error as error:  # a connection that the pool kept may be dead
        raise _wrap(error, "SET LOCAL app.org_id") from error


async def run(
    session: AsyncSession, statement: TextClause, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Run one constant statement in the session's transaction by the driver; return its rows.

    For the paths that thousands of callbacks and bills a second take: the same as
    `session.execute`, for a third of the time. It knows nothing of the session's objects.

    Raises:
        DBAPIError: as SQLAlchemy would raise it (IntegrityError, OperationalError, …).
    """
    assert _TRIP not in session.info, "no rows come back inside sent_together: use send"
    try:
        cursor = await _execute(session, statement, values)
        return await cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        raise _wrap(error, str(statement)) from error


async def send(session: AsyncSession, statement: TextClause, values: Mapping[str, Any]) -> None:
    """Run one constant statement as `run` does, for nobody who needs its rows.

    Inside `sent_together` it is only queued, and its error comes from there.

    Raises:
        DBAPIError: as SQLAlchemy would raise it.
    """
    try:
        await _execute(session, statement, values)
    except psycopg.Error as error:
        raise _wrap(error, str(statement)) from error


@asynccontextmanager
async def sent_together(session: AsyncSession) -> AsyncIterator[None]:
    """Let the statements that are sent in this block travel in one round trip, in their order.

    The block holds `send` only, and nothing of the session's own.

    Raises:
        DBAPIError: of the first that failed; the transaction can only be rolled back.
    """
    driver = await _find_driver(session)
    session.info[_TRIP] = True
    try:
        async with driver.pipeline():
            yield
    except psycopg.Error as error:
        raise _wrap(error, "statements sent together") from error
    finally:
        del session.info[_TRIP]


async def _execute(
    session: AsyncSession, statement: TextClause, values: Mapping[str, Any]
) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    written = _written.get(statement)
    if written is None:
        compiled = str(statement.compile(dialect=_DIALECT))
        written = _written[statement] = compiled.encode()
    driver = await _find_driver(session)
    return await driver.execute(written, {n: write_array(value) for n, value in values.items()})


def _wrap(error: psycopg.Error, statement: str) -> BaseException:
    """Make SQLAlchemy's error of the driver's; values may be personal and stay out of it."""
    return DBAPIError.instance(statement, None, error, psycopg.Error, hide_parameters=True)


def write_array(value: Any) -> Any:
    """Write a list as PostgreSQL's text form of an array; anything else stays what it is.

    The driver's own way looks at each element's type in Python and costs most of a small
    statement. Lists of bytes are left to it; the statement says the type, `CAST(:ids AS uuid[])`.

    Source: PostgreSQL documentation, 8.15.6 "Array Input and Output Syntax".
    """
    if type(value) is not list or any(type(one) is bytes for one in value):
        return value
    return "{" + ",".join(map(_write_element, value)) + "}"


def _write_element(one: object) -> str:
    if one is None:
        return "NULL"
    if isinstance(one, str):
        return '"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(one, bool):
        return "t" if one else "f"
    if isinstance(one, datetime):
        return one.isoformat()
    assert isinstance(one, (int, UUID)), type(one)
    return str(one)


async def _find_driver(session: AsyncSession) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """Return the driver's connection of the running transaction, begun if it is not."""
    known = session.info.get(_DRIVER)
    if known is not None and known[0] is session.sync_session.get_transaction():
        return cast(psycopg.AsyncConnection[tuple[Any, ...]], known[1])
    connection = await session.connection()
    raw = (await connection.get_raw_connection()).driver_connection
    session.info[_DRIVER] = (session.sync_session.get_transaction(), raw)
    return cast(psycopg.AsyncConnection[tuple[Any, ...]], raw)
