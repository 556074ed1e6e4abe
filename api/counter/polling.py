"""Asking the bank from the counter, and why it was asked in vain: what to do about it differs."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from fastapi import Request

from api.counter.page_context import Stall
from core.db import Database
from core.sealing import Sealer
from payments.polling.service import poll_account
from payments.providers.errors import (
    NoOrderToPoll,
    PollFailed,
    ProviderCannotBePolled,
    ProviderDidNotRespond,
    ProviderRefusedToken,
    ProviderResponseUnreadable,
)

# Names of words under [checked] in locales/*/counter.toml.
SkippedEndpoint = Literal["failed", "cannot", "refused", "unclear", "no_order"]
IN_VAIN: Final = frozenset({"failed", "cannot", "refused", "unclear", "no_order"})

_WORDS: Final[dict[type[PollFailed], SkippedEndpoint]] = {
    ProviderDidNotRespond: "failed",
    ProviderCannotBePolled: "cannot",
    ProviderRefusedToken: "refused",
    ProviderResponseUnreadable: "unclear",
    NoOrderToPoll: "no_order",
}


async def poll_for_stall(
    request: Request,
    stall: Stall,
    database: Database,
    sealer: Sealer,
    account_id: UUID,
    *,
    bill_id: UUID | None = None,
    now: datetime,
) -> SkippedEndpoint | None:
    """Ask what came to an account of this stall; return None, or the word for why not."""
    state = request.app.state
    try:
        await poll_account(
            database,
            state.settler,
            sealer,
            state.http_client,
            stall.caller.org,
            account_id,
            payee_id=stall.payee_id,
            bill_id=bill_id,
            now=now,
        )
    except PollFailed as problem:
        return _WORDS[type(problem)]
    return None
