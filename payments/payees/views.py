"""Read models of payees: how many accounts wait for what, and who the payees of some ids are."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.payees import queries
from payments.payees.rules import LinkStatus


class PayeeName(NamedTuple):
    """What a payee is called and where it is found."""

    name: str
    place: str


class AccountName(NamedTuple):
    """A receiving account, as people tell one from another."""

    id: UUID
    bin: str
    account_number: str
    holder_name: str


async def count_links(session: AsyncSession, org_id: UUID) -> dict[LinkStatus, int]:
    """Count the account links of an organisation by their status."""
    rows = await session.execute(queries.COUNT_LINKS, {"org_id": org_id})
    return {LinkStatus(status): count for status, count in rows}


async def has_open_payees(session: AsyncSession, org_id: UUID) -> bool:
    """Tell whether an organisation has any payee that is open."""
    return bool((await session.execute(queries.HAS_OPEN_PAYEES, {"org_id": org_id})).scalar())


async def name_payees(
    session: AsyncSession, org_id: UUID, payee_ids: Collection[UUID]
) -> dict[UUID, PayeeName]:
    """Name some payees, closed ones too."""
    rows = await session.execute(queries.NAME_PAYEES, {"org_id": org_id, "ids": list(payee_ids)})
    return {id_: PayeeName(name, place) for id_, name, place in rows}


async def list_accounts(session: AsyncSession, org_id: UUID, *, limit: int) -> list[AccountName]:
    """List receiving accounts, newest first, to choose from."""
    rows = await session.execute(queries.LIST_ACCOUNTS, {"org_id": org_id, "limit": limit})
    return [AccountName(*row) for row in rows]


async def name_accounts(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> dict[UUID, AccountName]:
    """Name some receiving accounts, retired ones too."""
    values = {"org_id": org_id, "ids": list(account_ids)}
    rows = await session.execute(queries.NAME_ACCOUNTS, values)
    return {row[0]: AccountName(*row) for row in rows}
