"""SQL of callback endpoints."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

DELETE_ENDPOINT_ACCOUNTS = text("""
    DELETE FROM callback_endpoint_accounts WHERE org_id = :org_id AND endpoint_id = :endpoint_id
""")
FIND_SOLE_ENDPOINT = text("""
    SELECT e.id FROM callback_endpoints e
    JOIN callback_endpoint_accounts a ON a.org_id = e.org_id AND a.endpoint_id = e.id
    WHERE e.org_id = :org_id AND e.provider = :provider AND e.revoked_at IS NULL
      AND e.sealed_pull_token IS NOT NULL
    GROUP BY e.id
    HAVING count(*) = 1 AND bool_and(a.receiving_account_id = :account_id)
    ORDER BY e.id DESC LIMIT 1
""")


async def delete_callback_endpoint_accounts(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID
) -> None:
    """Forget which accounts an endpoint may speak for; the caller lists them anew."""
    values = {"org_id": org_id, "endpoint_id": endpoint_id}
    await session.execute(DELETE_ENDPOINT_ACCOUNTS, values)


async def find_sole_endpoint_id(
    session: AsyncSession, org_id: UUID, account_id: UUID, *, provider: str
) -> UUID | None:
    """Find the newest endpoint of a provider with keys that speaks for this account alone.

    One that speaks for several does not say at which of them its requests would be paid.
    """
    values = {"org_id": org_id, "account_id": account_id, "provider": provider}
    found: UUID | None = (await session.execute(FIND_SOLE_ENDPOINT, values)).scalar()
    return found
