"""Tenancy: rows that belong to one organisation, and transactions bound to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import (
    AsyncSession,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Database
from core.sql import _find_driver, _wrap, drop_connection


class OrgRow(Base):
    """A row of one tenant. `org_id` leads every key: border and, one day, distribution key."""

    __abstract__ = True

    org_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-2)
    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-1)


@asynccontextmanager
async def open_org_transaction(database: Database, org_id: UUID) -> AsyncIterator[AsyncSession]:
    """Open one transaction that sees and writes only one tenant's rows; commit at its end."""
    async with database.begin() as session:
        await enter_org(session, org_id)
        yield session


async def enter_org(session: AsyncSession, org_id: UUID) -> None:
    """Bind the running transaction to one tenant. It ends with the transaction (SET LOCAL)."""
    # A literal, because Citus hands only literal SET LOCAL on to its nodes; a UUID cannot inject.
    assert isinstance(org_id, UUID)
    driver = await _find_driver(session)
    try:
        async with driver.pipeline():  # BEGIN and this in one trip
            await driver.execute(f"SET LOCAL app.org_id = '{org_id}'".encode())
    except psycopg.Error as error:  # a connection that the pool kept may be dead
        raise _wrap(error, "SET LOCAL app.org_id") from error
    except asyncio.CancelledError:
        await drop_connection(session)
        raise
