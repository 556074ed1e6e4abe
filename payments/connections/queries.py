"""SQL of callback endpoints."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

DELETE_ENDPOINT_ACCOUNTS = text("""
    DELETE FROM callback_endpoint_accounts WHERE org_id = :org_id AND endpoint_id = :endpoint_id
""")


async def delete_callback_endpoint_accounts(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID
) -> None:
    """Forget which accounts an endpoint may speak for; the caller lists them anew."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id}
    await session.execute(DELETE_ENDPOINT_ACCOUNTS, values)
