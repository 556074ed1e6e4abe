"""Contracts with a toll operator: made, given another key, revoked."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.sealing import Sealer
from core.settings import read_origin
from core.text import check_lines
from identity.organisations.rules import OrgFacts
from payments.ledger import service as ledger
from payments.rails.toll import queries
from payments.rails.toll.errors import BadTollUrl, TollContractInForce
from payments.rails.toll.models import TollContract


async def create_contract(
    session: AsyncSession,
    org: OrgFacts,
    contract_id: UUID,
    *,
    name: str,
    url: str,
    client_id: str,
    secret: str,
    allowed_origins: Collection[str],
    sealer: Sealer,
    actor: Actor,
    now: datetime,
) -> TollContract:
    """Put a contract in force, with the ledger accounts of what it will charge.

    Args:
        allowed_origins: where the hub's operator lets requests of this organisation go.

    Raises:
        BadTollUrl, TollContractInForce
    """
    check_lines(name=name, client_id=client_id)
    origin = read_origin(url)
    if origin is None or origin not in allowed_origins:
        raise BadTollUrl  # the hub would knock at doors of its own network
    if await queries.find_contract(session, org.id) is not None:
        raise TollContractInForce
    contract = TollContract(
        org_id=org.id,
        id=contract_id,
        name=name,
        url=origin,
        client_id=client_id,
        sealed_secret=sealer.seal(secret.encode(), org_id=org.id, object_id=contract_id),
        created_at=now,
    )
    session.add(contract)
    await session.flush()
    await ledger.open_toll_accounts(session, org.id, contract_id, now=now)
    _record(session, contract, actor, "toll_contract.created", now=now)
    return contract


async def set_secret(
    session: AsyncSession,
    org_id: UUID,
    contract_id: UUID,
    *,
    secret: str,
    sealer: Sealer,
    actor: Actor,
    now: datetime,
) -> TollContract:
    """Replace the key that signs requests: from now on the new one holds alone.

    Raises:
        TollContractNotFound
    """
    contract = await queries.get_contract(session, org_id, contract_id, is_to_change=True)
    contract.sealed_secret = sealer.seal(secret.encode(), org_id=org_id, object_id=contract_id)
    await session.flush()
    _record(session, contract, actor, "toll_contract.secret_set", now=now)
    return contract


async def revoke_contract(
    session: AsyncSession, org_id: UUID, contract_id: UUID, *, actor: Actor, now: datetime
) -> TollContract:
    """End a contract: no new charges; those before are still looked up and refunded. Idempotent.

    Raises:
        TollContractNotFound
    """
    contract = await queries.get_contract(session, org_id, contract_id, is_to_change=True)
    if contract.revoked_at is None:
        contract.revoked_at = now
        await session.flush()
        _record(session, contract, actor, "toll_contract.revoked", now=now)
    return contract


def _record(
    session: AsyncSession, contract: TollContract, actor: Actor, action: str, *, now: datetime
) -> None:
    record_change(
        session,
        org_id=contract.org_id,
        actor=actor,
        action=action,
        object_kind="toll_contract",
        object_id=contract.id,
        after={"name": contract.name, "url": contract.url, "client_id": contract.client_id},
        now=now,
    )
