"""Callback endpoints, written past the service so that tests choose every fact of them."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id, new_token
from identity.organisations.rules import OrgFacts
from tests.world.constants import APPROVER, NOON


async def an_endpoint(
    session: AsyncSession,
    org: OrgFacts,
    account_ids: list[UUID],
    *,
    provider: str = "sepay",
    is_sandbox: bool = False,
    sealed_secrets: bytes = b"sealed",
    address: str | None = None,
    vouched_by_id: UUID | None = APPROVER.id,
    now: datetime = NOON,
) -> UUID:
    """Make a callback endpoint that speaks for these accounts; the approver answers for it."""
    endpoint_id = new_id()
    await session.execute(
        text("""INSERT INTO callback_endpoints (org_id, id, org_is_live, address, provider, name,
                is_sandbox, sealed_secrets, key_vouched_by, key_vouched_from, created_at)
                VALUES (:org_id, :id, :is_live, :address, :provider, 'test', :is_sandbox,
                        :sealed, :vouched_by_id, :vouched_from, :now)"""),
        {
            "org_id": org.id,
            "id": endpoint_id,
            "is_live": org.is_live,
            "address": address or f"{org.code}-{new_token()}",
            "provider": provider,
            "is_sandbox": is_sandbox,
            "sealed": sealed_secrets,
            "vouched_by_id": vouched_by_id,
            "vouched_from": now - timedelta(days=30),
            "now": now,
        },
    )
    for account_id in account_ids:
        await add_account(session, org, endpoint_id, account_id, vouched_by_id=vouched_by_id)
    return endpoint_id


async def add_account(
    session: AsyncSession,
    org: OrgFacts,
    endpoint_id: UUID,
    account_id: UUID,
    *,
    vouched_by_id: UUID | None = None,
) -> None:
    """Let an endpoint speak for an account, past the service: nothing that waited is woken."""
    await session.execute(
        text("""INSERT INTO callback_endpoint_accounts
                SELECT org_id, :endpoint_id, id, account_number, :vouched_by_id
                FROM receiving_accounts WHERE org_id = :org_id AND id = :account_id"""),
        {
            "org_id": org.id,
            "endpoint_id": endpoint_id,
            "account_id": account_id,
            "vouched_by_id": vouched_by_id,
        },
    )
