"""Confirmation by the holder that an account was changed, and by whom it counts (docs/adr/0001, 6).

Someone of the payee says "I have seen it" for the payee, or only for themselves: then the message
goes from their own screens and stays on everybody else's.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from identity.people import queries
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.payees.accounts import confirm_seen, note_read
from payments.payees.errors import AccountLinkNotFound, HolderNeeded
from payments.payees.models import PayeeAccount
from payments.payees.queries import get_link


class SpeaksFor(StrEnum):
    """Whom it counts for when a person says that they saw an account's change."""

    PAYEE = "payee"
    CASHIER = "cashier"  # themselves: their role may not confirm it
    INVOLVED = "involved"  # themselves: they proposed or approved it
    NEW_LOGIN = "new_login"  # themselves: whoever gave them the password could say it


async def find_speaks_for(
    session: AsyncSession, caller: Caller, links: Iterable[PayeeAccount]
) -> SpeaksFor:
    """Decide for whom a caller may say that the changes of these accounts were seen."""
    if not caller.may(Permission.ACCOUNTS_ACKNOWLEDGE):
        return SpeaksFor.CASHIER
    for link in links:
        involved = [link.proposed_by, link.approved_by]
        if caller.id in involved:
            return SpeaksFor.INVOLVED
        if await queries.is_login_in_other_hands(
            session, caller.home.id, caller.id, since=link.proposed_at, involved=involved
        ):
            return SpeaksFor.NEW_LOGIN
    return SpeaksFor.PAYEE


async def confirm_by_holder(
    session: AsyncSession, caller: Caller, link: PayeeAccount, *, now: datetime
) -> None:
    """Confirm for the payee that an account's change was seen. Idempotent.

    Raises:
        HolderNeeded: the caller is not the payee's own, or does not speak for it.
        AccountLinkNotInForce: there is nothing to see yet, or not any more.
    """
    if await find_speaks_for(session, caller, [link]) is not SpeaksFor.PAYEE:
        raise HolderNeeded
    await confirm_seen(
        session,
        caller.org_id,
        link.id,
        payee_id=link.payee_id if caller.is_scoped else None,  # managers speak for no payee
        actor=caller.actor,
        now=now,
    )


async def confirm_or_note_read(
    session: AsyncSession, caller: Caller, link_id: UUID, *, payee_id: UUID, now: datetime
) -> None:
    """Note that someone of a payee saw its account's change: for the payee, or for themselves.

    Raises:
        AccountLinkNotFound: the change is another payee's.
        AccountLinkNotInForce: there is nothing to see yet, or not any more.
        HolderNeeded: the caller is not the payee's own.
    """
    link, account, _ = await get_link(session, caller.org_id, link_id)
    if link.payee_id != payee_id:
        raise AccountLinkNotFound(link_id)
    if await find_speaks_for(session, caller, [link]) is SpeaksFor.PAYEE:
        await confirm_by_holder(session, caller, link, now=now)
        return
    own_id = payee_id if caller.is_scoped else None
    await note_read(session, link, account, payee_id=own_id, actor=caller.actor, now=now)
