"""Storing of notices."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.callbacks import queries as notice_queries
from payments.callbacks.types import NewNotice


async def store_notices(session: AsyncSession, org_id: UUID, notices: Sequence[NewNotice]) -> None:
    """Store verified messages as they came. Acknowledge only after the commit."""
    await notice_queries.insert_notices(session, org_id, notices)
