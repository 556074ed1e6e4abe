"""Asking the bank from the counter, and why it was asked in vain: what to do about it differs."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from api.counter.page_context import Stall
from payments.polling.service import ProviderPoller
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
    stall: Stall,
    poller: ProviderPoller,
    account_id: UUID,
    *,
    bill_id: UUID | None = None,
    now: datetime,
) -> SkippedEndpoint | None:
    """Ask what came to an account of this stall; return None, or the word for why not."""
    try:
        await poller.poll(
            stall.caller.org,
            account_id,
            payee_id=stall.payee_id,
            bill_id=bill_id,
            now=now,
        )
    except PollFailed as problem:
        return _WORDS[type(problem)]
    return None
