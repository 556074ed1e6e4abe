"""Asking the bank from the counter, and why it was asked in vain: what to do about it differs."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from fastapi import Request

from api.screens.frame import Stall
from core.db import Sessions
from core.sealing import Sealer
from payments.callbacks.asking import ask_about_account
from payments.callbacks.errors import (
    AskingFailed,
    NoOrderToAskAbout,
    ProviderAnswerUnreadable,
    ProviderCannotBeAsked,
    ProviderDidNotAnswer,
    ProviderRefusedToken,
)

# Names of words under [checked] in locales/*/counter.toml.
Unasked = Literal["failed", "cannot", "refused", "unclear", "no_order"]
IN_VAIN: Final = frozenset({"failed", "cannot", "refused", "unclear", "no_order"})

_WORDS: Final[dict[type[AskingFailed], Unasked]] = {
    ProviderDidNotAnswer: "failed",
    ProviderCannotBeAsked: "cannot",
    ProviderRefusedToken: "refused",
    ProviderAnswerUnreadable: "unclear",
    NoOrderToAskAbout: "no_order",
}


async def ask_for_stall(
    request: Request,
    stall: Stall,
    sessions: Sessions,
    sealer: Sealer,
    account_id: UUID,
    *,
    bill_id: UUID | None = None,
    now: datetime,
) -> Unasked | None:
    """Ask what came to an account of this stall; return None, or the word for why not."""
    state = request.app.state
    try:
        await ask_about_account(
            sessions,
            state.settler,
            sealer,
            state.http_client,
            stall.caller.org,
            account_id,
            payee_id=stall.payee_id,
            bill_id=bill_id,
            now=now,
        )
    except AskingFailed as problem:
        return _WORDS[type(problem)]
    return None
