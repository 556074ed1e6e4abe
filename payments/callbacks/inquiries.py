"""What is asked about an account: a question to each endpoint whose provider can be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.sealing import Sealer, SecretNotReadable
from payments.bills.queries import list_order_ids
from payments.callbacks.ask_keys import open_ask_keys
from payments.callbacks.errors import AskingFailed, ProviderAnswerUnreadable, ProviderRefusedToken
from payments.callbacks.models import CallbackEndpoint, EndpointAccount
from payments.callbacks.providers import ASKABLE
from payments.callbacks.providers.asking import AskKeys, Inquiry
from payments.callbacks.providers.contract import EndpointSecrets
from payments.callbacks.questions import Heard, Question
from payments.callbacks.service import open_secrets

ORDERS_MAX: Final = 10
LOOK_BACK: Final = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unasked:
    """An endpoint that could not be asked at all, because what it keeps sealed does not open."""

    endpoint_id: UUID
    provider: str
    problem: AskingFailed  # its cause is for the log

    @property
    def heard(self) -> Heard:
        """As if the provider had answered so."""
        return Heard(problems=[self.problem])


async def list_questions(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    sealer: Sealer,
    *,
    payee_id: UUID,
    bill_id: UUID | None,
    now: datetime,
) -> tuple[list[Question], list[Unasked]]:
    """Write the question to every endpoint that reports on an account and has a token.

    Args:
        payee_id: whose bills are asked about, where a provider knows its own orders only.
        bill_id: the one bill that is asked about there, instead of the recent ones.

    Returns:
        (the questions, the endpoints that cannot be asked: their trouble is no other's).
    """
    query = (
        select(CallbackEndpoint, EndpointAccount.account_number)
        .join(
            EndpointAccount,
            (EndpointAccount.org_id == CallbackEndpoint.org_id)
            & (EndpointAccount.endpoint_id == CallbackEndpoint.id),
        )
        .where(
            CallbackEndpoint.org_id == org_id,
            EndpointAccount.receiving_account_id == account_id,
            CallbackEndpoint.revoked_at.is_(None),
            CallbackEndpoint.provider.in_(ASKABLE),
            CallbackEndpoint.sealed_ask_token.is_not(None),
        )
    )
    questions: list[Question] = []
    unasked: list[Unasked] = []
    for endpoint, number in (await session.execute(query)).all():
        try:
            keys, secrets = _open_seals(endpoint, sealer, now=now)
        except AskingFailed as problem:
            unasked.append(
                Unasked(endpoint_id=endpoint.id, provider=endpoint.provider, problem=problem)
            )
            continue
        asking = ASKABLE[endpoint.provider]
        order_ids: Sequence[str] = ()
        if asking.asks_by_order:
            order_ids = await list_order_ids(
                session,
                org_id,
                payee_id,
                account_id,
                rail=endpoint.provider,
                bill_id=bill_id,
                since=now - LOOK_BACK,
                limit=ORDERS_MAX,
            )
        inquiry = Inquiry(
            account_number=number,
            order_ids=tuple(order_ids),
            since=now - LOOK_BACK,
            keys=keys,
            secrets=secrets,
        )
        questions.append(
            Question(
                endpoint_id=endpoint.id,
                provider=endpoint.provider,
                asking=asking,
                url=endpoint.ask_url or asking.url,
                inquiry=inquiry,
            )
        )
    return questions, unasked


def _open_seals(
    endpoint: CallbackEndpoint, sealer: Sealer, *, now: datetime
) -> tuple[AskKeys, EndpointSecrets]:
    """Open what asking an endpoint takes.

    Raises:
        ProviderRefusedToken: its token does not open; a new one helps, as where it is refused.
        ProviderAnswerUnreadable: its secrets do not open, which a new token would not change.
    """
    try:
        keys = open_ask_keys(endpoint, sealer)
    except SecretNotReadable as error:
        raise ProviderRefusedToken from error
    assert keys is not None
    try:
        return keys, open_secrets(endpoint, sealer, now=now)
    except SecretNotReadable as error:
        raise ProviderAnswerUnreadable(
            "The provider was not asked: the endpoint's secret cannot be read, so no answer could"
            " be checked. The operator must look at the keys; until then look into the bank's own"
            " app."
        ) from error
