"""Polling the bank from the counter, and why a poll failed: what to do about it differs."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from api.counter.page_context import CounterPayee
from payments.polling.service import ProviderPoller
from payments.providers.errors import (
    NoOrderToPoll,
    PollFailed,
    ProviderCannotBePolled,
    ProviderDidNotRespond,
    ProviderRefusedToken,
    ProviderResponseUnreadable,
)

# Names of words under [checked] in api/counter/words/*/counter.toml.
PollProblem = Literal["failed", "cannot", "refused", "unclear", "no_order"]
POLL_PROBLEMS: Final = frozenset({"failed", "cannot", "refused", "unclear", "no_order"})

_WORDS: Final[dict[type[PollFailed], PollProblem]] = {
    ProviderDidNotRespond: "failed",
    ProviderCannotBePolled: "cannot",
    ProviderRefusedToken: "refused",
    ProviderResponseUnreadable: "unclear",
    NoOrderToPoll: "no_order",
}


async def poll_for_payee(
    payee: CounterPayee,
    poller: ProviderPoller,
    account_id: UUID,
    *,
    bill_id: UUID | None = None,
    deadline_s: float | None = None,
    now: datetime,
) -> PollProblem | None:
    """Poll what came to an account of this payee; return None, or the word for why not."""
    try:
        await poller.poll(
            payee.caller.org,
            account_id,
            payee_id=payee.id,
            bill_id=bill_id,
            deadline_s=deadline_s,
            now=now,
        )
    except PollFailed as problem:
        return _WORDS[type(problem)]
    return None
