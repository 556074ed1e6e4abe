"""Forms that make something: pressed twice, or sent again, they make it once."""

import hmac
from typing import Annotated
from uuid import UUID

from fastapi import Form
from sqlalchemy.ext.asyncio import AsyncSession

from api.manage.page_context import ManagerContext
from core.idempotency import Repeatable, take_keys

# A hidden field, new on each page that is drawn.
FormId = Annotated[UUID | None, Form()]


async def take_form(
    tx: AsyncSession,
    manager: ManagerContext,
    route: str,
    form_id: UUID | None,
    *facts: object,
    makes: UUID,
) -> UUID | None:
    """Note what a form makes, or return what it made when it was sent before.

    One that is sent at this moment is waited for. The same page with other facts typed into it
    makes another thing: somebody went back to it.
    """
    if form_id is None:
        return None
    # With the hub's key: a secret among the facts cannot be tried out on what is stored.
    secret_key = manager.services.settings.secret_key.get_secret_value().encode()
    digest = hmac.digest(secret_key, repr(facts).encode(), "sha256")
    key = Repeatable(route=route, key=f"{form_id}/{digest.hex()}", body_hash=digest)
    (first,) = await take_keys(tx, manager.org_id, [(key, makes)], now=manager.now)
    return first if isinstance(first, UUID) else None
