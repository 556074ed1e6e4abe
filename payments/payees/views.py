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
