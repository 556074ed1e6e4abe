"""Confirmation by the holder that an account was changed."""

from sqlalchemy.ext.asyncio import AsyncSession

from identity.people import queries
from identity.people.callers import Caller
from payments.payees.errors import HolderNeeded
from payments.payees.models import PayeeAccount


async def check_own_login(session: AsyncSession, caller: Caller, link: PayeeAccount) -> None:
    """Refuse to take the word of a login that was made or reset while an account was changed.

    Whoever gave the password could sign in with it and say that the holder saw the change.

    Raises:
        HolderNeeded
    """
    if await queries.is_login_in_other_hands(
        session,
        caller.home.id,
        caller.id,
        since=link.proposed_at,
        involved=[link.proposed_by, link.approved_by],
    ):
        raise HolderNeeded
