"""The owner of a payee's static code: who is notified of the sales on it (docs/adr/0010).

It stands on every link that a printed code may name: those in force and those still listened to.
A new account of the payee takes it over (payments.onboarding.activation).
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from payments.payees import queries
from payments.payees.errors import CodeOwnerTaken, PayeeHasNoAccount
from payments.payees.models import PayeeAccount


async def set_code_owner(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, owner: tuple[str, UUID]
) -> bool:
    """Let sales on a payee's static code be for an owner, (kind, id); tell whether it is new.

    Raises:
        PayeeNotFound
        PayeeHasNoAccount: no account is in force, so there is no code.
        CodeOwnerTaken: the code is another owner's.
    """
    links = await _lock_links(session, org_id, payee_id)
    if not links:
        raise PayeeHasNoAccount(payee_id)
    owners = {_owner_of(link) for link in links}
    if owners == {owner}:
        return False
    if owners - {None, owner}:
        raise CodeOwnerTaken(payee_id)
    for link in links:
        link.owner_kind, link.owner_id = owner
    await session.flush()
    return True


async def clear_code_owner(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, owner: tuple[str, UUID]
) -> bool:
    """Let sales on a payee's static code be nobody's again; False if they were not this owner's.

    Raises:
        PayeeNotFound
    """
    links = [
        link for link in await _lock_links(session, org_id, payee_id) if _owner_of(link) == owner
    ]
    for link in links:
        link.owner_kind = link.owner_id = None
    await session.flush()
    return bool(links)


async def has_code_owner(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, owner: tuple[str, UUID]
) -> bool:
    """Tell whether sales on a payee's static code are for an owner, (kind, id)."""
    return await queries.find_code_owner(session, org_id, payee_id) == owner


def take_over_owner(link: PayeeAccount, before: Sequence[PayeeAccount]) -> None:
    """Let a link that comes into force have the owner of those before it."""
    owner = next((_owner_of(one) for one in before if one.owner_kind is not None), None)
    if owner is not None:
        link.owner_kind, link.owner_id = owner


async def _lock_links(
    session: AsyncSession, org_id: UUID, payee_id: UUID
) -> Sequence[PayeeAccount]:
    # As whoever puts a link in force: the payee first.
    await queries.lock_payee(session, org_id, payee_id)
    return await queries.lock_links_of_payee(session, org_id, payee_id)


def _owner_of(link: PayeeAccount) -> tuple[str, UUID] | None:
    if link.owner_kind is None or link.owner_id is None:
        return None
    return link.owner_kind, link.owner_id
