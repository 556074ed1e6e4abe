"""Why the bank was not asked: what a vendor can do about it differs."""

from typing import Literal
from uuid import UUID

from core.db import Sessions, open_org_transaction
from payments.callbacks.asking import CAN_BE_ASKED
from payments.callbacks.service import list_endpoint_accounts, list_endpoints


async def say_why_unasked(
    sessions: Sessions, org_id: UUID, account_id: UUID
) -> Literal["failed", "cannot"]:
    """Say "cannot" when no endpoint of the account takes questions, so trying again is useless."""
    async with open_org_transaction(sessions, org_id) as session:
        askable = {
            one.id
            for one in await list_endpoints(session, org_id)
            if one.provider in CAN_BE_ASKED
            and one.sealed_ask_token is not None
            and one.revoked_at is None
        }
        listed = await list_endpoint_accounts(session, org_id, askable)
    return "failed" if any(one.receiving_account_id == account_id for one in listed) else "cannot"
